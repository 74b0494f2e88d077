"""A task's answers as one matrix of rows and templates.

Everything that is reported is computed from these, offline: means, spreads, intervals, comparisons.

Invariant: pure functions of stored answers; the same from a file and from its answers in memory. Cost: 10 ms a task of
600 answers, half of it reading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.answer_arrays import BASELINE_NUMBER, AnswerArrays
from openflan.evaluation.answer_files import answer_files, read_arrays, table_of
from openflan.evaluation.answered import Answered
from openflan.evaluation.measures import OptionCells, option_cells
from openflan.evaluation.metrics import AGGREGATES, Choices
from openflan.evaluation.scores import Ends, Rule, Score

__all__ = ["TaskMatrix", "read_matrices", "task_matrices"]


@dataclass(frozen=True, kw_only=True)
class TaskMatrix:
    """One task's answers as arrays."""

    task: str
    cluster: str
    kind: str
    metric: str
    values: NDArray[np.float64]
    """(rows, templates) of the test rows, means over the turns of their options; NaN where a template does not fit."""
    templates: tuple[int, ...]
    """Template numbers of the columns."""
    rows: tuple[int, ...]
    """Places in the source split of the rows."""
    expected: tuple[str, ...]
    """The right answer of each row: its place among the options, or its text where answers are generated."""
    options: tuple[int, ...]
    """How many options each row has; 0 where the answer is generated."""
    others: Mapping[str, float]
    """The further metrics by name: their mean over templates."""
    row_hashes: tuple[str, ...] = ()
    """Content hashes of the rows, by which two models' rows are matched."""
    groups: tuple[str, ...] = ()
    """What the rows of one question share; the row itself where it stands alone."""
    validation: Mapping[int, float] | None = None
    """Mean on the validation rows by template, where some were asked."""
    validation_rows: int = 0
    baseline: NDArray[np.float64] | None = None
    """(R,) Scores under the task's baseline, where it was asked; NaN where it does not fit a row."""
    cells: OptionCells | None = None
    """The options of ranked answers, which the measures are made of."""
    measures: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """(rows, templates) by name, of ranked answers (openflan.evaluation.measures)."""
    baseline_measures: Mapping[str, float] = field(default_factory=dict)
    """Their means under the baseline, where it was asked."""
    answers: int = 0
    """How many answers the values are of."""
    rule: Rule | None = None
    """Whether the end of an answer counts where one option begins another; None where none does."""
    nested: int = 0
    """Answers to options of which one begins another."""
    with_end: NDArray[np.float64] | None = None
    """(rows, templates) The values if the ends count; None where they were nowhere scored."""
    ties: int = 0
    """Answers that another option equalled."""
    close: int = 0
    """Answers decided by less than the noise of the arithmetic."""
    cut: int = 0
    """Prompts that were too long."""


def read_matrices(folder: Path, *, score: Score | None = None, ends: Ends = "as_tuned") -> dict[str, TaskMatrix]:
    """The answers in a folder as one matrix a task, read without their texts.

    Args:
        folder: one model's answers.
        score: decide ranked answers by this normalisation, whatever they were decided by.
        ends: and count the end of an answer so, where a score is given.

    Raises:
        UserError: there are none, or a file is damaged.
    """
    read = (read_arrays(path, score=score, ends=ends) for path in answer_files(folder))
    return {arrays.task: _matrix(arrays) for arrays in read if arrays is not None}


def task_matrices(answers: Sequence[Answered]) -> dict[str, TaskMatrix]:
    """Answers as one matrix a task."""
    by_task: dict[str, list[Answered]] = {}
    for answer in answers:
        by_task.setdefault(answer.task, []).append(answer)
    return {task: _matrix(AnswerArrays.of(table_of(own))) for task, own in by_task.items()}


def _matrix(every: AnswerArrays) -> TaskMatrix:
    content, own = every.split != "content_free", every.template != BASELINE_NUMBER
    tested = (every.split == "test") & own
    answers = every.where(tested if tested.any() else content & own)
    rows, first, place = _rows(answers)
    chooses = every.where(every.split == "validation")
    natural = every.where((every.split == "test") & ~own & np.isin(every.row, rows))
    order = np.argsort(rows)
    natural_place = order[np.searchsorted(rows, natural.row, sorter=order)]
    cells = option_cells(answers, place, every.where(~content))
    of_baseline = option_cells(natural, natural_place, every.where(np.zeros(len(every), dtype=bool)))
    ended = ~np.isnan(answers.with_end)
    hashes, groups = answers.row_hash[first], answers.group[first]
    return TaskMatrix(
        task=answers.task,
        cluster=answers.cluster,
        kind=answers.kind,
        metric=answers.metric,
        values=_cells(answers, place, len(rows), answers.value),
        templates=tuple(answers.templates),
        rows=tuple(rows.tolist()),
        expected=tuple(_right(answers, one) for one in first),
        options=tuple(answers.counts[first].tolist()),
        others=_further(answers),
        row_hashes=tuple(own or str(row) for own, row in zip(hashes, rows, strict=True)),
        groups=tuple(own or f"row {row}" for own, row in zip(groups, rows, strict=True)),
        validation={number: float(chooses.value[chooses.template == number].mean()) for number in chooses.templates}
        or None,
        validation_rows=len(np.unique(chooses.row)),
        baseline=_cells(natural, natural_place, len(rows), natural.value)[:, 0] if len(natural) else None,
        cells=cells,
        measures=cells.measures if cells else {},
        baseline_measures=_means(of_baseline),
        answers=len(answers),
        rule=next(iter(answers.rules), None),
        nested=len(answers.rules),
        with_end=_cells(answers, place, len(rows), np.where(ended, answers.with_end, answers.value))
        if ended.any()
        else None,
        ties=int(answers.tied.sum()),
        close=int(answers.close.sum()),
        cut=int(answers.cut.sum()),
    )


def _rows(answers: AnswerArrays) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The rows in the order in which they come, the first answer of each, and which of them each answer is to."""
    _, first, inverse = np.unique(answers.row, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return answers.row[first[order]], first[order], place[inverse]


def _cells(
    answers: AnswerArrays, place: NDArray[np.int64], rows: int, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(rows, templates) Means of values over the turns of each cell."""
    templates = np.array(answers.templates or [BASELINE_NUMBER])
    shape = (rows, len(templates))
    cell = np.ravel_multi_index((place, np.searchsorted(templates, answers.template)), shape)
    size = rows * len(templates)
    total = np.bincount(cell, weights=values, minlength=size).reshape(shape)
    count = np.bincount(cell, minlength=size).reshape(shape)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _means(cells: OptionCells | None) -> dict[str, float]:
    return {} if cells is None else {name: float(np.nanmean(values)) for name, values in cells.measures.items()}


def _further(answers: AnswerArrays) -> dict[str, float]:
    """The task's further metrics: means over answers, or over templates of what all its answers score together."""
    if answers.kind == "generated":
        own = np.ascontiguousarray(answers.others.T)
        return {name: float(own[place].mean()) for place, name in enumerate(answers.further)}
    order = dict.fromkeys(answers.template.tolist()) if answers.further else {}
    tables = [_choices(answers.where(answers.template == number)) for number in order]
    return {name: float(np.mean([AGGREGATES[name](table) for table in tables])) for name in answers.further}


def _choices(answers: AnswerArrays) -> Choices:
    groups = zip(answers.group, answers.row, answers.turn, strict=True)
    return Choices(
        right=tuple(answers.right.tolist()),
        chosen=tuple(answers.chosen.tolist()),
        options=tuple(map(answers.words_of, range(len(answers)))),
        groups=tuple(f"{group or row} {turn}" for group, row, turn in groups),
    )


def _right(answers: AnswerArrays, place: int) -> str:
    return str(answers.right[place]) if answers.counts[place] else str(answers.expected[place])
