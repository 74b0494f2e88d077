"""Asking a model: prompts in, the matrix of what was answered out, task by task.

Classifications are ranked, the rest generated. Each task's answers are kept as soon as they are whole, under a key of
everything they depend on: the model's content, the text format with its tokenizer, the task, every prompt, and the
settings. A killed evaluation therefore goes on with the next task, and no answer is ever taken for another model's.

Invariant: the same answers for the same model and prompts. Cost: 100 to 300 prompts a second at 2 million parameters
on two CPU cores. Rejected: a key of the model's name or of some of its weights (other harnesses' caches have served
one model's answers as another's).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.evaluation.answer_files import read_answers, read_key, write_answers
from openflan.evaluation.answered import Answered, rescored, rule_of
from openflan.evaluation.generation import generate
from openflan.evaluation.likelihoods import score_options
from openflan.evaluation.metrics import METRICS
from openflan.evaluation.protocol import Asked
from openflan.evaluation.scores import OptionScores
from openflan.evaluation.vllm import check_vllm, generate_by_vllm
from openflan.models.device import pick_precision
from openflan.models.limits import check_positions, check_vocabulary
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.render import Prompt
from openflan.ranks import ALONE, Team
from openflan.recipes.parts import EvaluationPart
from openflan.stage import ReportDone, fingerprint_of
from openflan.tasks.catalog import Entry

__all__ = ["Keep", "evaluate", "refuse_cut"]

_GENERATION_TOKENS = 16_384
"""Padded tokens of a batch that is generated: its cost is the number of batches, not their size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keep:
    """Where answers are kept, and whose they are."""

    folder: Path
    model: str
    """Hash of the model's content (openflan.evaluation.identity)."""
    dirty: Mapping[str, Collection[int]] | None = None
    """By task, places in the source split of the test rows that the model's tuning set holds; None: not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ranked:
    answers: list[Answered]
    noise: float
    """How many nats a log-likelihood may be off."""

    def decided(self, part: EvaluationPart) -> list[Answered]:
        """The answers as an evaluation counts the ends of them; they are stored as they were decided."""
        if part.ends == "as_tuned":
            return self.answers
        return rescored(self.answers, part.score, noise=self.noise, ends=part.ends)


def evaluate(
    model: Any,
    encoder: TextEncoder,
    tasks: Sequence[Asked],
    part: EvaluationPart,
    *,
    report: ReportDone,
    keep: Keep | None = None,
    team: Team = ALONE,
) -> list[Answered]:
    """Ask a model everything.

    Args:
        keep: where each task's answers are written, and read from if they are already there.
        team: processes that call this together and share the work.

    Raises:
        UserError: an option has no tokens, options of a row can't be told apart, a prompt is too long and must not be
            cut, a kept file is damaged, or the model has fewer words or positions than prompts need.
    """
    check_vocabulary(model, encoder)
    if part.engine == "vllm":
        check_vllm(team)
    wanted = [task for task in tasks if task.entry.spec.is_classification or part.generate]
    total = sum(len(task.everything) for task in wanted)
    done = 0
    ends = 0

    def count(more: int) -> None:
        nonlocal done
        done = min(done + more * team.size, ends)
        report(done, total)

    answers: list[Answered] = []
    for task in wanted:
        ends += len(task.everything)
        dirty = None if keep is None else keep.dirty
        if keep is None:
            answers += _ask(model, encoder, task, part, count, dirty, team).decided(part)
        else:
            answers += _kept(model, encoder, task, part, count, keep, team)
        if done < ends:
            count(ends - done)
    return answers


def _kept(
    model: Any,
    encoder: TextEncoder,
    task: Asked,
    part: EvaluationPart,
    count: Callable[[int], None],
    keep: Keep,
    team: Team,
) -> list[Answered]:
    """One task's answers from its file, or asked for and put there."""
    path = keep.folder / f"{task.entry.spec.name}.parquet"
    key = _key(keep, encoder, task, part)
    if team.told(lambda: read_key(path) == key):
        answers = read_answers(path, score=part.score, ends=part.ends)
        if part.too_long == "refuse":  # they may have been asked under `cut`, which changes no answer
            refuse_cut(task.entry, answers, [answer.cut for answer in answers], encoder.part.max_input_tokens)
        return answers
    ranked = _ask(model, encoder, task, part, count, keep.dirty, team)
    if team.leads:
        write_answers(path, ranked.answers, key=key, facts={"noise": ranked.noise, "model": keep.model})
    return ranked.decided(part)


def _key(keep: Keep, encoder: TextEncoder, task: Asked, part: EvaluationPart) -> str:
    """Hash of everything the answers to a task depend on."""
    prompts = [
        [
            prompt.input,
            prompt.template,
            split,
            list(prompt.answer.options),
            list(prompt.answer.references),
            [prompt.turn, *prompt.listed],
        ]
        for prompt, split in task.everything
    ]
    dirty = None if keep.dirty is None else sorted(keep.dirty.get(task.entry.spec.name, ()))
    rows = [[prompt.row, row_hash] for (prompt, _), row_hash in zip(task.everything, task.row_hashes, strict=True)]
    return fingerprint_of(
        [
            keep.model,
            [encoder.fingerprint, encoder.rules.ends],
            task.entry.spec.fingerprint,
            prompts,
            rows,
            part.counted("answers"),
            dirty,
        ]
    )


def _ask(
    model: Any,
    encoder: TextEncoder,
    task: Asked,
    part: EvaluationPart,
    count: Callable[[int], None],
    dirty: Mapping[str, Collection[int]] | None,
    team: Team,
) -> _Ranked:
    """One task's answers."""
    autocast = pick_precision(part.precision, model.device) == "bfloat16"
    prompts = [prompt for prompt, _ in task.everything]
    encoded = encoder.encode_inputs(prompts)
    inputs = [one.ids for one in encoded]
    cut = [one.cut for one in encoded]
    if part.too_long == "refuse":
        refuse_cut(task.entry, prompts, cut, encoder.part.max_input_tokens)
    if task.entry.spec.is_classification:
        scored = score_options(
            model,
            encoder,
            prompts,
            inputs,
            batch_tokens=part.batch_tokens,
            autocast=autocast,
            team=team,
            count=count,
        )
        noise = scored.noise
        values = [_ranked(scores, encoder) for scores in scored.options]
    else:
        check_positions(model, max(map(len, inputs)), part.max_new_tokens, task=task.entry.spec.name)

        def write(numbers: Sequence[int]) -> list[str]:
            return _generate(model, encoder, [inputs[number] for number in numbers], part, autocast, count)

        texts = team.shared(range(len(inputs)), [len(ids) for ids in inputs], write)
        noise = 0.0
        values = [_generated(task.entry, p, text) for p, text in zip(prompts, texts, strict=True)]
    marked = None if dirty is None else frozenset(dirty.get(task.entry.spec.name, ()))
    answers = [
        Answered(
            task=task.entry.spec.name,
            cluster=task.entry.told_cluster,
            row=prompt.row,
            row_hash=row_hash,
            template=prompt.template,
            turn=prompt.turn,
            listed=prompt.listed,
            split=split,
            metric=task.entry.spec.metrics[0],
            prompt=prompt.input,
            prompt_hash=fingerprint_of(prompt.input),
            cut=lost,
            expected="" if split == "content_free" else prompt.answer.text,
            options=prompt.answer.options,
            gold=() if split == "content_free" else prompt.answer.places,
            further=task.entry.spec.metrics[1:],
            group=prompt.answer.group,
            dirty=None if marked is None or split != "test" else prompt.row in marked,
            **value,
        )
        for (prompt, split), row_hash, lost, value in zip(task.everything, task.row_hashes, cut, values, strict=True)
    ]
    return _Ranked(answers=rescored(answers, part.score, noise=noise), noise=noise)


def _generate(
    model: Any,
    encoder: TextEncoder,
    inputs: Sequence[list[int]],
    part: EvaluationPart,
    autocast: bool,
    count: Callable[[int], None],
) -> list[str]:
    if part.engine == "vllm":
        return generate_by_vllm(
            model, encoder, inputs, max_new_tokens=part.max_new_tokens, stop=part.stop, report=count
        )
    return generate(
        model,
        encoder,
        inputs,
        max_new_tokens=part.max_new_tokens,
        stop=part.stop,
        beams=part.beams,
        batch_tokens=part.batch_tokens or _GENERATION_TOKENS,
        autocast=autocast,
        report=count,
    )


def refuse_cut(entry: Entry, prompts: Sequence[Prompt | Answered], cut: Sequence[bool], limit: int) -> None:
    """Refuse prompts that lost a part; those without content have nothing to lose.

    Args:
        prompts: of one task, or the answers to them.
        cut: which lost a part.
        limit: tokens that a prompt may have.

    Raises:
        UserError: there are such.
    """
    rows = [(prompt, lost) for prompt, lost in zip(prompts, cut, strict=True) if prompt.row >= 0]
    if long := [prompt for prompt, lost in rows if lost]:
        first = f"row {long[0].row + 1}, template {long[0].template}"
        raise UserError(
            f"{len(long):,} of {len(rows):,} prompts have more than {limit:,} tokens, the first is {first}",
            where=entry.spec.name,
            how="raise prompts.max_input_tokens, or let them be cut and counted: evaluation.too_long=cut",
        )


def _ranked(scores: OptionScores, encoder: TextEncoder) -> dict[str, Any]:
    """What a ranked answer holds before it is decided."""
    return {
        "kind": "ranked",
        "value": 0.0,
        "answer": "",
        "scores": scores.logprob,
        "option_tokens": scores.tokens,
        "unconditional": scores.unconditional,
        "ends": scores.ends,
        "ends_alone": scores.ends_alone,
        "together": scores.together,
        "written": scores.written,
        "rule": rule_of(nested=scores.nested, scored=scores.ends != (), known=encoder.rules.ends, ends="as_tuned"),
        "others": (),
    }


def _generated(entry: Entry, prompt: Prompt, text: str) -> dict[str, Any]:
    values = [METRICS[name](text, prompt.answer.references) for name in entry.spec.metrics]
    return {"kind": "generated", "value": values[0], "answer": text, "scores": (), "others": tuple(values[1:])}
