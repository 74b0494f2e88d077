"""The row × template matrix on disk: one Parquet file a model.

Everything that is reported comes from these files, offline: means, spreads, intervals, comparisons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.metrics import AGGREGATES, Choices
from openflan.evaluation.protocol import Answered

__all__ = ["TaskMatrix", "read_matrix", "task_matrices", "write_matrix"]


@dataclass(frozen=True, kw_only=True)
class TaskMatrix:
    """One task's answers as arrays."""

    task: str
    cluster: str
    kind: str
    metric: str
    values: NDArray[np.float64]
    """(rows, templates); NaN where a template does not fit a row."""
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


def write_matrix(path: Path, answers: Sequence[Answered]) -> None:
    """Write all answers of one model."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {field.name: [getattr(answer, field.name) for answer in answers] for field in fields(Answered)}
    strings, doubles = pa.list_(pa.string()), pa.list_(pa.float64())
    schema = pa.schema(
        [
            *[(name, pa.string()) for name in ("task", "cluster")],
            *[(name, pa.int64()) for name in ("row", "template")],
            *[(name, pa.string()) for name in ("kind", "metric")],
            ("value", pa.float64()),
            *[(name, pa.string()) for name in ("prompt", "answer", "expected")],
            ("options", strings),
            ("scores", doubles),
            ("further", strings),
            ("others", doubles),
            ("group", pa.string()),
        ]
    )
    pq.write_table(pa.table(columns, schema=schema), path)


def read_matrix(path: Path) -> list[Answered]:
    """Read what `write_matrix` wrote."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    for row in rows:
        row.update({name: tuple(row[name]) for name in ("options", "scores", "further", "others")})
    return [Answered(**row) for row in rows]


def task_matrices(answers: Sequence[Answered]) -> dict[str, TaskMatrix]:
    """Answers as one matrix a task."""
    by_task: dict[str, list[Answered]] = {}
    for answer in answers:
        by_task.setdefault(answer.task, []).append(answer)
    return {task: _matrix(held) for task, held in by_task.items()}


def _matrix(answers: Sequence[Answered]) -> TaskMatrix:
    rows = {row: place for place, row in enumerate(dict.fromkeys(answer.row for answer in answers))}
    templates = {number: place for place, number in enumerate(sorted({answer.template for answer in answers}))}
    values = np.full((len(rows), len(templates)), np.nan)
    first: dict[int, Answered] = {}
    for answer in answers:
        values[rows[answer.row], templates[answer.template]] = answer.value
        first.setdefault(answer.row, answer)
    return TaskMatrix(
        task=answers[0].task,
        cluster=answers[0].cluster,
        kind=answers[0].kind,
        metric=answers[0].metric,
        values=values,
        templates=tuple(templates),
        rows=tuple(rows),
        expected=tuple(_right(first[row]) for row in rows),
        options=tuple(len(first[row].options) for row in rows),
        others=_further(answers),
    )


def _further(answers: Sequence[Answered]) -> dict[str, float]:
    """The task's further metrics: means over answers, or over templates of what all its answers score together."""
    names = answers[0].further
    if answers[0].kind == "generated":
        return {name: float(np.mean([answer.others[place] for answer in answers])) for place, name in enumerate(names)}
    by_template: dict[int, list[Answered]] = {}
    for answer in answers:
        by_template.setdefault(answer.template, []).append(answer)
    tables = [_choices(held) for held in by_template.values()] if names else []
    return {name: float(np.mean([AGGREGATES[name](table) for table in tables])) for name in names}


def _choices(answers: Sequence[Answered]) -> Choices:
    return Choices(
        right=tuple(answer.options.index(answer.expected) for answer in answers),
        chosen=tuple(answer.options.index(answer.answer) for answer in answers),
        options=tuple(answer.options for answer in answers),
        groups=tuple(answer.group or str(answer.row) for answer in answers),
    )


def _right(answer: Answered) -> str:
    return str(answer.options.index(answer.expected)) if answer.options else answer.expected
