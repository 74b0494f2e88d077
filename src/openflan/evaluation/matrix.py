"""Answers on disk, one Parquet file a task, and as arrays.

Everything that is reported comes from these files, offline: means, spreads, intervals, comparisons. A file appears
whole or not at all and carries the key of what it answers: model, format, task, prompts and settings. Its pages have
checksums, so a changed byte is an error and never another number.

    <folder>/<task>.parquet     a row of the table = a test or validation row under a template
                                columns = the fields of `Answered`, and the option scores under every normalisation
                                template = its number, or null for the task's baseline

Cost: 15 ms to read 2,000 answers. Rejected: one file for all tasks, of which a killed evaluation leaves nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.errors import UserError
from openflan.evaluation.answered import Answered, of_test, rescored
from openflan.evaluation.measures import OptionCells, option_cells
from openflan.evaluation.metrics import AGGREGATES, Choices
from openflan.evaluation.scores import SCORES, Ends, Rule, Score
from openflan.prompts.render import BASELINE, TemplateId
from openflan.stage import whole_file

__all__ = [
    "MATRIX_SCHEMA",
    "TaskMatrix",
    "answers_of",
    "read_answers",
    "read_key",
    "read_matrix",
    "reading",
    "task_matrices",
    "write_answers",
]

MATRIX_SCHEMA = 3
"""Version of the columns."""

_GROUP = 16_384
"""Answers that are read together where single ones are looked for."""
_LISTS = {
    "listed": "int64",
    "options": "string",
    "gold": "int64",
    "scores": "double",
    "option_tokens": "int64",
    "unconditional": "double",
    "ends": "double",
    "ends_alone": "double",
    "further": "string",
    "others": "double",
}
_TYPES = {
    "row": "int64",
    "template": "int64",
    "turn": "int64",
    "together": "double",
    "written": "int64",
    "value": "double",
    "value_with_end": "double",
    "cut": "bool",
    "tied": "bool",
    "close": "bool",
}


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


def write_answers(path: Path, answers: Sequence[Answered], *, key: str, facts: Mapping[str, Any]) -> None:
    """Write one task's answers; a reader sees the whole file or none.

    Args:
        key: hash of everything the answers depend on.
        facts: what else the file should tell about itself.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {f.name: [getattr(answer, f.name) for answer in answers] for f in fields(Answered)}
    columns["template"] = [None if number == BASELINE else number for number in columns["template"]]
    for score in SCORES:
        columns[f"scores_{score}"] = [_normalised(answer, score) for answer in answers]
    schema = pa.schema([(name, _type(pa, name)) for name in columns])
    header = {"schema": str(MATRIX_SCHEMA), "key": key, "facts": json.dumps(dict(facts))}
    table = pa.table(columns, schema=schema.with_metadata({f"openflan.{name}": text for name, text in header.items()}))
    with whole_file(path) as partial:
        pq.write_table(table, partial, write_page_checksum=True, row_group_size=_GROUP)


def read_key(path: Path) -> str | None:
    """The key of a file of answers; None where there is no file.

    Raises:
        UserError: the file is damaged.
    """
    return _header(path).key if path.is_file() else None


def read_answers(path: Path, *, score: Score | None = None, ends: Ends = "as_tuned") -> list[Answered]:
    """Read what `write_answers` wrote.

    Args:
        score: decide ranked answers by this normalisation, whatever they were decided by.
        ends: and count the end of an answer so, where a score is given.

    Raises:
        UserError: the file is damaged, or of another version.
    """
    import pyarrow.parquet as pq

    with reading(path) as noise:
        # damage to what others read of it counts, too
        answers = answers_of(pq.read_table(path, page_checksum_verification=True))
    ranked = [answer for answer in answers if answer.kind == "ranked"]
    if score is None or (ends == "as_tuned" and all(answer.score == score for answer in ranked)):
        return answers  # as they were decided
    return rescored(answers, score, noise=noise, ends=ends)


@contextmanager
def reading(path: Path) -> Iterator[float]:
    """Read a file of answers; gives by how many nats its log-likelihoods may be off.

    Raises:
        UserError: the file is damaged, or of another version.
    """
    import pyarrow as pa

    header = _header(path)
    try:
        yield header.noise
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError) as error:
        raise _damaged(path, error) from None


def answers_of(stored: Any) -> list[Answered]:
    """The answers of a stored table, or of a part of it.

    Raises:
        KeyError: it has other columns than were written.
    """
    import pyarrow as pa

    table = stored.select([f.name for f in fields(Answered)])
    if table.schema.types != [_type(pa, name) for name in table.schema.names]:
        raise KeyError("other columns than were written")  # damage to what the pages' checksums do not cover
    names = table.schema.names
    columns = [_tuples(table[name]) if name in _LISTS else _plain(table[name]) for name in names]
    columns[names.index("template")] = [BASELINE if n is None else n for n in columns[names.index("template")]]
    return [Answered(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]


def read_matrix(folder: Path, *, score: Score | None = None, ends: Ends = "as_tuned") -> list[Answered]:
    """All answers in a folder, task by task in order of name; the arguments are those of `read_answers`.

    Raises:
        UserError: there are none, or a file is damaged.
    """
    paths = sorted(folder.glob("[!.]*.parquet"))
    if not paths:
        raise UserError("no answers there", where=str(folder), how="`openflan eval` or `openflan run` makes them")
    return [answer for path in paths for answer in read_answers(path, score=score, ends=ends)]


def task_matrices(answers: Sequence[Answered]) -> dict[str, TaskMatrix]:
    """Answers as one matrix a task."""
    by_task: dict[str, list[Answered]] = {}
    for answer in answers:
        by_task.setdefault(answer.task, []).append(answer)
    return {task: _matrix(own) for task, own in by_task.items()}


def _matrix(every: Sequence[Answered]) -> TaskMatrix:
    asked = [answer for answer in every if answer.split != "content_free"]
    answers = of_test(asked) or [answer for answer in asked if answer.template != BASELINE]
    rows = {row: place for place, row in enumerate(dict.fromkeys(answer.row for answer in answers))}
    first: dict[int, Answered] = {}
    for answer in answers:
        first.setdefault(answer.row, answer)
    chooses = [answer for answer in asked if answer.split == "validation"]
    natural = [a for a in asked if a.split == "test" and a.template == BASELINE and a.row in rows]
    without_content = [answer for answer in every if answer.split == "content_free"]
    cells = option_cells(answers, without_content, rows)
    of_baseline = option_cells(natural, (), rows)
    return TaskMatrix(
        task=answers[0].task,
        cluster=answers[0].cluster,
        kind=answers[0].kind,
        metric=answers[0].metric,
        values=_cells(answers, rows, [answer.value for answer in answers]),
        templates=tuple(_numbers(answers)),
        rows=tuple(rows),
        expected=tuple(_right(first[row]) for row in rows),
        options=tuple(len(first[row].options) for row in rows),
        others=_further(answers),
        row_hashes=tuple(first[row].row_hash or str(row) for row in rows),
        groups=tuple(first[row].group or f"row {row}" for row in rows),
        validation={
            number: float(np.mean([answer.value for answer in chooses if answer.template == number]))
            for number in _numbers(chooses)
        }
        or None,
        validation_rows=len({answer.row for answer in chooses}),
        baseline=_cells(natural, rows, [answer.value for answer in natural])[:, 0] if natural else None,
        cells=cells,
        measures=cells.measures if cells else {},
        baseline_measures=_means(of_baseline),
        answers=len(answers),
        rule=next((answer.rule for answer in answers if answer.rule is not None), None),
        nested=sum(answer.rule is not None for answer in answers),
        with_end=_cells(answers, rows, [a.value if a.value_with_end is None else a.value_with_end for a in answers])
        if any(answer.value_with_end is not None for answer in answers)
        else None,
        ties=sum(answer.tied for answer in answers),
        close=sum(answer.close for answer in answers),
        cut=sum(answer.cut for answer in answers),
    )


def _cells(answers: Sequence[Answered], rows: Mapping[int, int], values: Sequence[float]) -> NDArray[np.float64]:
    """(rows, templates) Means of values over the turns of each cell."""
    templates = {number: place for place, number in enumerate(_numbers(answers) or [BASELINE])}
    total, count = (np.zeros((len(rows), len(templates))) for _ in range(2))
    for answer, value in zip(answers, values, strict=True):
        cell = rows[answer.row], templates[answer.template]
        total[cell] += value
        count[cell] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _means(cells: OptionCells | None) -> dict[str, float]:
    return {} if cells is None else {name: float(np.nanmean(values)) for name, values in cells.measures.items()}


def _numbers(answers: Sequence[Answered]) -> list[int]:
    """The templates that answers were asked under, in order."""
    return sorted({answer.template for answer in answers if answer.template != BASELINE})


def _further(answers: Sequence[Answered]) -> dict[str, float]:
    """The task's further metrics: means over answers, or over templates of what all its answers score together."""
    names = answers[0].further
    if answers[0].kind == "generated":
        return {name: float(np.mean([answer.others[place] for answer in answers])) for place, name in enumerate(names)}
    by_template: dict[TemplateId, list[Answered]] = {}
    for answer in answers:
        by_template.setdefault(answer.template, []).append(answer)
    tables = [_choices(own) for own in by_template.values()] if names else []
    return {name: float(np.mean([AGGREGATES[name](table) for table in tables])) for name in names}


def _choices(answers: Sequence[Answered]) -> Choices:
    return Choices(
        right=tuple(answer.options.index(answer.expected) for answer in answers),
        chosen=tuple(answer.options.index(answer.answer) for answer in answers),
        options=tuple(answer.options for answer in answers),
        groups=tuple(f"{answer.group or answer.row} {answer.turn}" for answer in answers),
    )


def _right(answer: Answered) -> str:
    return str(answer.options.index(answer.expected)) if answer.options else answer.expected


def _plain(column: Any) -> list[Any]:
    """A stored column as Python's values; `to_pylist` makes an object of Arrow's for each, which takes far longer."""
    if column.null_count and column.type not in ("string", "large_string"):
        values: list[Any] = column.to_pylist()
    else:
        values = column.to_numpy(zero_copy_only=False).tolist()
    return values


def _tuples(column: Any) -> list[tuple[Any, ...]]:
    """The same of a column of lists."""
    found: list[tuple[Any, ...]] = []
    for chunk in column.chunks:
        values, ends = _plain(chunk.values), chunk.offsets.to_numpy().tolist()
        found += [tuple(values[first:end]) for first, end in pairwise(ends)]
    return found


def _normalised(answer: Answered, score: Score) -> list[float]:
    if answer.kind != "ranked" or (score == "pmi" and not answer.unconditional):
        return []
    return answer.option_scores.normalised(score)


def _type(pa: Any, name: str) -> Any:
    plain = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}
    if name in _LISTS:
        return pa.list_(plain[_LISTS[name]])
    if name.startswith("scores_"):
        return pa.list_(plain["double"])
    return plain["bool"] if name == "dirty" else plain[_TYPES.get(name, "string")]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Header:
    """What a file says of itself."""

    key: str
    noise: float


def _header(path: Path) -> _Header:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
        stored = {name.decode().removeprefix("openflan."): text.decode() for name, text in metadata.items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from None
    if stored.get("schema") != str(MATRIX_SCHEMA):
        what = f"answers of version {stored.get('schema', 'unknown')}; this openflan reads version {MATRIX_SCHEMA}"
        raise UserError(what, where=str(path), how="move the file away and measure again")
    try:
        return _Header(key=stored["key"], noise=float(json.loads(stored["facts"])["noise"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    how = "delete this file and measure again; the other tasks are kept"
    return UserError(f"no whole file of answers ({reason})", where=str(path), how=how)
