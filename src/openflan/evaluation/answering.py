"""Asking a model: prompts in, the matrix of what was answered out, task by task.

Classifications are ranked, the rest generated. Each task's answers are kept as soon as they are whole, under a key of
everything they depend on: the model's content, the text format with its tokenizer, the task, every prompt, and the
settings. A killed evaluation therefore goes on with the next task, and no answer is ever taken for another model's.

Invariant: the same answers for the same model and prompts. Cost: 100 to 300 prompts a second at 2 million parameters
on two CPU cores. Rejected: a key of the model's name or of some of its weights (other harnesses' caches have served
one model's answers as another's).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.evaluation.answered import Answered, rescored
from openflan.evaluation.generation import generate
from openflan.evaluation.matrix import read_answers, read_key, write_answers
from openflan.evaluation.metrics import METRICS
from openflan.evaluation.protocol import Asked, hash_of_row
from openflan.evaluation.ranking import Question, rank_options
from openflan.evaluation.scores import OptionScores
from openflan.evaluation.vllm import check_vllm, generate_by_vllm
from openflan.models.batching import scoring_tokens
from openflan.models.load import pick_precision
from openflan.models.vocabulary import check_vocabulary
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.render import Prompt
from openflan.recipe import EvaluationPart
from openflan.stage import fingerprint_of
from openflan.tasks.catalog import Entry

__all__ = ["Keep", "evaluate"]

_GENERATION_TOKENS = 16_384
"""Padded tokens of a batch that is generated: its cost is the number of batches, not their size."""

_PROBES = 48
"""Questions a task that are scored twice to see how far bfloat16 is off."""

_UNSEEN = {"batch_tokens", "bootstrap", "rows", "seen_rows", "score", "tasks"}
"""Settings that change no answer to a given prompt."""

Report = Callable[[int, int], None]
"""Told how many prompts of how many are answered."""


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


def evaluate(
    model: Any,
    encoder: TextEncoder,
    tasks: Sequence[Asked],
    part: EvaluationPart,
    *,
    report: Report,
    keep: Keep | None = None,
) -> list[Answered]:
    """Ask a model everything.

    Args:
        keep: where each task's answers are written, and read from if they are already there.

    Raises:
        UserError: an option has no tokens, options of a row can't be told apart, a kept file is damaged, or the model
            has fewer words than its tokenizer.
    """
    check_vocabulary(model, encoder)
    if part.engine == "vllm":
        check_vllm()
    wanted = [asked for asked in tasks if asked.entry.spec.is_classification or part.generate]
    total = sum(len(asked.everything) for asked in wanted)
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        report(done, total)

    answers: list[Answered] = []
    for asked in wanted:
        path, key = (None, "") if keep is None else (keep.folder / f"{asked.entry.spec.name}.parquet", "")
        if keep is not None and path is not None:
            key = _key(keep, encoder, asked, part)
            if read_key(path) == key:
                answers += read_answers(path, score=part.score)
                count(len(asked.everything))
                continue
        found = _ask(model, encoder, asked, part, count, keep.dirty if keep is not None else None)
        if keep is not None and path is not None:
            write_answers(path, found.answers, key=key, facts={"noise": found.noise, "model": keep.model})
        answers += found.answers
    return answers


def _key(keep: Keep, encoder: TextEncoder, asked: Asked, part: EvaluationPart) -> str:
    """Hash of everything the answers to a task depend on."""
    prompts = [
        [prompt.input, prompt.template, split, list(prompt.answer.options), list(prompt.answer.references)]
        for prompt, split in asked.everything
    ]
    dirty = None if keep.dirty is None else sorted(keep.dirty.get(asked.entry.spec.name, ()))
    settings = part.model_dump(mode="json", exclude=_UNSEEN)
    rows = [[prompt.row, hash_of_row(prompt.fields)] for prompt, _ in asked.everything]
    return fingerprint_of(
        [keep.model, encoder.fingerprint, asked.entry.spec.fingerprint, prompts, rows, settings, dirty]
    )


def _ask(
    model: Any,
    encoder: TextEncoder,
    asked: Asked,
    part: EvaluationPart,
    count: Callable[[int], None],
    dirty: Mapping[str, Collection[int]] | None,
) -> _Ranked:
    """One task's answers."""
    autocast = pick_precision(part.precision, model.device) == "bfloat16"
    prompts = [prompt for prompt, _ in asked.everything]
    inputs = encoder.inputs(prompts)
    cut = _cut(encoder, prompts, inputs)
    if asked.entry.spec.is_classification:
        scored, noise = _score(model, encoder, prompts, inputs, part, autocast, count)
        values = [_ranked(scores) for scores in scored]
    else:
        texts = _generate(model, encoder, inputs, part, autocast, count)
        noise = 0.0
        values = [_generated(asked.entry, p, text) for p, text in zip(prompts, texts, strict=True)]
    marked = None if dirty is None else frozenset(dirty.get(asked.entry.spec.name, ()))
    answers = [
        Answered(
            task=asked.entry.spec.name,
            cluster=asked.entry.spec.cluster,
            row=prompt.row,
            row_hash=hash_of_row(prompt.fields),
            template=prompt.template,
            split=split,
            metric=asked.entry.spec.metrics[0],
            prompt=prompt.input,
            prompt_hash=fingerprint_of(prompt.input),
            cut=lost,
            expected=prompt.answer.text,
            options=prompt.answer.options,
            gold=tuple(n for n, option in enumerate(prompt.answer.options) if option in prompt.answer.references),
            further=asked.entry.spec.metrics[1:],
            group=prompt.answer.group,
            dirty=None if marked is None or split != "test" else prompt.row in marked,
            **value,
        )
        for (prompt, split), lost, value in zip(asked.everything, cut, values, strict=True)
    ]
    return _Ranked(answers=rescored(answers, part.score, noise=noise), noise=noise)


def _score(
    model: Any,
    encoder: TextEncoder,
    prompts: Sequence[Prompt],
    inputs: Sequence[Sequence[int]],
    part: EvaluationPart,
    autocast: bool,
    count: Callable[[int], None],
) -> tuple[list[OptionScores], float]:
    """Options scored given the prompt and alone, and how far the arithmetic is off."""
    tokens = _option_tokens(encoder, prompts)
    questions = [
        Question(prompt=ids, options=options, texts=prompt.answer.options)
        for ids, options, prompt in zip(inputs, tokens, prompts, strict=True)
    ]
    # many rows and all templates of a row share their options: each set is asked without a prompt once
    alone: dict[tuple[tuple[int, ...], ...], Question] = {}
    nothing = encoder.inputs([""])[0] or [encoder.eos or 0]
    for question in questions:
        options = tuple(map(tuple, question.options))
        alone.setdefault(options, Question(prompt=nothing, options=options, texts=question.texts))
    batch_tokens = part.batch_tokens or scoring_tokens(model.device.type)

    left = len(questions)

    def told(more: int) -> None:
        nonlocal left
        count(min(more, left))
        left -= min(more, left)

    scored = rank_options(
        model, [*questions, *alone.values()], batch_tokens=batch_tokens, autocast=autocast, report=told
    )
    unconditional = dict(zip(alone, (found.logprob for found in scored[len(questions) :]), strict=True))
    found = [
        OptionScores(
            logprob=scores.logprob,
            tokens=scores.tokens,
            texts=scores.texts,
            unconditional=unconditional[tuple(map(tuple, question.options))],
        )
        for question, scores in zip(questions, scored, strict=False)
    ]
    noise = _noise(model, questions, found, batch_tokens) if autocast else 0.0
    return found, noise


def _noise(model: Any, questions: Sequence[Question], scored: Sequence[OptionScores], batch_tokens: int) -> float:
    """Largest difference, in nats, that float32 makes between two options of some of the questions."""
    probes = range(0, len(questions), max(1, len(questions) // _PROBES))
    exact = rank_options(model, [questions[number] for number in probes], batch_tokens=batch_tokens)
    off = [
        [a - b for a, b in zip(scored[number].logprob, one.logprob, strict=True)]
        for number, one in zip(probes, exact, strict=True)
    ]
    return max((max(differences) - min(differences) for differences in off), default=0.0)


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


def _cut(encoder: TextEncoder, prompts: Sequence[Prompt], inputs: Sequence[Sequence[int]]) -> list[bool]:
    """Which prompts lost a part because they were too long."""
    whole = encoder.lengths([prompt.input + encoder.separator for prompt in prompts])
    start = len(encoder.rules.start) + len(encoder.rules.end)
    return [start + size > len(ids) for size, ids in zip(whole, inputs, strict=True)]


def _option_tokens(encoder: TextEncoder, prompts: Sequence[Prompt]) -> list[list[list[int]]]:
    ids: Iterator[list[int]] = iter(
        encoder.targets([option for prompt in prompts for option in prompt.answer.options], end=False)
    )
    found = []
    for prompt in prompts:
        tokens = [next(ids) for _ in prompt.answer.options]
        seen: dict[tuple[int, ...], str] = {}
        for text, option in zip(prompt.answer.options, tokens, strict=True):
            where = f"{prompt.task}, row {prompt.row + 1}"
            if not option:
                what = f"the option {text!r} has no tokens in this model's vocabulary"
                raise UserError(what, where=where, how="reword the option")
            if (other := seen.setdefault(tuple(option), text)) != text:
                what = f"the options {other[:60]!r} and {text[:60]!r} are the same tokens to this model"
                raise UserError(what, where=where, how="reword them, or raise prompts.max_target_tokens")
        found.append(tokens)
    return found


def _ranked(scores: OptionScores) -> dict[str, Any]:
    """What a ranked answer holds before it is decided."""
    return {
        "kind": "ranked",
        "value": 0.0,
        "answer": "",
        "scores": scores.logprob,
        "option_tokens": scores.tokens,
        "unconditional": scores.unconditional,
        "others": (),
    }


def _generated(entry: Entry, prompt: Prompt, text: str) -> dict[str, Any]:
    values = [METRICS[name](text, prompt.answer.references) for name in entry.spec.metrics]
    return {"kind": "generated", "value": values[0], "answer": text, "scores": (), "others": tuple(values[1:])}
