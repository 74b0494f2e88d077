"""Answers on disk, one Parquet file a task: written, and read as records or as arrays.

Everything that is reported comes from these files, offline: means, spreads, intervals, comparisons. A file appears
whole or not at all and carries the key of what it answers: model, format, task, prompts and settings. Its pages have
checksums, so a changed byte is an error and never another number.

    <folder>/<task>.parquet     a row of the table = a test or validation row under a template
                                columns = the fields of `Answered`, and the option scores under every normalisation
                                template = its number, or null for the task's baseline

Cost: 15 ms to read 2,000 answers as records, 7 as arrays. Rejected: one file for all tasks, of which a killed
evaluation leaves nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.evaluation.answer_arrays import ARRAY_COLUMNS, AnswerArrays
from openflan.evaluation.answered import Answered, rescored
from openflan.evaluation.scores import SCORES, Ends, Score
from openflan.prompts.render import BASELINE
from openflan.stage import whole_file

__all__ = [
    "MATRIX_SCHEMA",
    "answer_files",
    "answers_of",
    "read_answers",
    "read_arrays",
    "read_key",
    "read_matrix",
    "reading",
    "table_of",
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


def write_answers(path: Path, answers: Sequence[Answered], *, key: str, facts: Mapping[str, Any]) -> None:
    """Write one task's answers; a reader sees the whole file or none.

    Args:
        key: hash of everything the answers depend on.
        facts: what else the file should tell about itself.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = table_of(answers, names=[f.name for f in fields(Answered)])
    for score in SCORES:
        name = f"scores_{score}"
        values = pa.array([_normalised(answer, score) for answer in answers], type=_type(pa, name))
        table = table.append_column(name, values)
    header = {"schema": str(MATRIX_SCHEMA), "key": key, "facts": json.dumps(dict(facts))}
    table = table.replace_schema_metadata({f"openflan.{name}": text for name, text in header.items()})
    with whole_file(path) as partial:
        pq.write_table(table, partial, write_page_checksum=True, row_group_size=_GROUP)


def table_of(answers: Sequence[Answered], names: Sequence[str] = ARRAY_COLUMNS) -> Any:
    """Answers as a pyarrow table, as they are stored.

    Args:
        names: its columns, fields of `Answered`.
    """
    import pyarrow as pa

    columns: dict[str, list[Any]] = {name: [getattr(answer, name) for answer in answers] for name in names}
    columns["template"] = [None if number == BASELINE else number for number in columns["template"]]
    return pa.table(columns, schema=pa.schema([(name, _type(pa, name)) for name in columns]))


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


def read_arrays(path: Path, *, score: Score | None = None, ends: Ends = "as_tuned") -> AnswerArrays | None:
    """A file of answers without their texts; None where it holds none. The arguments are those of `read_answers`.

    Raises:
        UserError: as `read_answers`, or the score can't be had.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path) as noise, pq.ParquetFile(path, page_checksum_verification=True) as file:
        # other columns, too, for their pages' checksums: damage counts wherever it lies
        table = file.read(use_threads=False).select(ARRAY_COLUMNS)
        if table.schema.types != [_type(pa, name) for name in ARRAY_COLUMNS]:
            raise KeyError("other columns than were written")
        return AnswerArrays.of(table, score=score, ends=ends, noise=noise) if len(table) else None


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

    whole = pa.Table.from_batches([stored]) if isinstance(stored, pa.RecordBatch) else stored
    table = whole.select([f.name for f in fields(Answered)])
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
    return [answer for path in answer_files(folder) for answer in read_answers(path, score=score, ends=ends)]


def answer_files(folder: Path) -> list[Path]:
    """The files of answers in a folder, by name.

    Raises:
        UserError: there are none.
    """
    paths = sorted(folder.glob("[!.]*.parquet"))
    if not paths:
        raise UserError("no answers there", where=str(folder), how="`openflan eval` or `openflan run` makes them")
    return paths


def _plain(column: Any) -> list[Any]:
    """A stored column as Python's values; `to_pylist` makes an object of Arrow's for each, which takes far longer."""
    if column.null_count and column.type not in ("string", "large_string"):
        values: list[Any] = column.to_pylist()
    else:
        values = column.to_numpy(zero_copy_only=False).tolist()
    return values


def _tuples(column: Any) -> list[tuple[Any, ...]]:
    """The same of a column of lists."""
    tuples: list[tuple[Any, ...]] = []
    for chunk in column.chunks:
        values, ends = _plain(chunk.values), chunk.offsets.to_numpy().tolist()
        tuples += [tuple(values[first:end]) for first, end in pairwise(ends)]
    return tuples


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
