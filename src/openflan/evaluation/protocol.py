"""The protocol: what is asked, and the matrix of what was answered.

Every task is asked under each of its templates that asks for the answer (inverted ones do not); classifications
are ranked, the rest generated. Rows are drawn by a hash of their content, so a limit of n keeps the same rows for
every model and every order of the file.

Invariant: `Answered` rows are the same for the same model, rows and templates. Cost: 100 to 300 prompts a second at
2 million parameters on two CPU cores. Rejected: one template a task, which measures the wording as much as the model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.evaluation.generation import generate
from openflan.evaluation.metrics import METRICS
from openflan.evaluation.ranking import Question, rank_options
from openflan.models.batching import scoring_tokens
from openflan.models.load import pick_precision
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.exemplars import ExemplarMaker, question_key
from openflan.prompts.exemplars import Question as Asked
from openflan.prompts.render import Prompt, TaskRenderer
from openflan.prompts.styles import choose_shots
from openflan.recipe import EvaluationPart, PromptsPart
from openflan.stage import fingerprint_of
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import Role, SourceRow, load_rows

__all__ = ["Answered", "ask_prompts", "draw_rows", "evaluate"]

_GENERATION_TOKENS = 16_384
"""Padded tokens of a batch that is generated: its cost is the number of batches, not their size."""

_SOLVED_ROWS = 30_000
"""Training rows of a task that solved examples are taken from, at most."""

Report = Callable[[int, int], None]
"""Told how many prompts of how many are answered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """One cell of the row × template matrix."""

    task: str
    cluster: str
    row: int
    template: int
    kind: str
    """`ranked` or `generated`."""
    metric: str
    value: float
    """The task's first metric, 0 to 1; accuracy of one answer is 0 or 1."""
    prompt: str
    """What the model read."""
    answer: str
    """What the model chose or wrote."""
    expected: str
    options: tuple[str, ...]
    scores: tuple[float, ...]
    """Log-likelihood of each option, in nats."""
    further: tuple[str, ...]
    """Names of the task's further metrics, in its order."""
    others: tuple[float, ...]
    """This answer under the further metrics, where it is generated; ranked ones have metrics of many answers."""
    group: str
    """What the rows of one question share; empty where a row stands alone."""


def draw_rows(rows: Sequence[SourceRow], limit: int) -> list[SourceRow]:
    """The `limit` rows with the smallest content hashes, in source order."""
    chosen = sorted(rows, key=lambda row: (fingerprint_of(_plain(row.fields)), row.index))[:limit]
    return sorted(chosen, key=lambda row: row.index)


def ask_prompts(
    entry: Entry, encoder: TextEncoder, *, limit: int, data: Path | None, role: Role = "test"
) -> list[Prompt]:
    """The prompts that measure a task: every drawn row of a role under every fitting template, in the encoder's style.

    Raises:
        UserError: rows or templates of the task are at fault, or solved examples are wanted and it has no rows to take
            them from.
    """
    part = encoder.rules.part
    renderer = TaskRenderer(entry, style=part)
    questions = [
        _question(renderer, row, number, part)
        for row in draw_rows(load_rows(entry, role, data=data), limit)
        for number in renderer.asking(row)
    ]
    prompts = [question.prompt for question in questions]
    if max(part.all_shots):
        solved = ExemplarMaker(
            renderer,
            _solved_rows(entry, data),
            count=encoder.lengths,
            budget=part.exemplar_budget - len(encoder.rules.start),
            separator=part.separator,
        )
        prompts = [prompt for prompt, _ in solved.add(questions)]
    if not prompts:
        raise UserError(
            f"no template of '{entry.spec.name}' fits any of its rows",
            where=str(entry.path),
            how="add one without 'when' that asks for the answer",
        )
    return prompts


def _question(renderer: TaskRenderer, row: SourceRow, number: int, part: PromptsPart) -> Asked:
    key = question_key(row, number)
    prompt = renderer.render(row, number, key=key)
    return Asked(row=row, prompt=prompt, style=part, shots=choose_shots(part, key), key=key)


def _solved_rows(entry: Entry, data: Path | None) -> list[SourceRow]:
    """Rows that solved examples are taken from: training rows, as in the paper (section 4.4)."""
    if "train" not in entry.spec.splits:
        how = "leave it out of evaluation.tasks, or set prompts.shots=0"
        raise UserError(f"'{entry.spec.name}' has no training rows for solved examples", where="prompts.shots", how=how)
    return load_rows(entry, "train", data=data, limit=_SOLVED_ROWS)


def evaluate(
    model: Any,
    encoder: TextEncoder,
    tasks: Sequence[tuple[Entry, Sequence[Prompt]]],
    part: EvaluationPart,
    *,
    report: Report,
) -> list[Answered]:
    """Ask a model everything.

    Args:
        tasks: each task with its prompts, as `ask_prompts` makes them.
    """
    prompts = [(entry, prompt) for entry, held in tasks for prompt in held]
    ranked = [(e, p) for e, p in prompts if e.spec.is_classification]
    generated = [(e, p) for e, p in prompts if not e.spec.is_classification and part.generate]
    total = len(ranked) + len(generated)
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        report(done, total)

    autocast = pick_precision(part.precision, model.device) == "bfloat16"
    inputs = encoder.inputs([prompt for _, prompt in ranked])
    options = iter(_option_tokens(encoder, ranked))
    questions = [
        Question(
            prompt=ids,
            options=[next(options) for _ in prompt.answer.options],
            texts=prompt.answer.options,
        )
        for ids, (_, prompt) in zip(inputs, ranked, strict=True)
    ]
    scored = rank_options(
        model,
        questions,
        batch_tokens=part.batch_tokens or scoring_tokens(model.device.type),
        autocast=autocast,
        report=count,
    )
    answers = [
        _ranked(entry, prompt, scores.logprob, scores.best(part.score))
        for (entry, prompt), scores in zip(ranked, scored, strict=True)
    ]
    texts = generate(
        model,
        encoder,
        encoder.inputs([prompt for _, prompt in generated]),
        max_new_tokens=part.max_new_tokens,
        batch_tokens=part.batch_tokens or _GENERATION_TOKENS,
        autocast=autocast,
        report=count,
    )
    answers += [_generated(entry, prompt, text) for (entry, prompt), text in zip(generated, texts, strict=True)]
    return answers


def _option_tokens(encoder: TextEncoder, ranked: Sequence[tuple[Entry, Prompt]]) -> Iterator[list[int]]:
    texts = [option for _, prompt in ranked for option in prompt.answer.options]
    for text, ids in zip(texts, encoder.targets(texts, end=False), strict=True):
        if not ids:
            raise UserError(f"the option {text!r} has no tokens in this model's vocabulary", how="reword the option")
        yield ids


def _ranked(entry: Entry, prompt: Prompt, scores: Sequence[float], best: int) -> Answered:
    return Answered(
        task=entry.spec.name,
        cluster=entry.spec.cluster,
        row=prompt.row,
        template=prompt.template,
        kind="ranked",
        metric="accuracy",
        value=float(prompt.answer.options[best] in prompt.answer.references),
        prompt=prompt.input,
        answer=prompt.answer.options[best],
        expected=prompt.answer.text,
        options=prompt.answer.options,
        scores=tuple(scores),
        further=entry.spec.metrics[1:],
        others=(),
        group=prompt.answer.group,
    )


def _generated(entry: Entry, prompt: Prompt, text: str) -> Answered:
    values = [METRICS[name](text, prompt.answer.references) for name in entry.spec.metrics]
    return Answered(
        task=entry.spec.name,
        cluster=entry.spec.cluster,
        row=prompt.row,
        template=prompt.template,
        kind="generated",
        metric=entry.spec.metrics[0],
        value=values[0],
        prompt=prompt.input,
        answer=text,
        expected=prompt.answer.text,
        options=(),
        scores=(),
        further=entry.spec.metrics[1:],
        others=tuple(values[1:]),
        group=prompt.answer.group,
    )


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
