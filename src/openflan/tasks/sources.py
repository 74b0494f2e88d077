"""Rows: from the hub, from local files, or from the starter world, cleaned and with their place of origin.

A row keeps the index it had in its source split, so every prompt can be traced back. Files are read line by line
with our own loop because an error must name the file and the line; the hub goes through `datasets`.

Invariant: the same spec and the same files give the same rows in the same order. Cost: 2,000 JSON lines in about
10 ms. Rejected: `datasets.load_dataset("json")` for local files, which reports a broken line without its number
and guesses one column type from all rows.
"""

import csv
import gzip
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import openflan
from openflan.errors import UserError, did_you_mean
from openflan.stage import fingerprint_of, hash_file
from openflan.tasks.catalog import Entry
from openflan.tasks.rows import STEPS

__all__ = ["Role", "SourceRow", "load_rows", "source_fingerprint"]

Role = Literal["train", "validation", "test"]

_SLICE = re.compile(r"(?P<split>[\w.\-]+)(\[(?P<start>-?\d+)?:(?P<stop>-?\d+)?\])?\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRow:
    """A cleaned row and where it stood."""

    index: int
    """Position in the source split, before slicing and cleaning."""
    fields: dict[str, Any]


def load_rows(entry: Entry, role: Role, *, data: Path | None = None, limit: int | None = None) -> list[SourceRow]:
    """The rows that a task uses for training, validation or test.

    Args:
        data: a folder with `<task>/<split>.jsonl[.gz]` files that stands in for the hub.
        limit: keep at most this many rows, the first ones.

    Raises:
        UserError: a file, split or column is missing, a line is malformed, or no row is left.
    """
    spec = entry.spec
    split, start, stop = _parse_split(entry, role)
    place, raw = _read(entry, role, split, data)
    from_the_end = (start or 0) < 0 or (stop or 0) < 0
    numbered = enumerate(raw)
    rows = list(numbered)[start:stop] if from_the_end else itertools.islice(numbered, start or 0, stop)
    kept: list[SourceRow] = []
    for index, row in rows:
        cleaned = _clean(entry, row, where=f"{place}, row {index + 1}")
        if cleaned is not None:
            kept.append(SourceRow(index=index, fields=cleaned))
            if limit is not None and len(kept) >= limit:
                break
    if not kept:
        raise UserError(
            f"no rows left in {spec.name}, split '{spec.splits[role]}'",
            where=place,
            how="check the file, the slice and the cleaning steps, or leave the task out",
        )
    return kept


def source_fingerprint(entry: Entry, role: Role, *, data: Path | None = None) -> str:
    """Hash of what a role's rows are read from: file content, hub id and revision, or the starter's version."""
    source = entry.spec.source
    split, _, _ = _parse_split(entry, role)
    if source.starter is not None:
        return fingerprint_of(["starter", source.starter, _starter_version(), split])
    path = _local_file(entry, role, split, data)
    if path is not None:
        return hash_file(path)[:16]
    return fingerprint_of(["hub", source.hub, source.config, source.revision, split])


@cache
def _starter_version() -> str:
    """Hash of the generator's code and word lists."""
    folder = Path(openflan.__file__).parent / "starter"
    files = [path for path in sorted(folder.rglob("*")) if path.suffix == ".py" or path.parent.name == "data"]
    return fingerprint_of([hash_file(path) for path in files])


def _parse_split(entry: Entry, role: Role) -> tuple[str, int | None, int | None]:
    text = entry.spec.splits.get(role)
    if text is None:
        raise UserError(
            f"task '{entry.spec.name}' has no {role} split", where=str(entry.path), how=f"add splits.{role}"
        )
    match = _SLICE.match(text)
    if match is None:
        raise UserError(f"splits.{role} is '{text}'", where=str(entry.path), how="write name or name[start:stop]")
    start, stop = (int(match[key]) if match[key] else None for key in ("start", "stop"))
    return match["split"], start, stop


def _read(entry: Entry, role: Role, split: str, data: Path | None) -> tuple[str, Iterator[dict[str, Any]]]:
    """Where rows come from, in words, and the rows."""
    source = entry.spec.source
    if source.starter is not None:
        from openflan.starter import rows as starter

        if source.starter not in starter.TASKS:
            raise UserError(
                f"the starter world has no rows '{source.starter}'",
                where=str(entry.path),
                how=did_you_mean(source.starter, starter.TASKS),
            )
        return f"starter world, {source.starter}, {split}", starter.rows(source.starter, split)
    path = _local_file(entry, role, split, data)
    if path is not None:
        return str(path), _read_file(path)
    return f"{source.hub}, {split}", _read_hub(entry, split)


def _local_file(entry: Entry, role: Role, split: str, data: Path | None) -> Path | None:
    """The file that holds a split, or None where the hub is to be asked."""
    source = entry.spec.source
    if source.files is not None:
        if split not in source.files:
            raise UserError(
                f"source.files has no split '{split}'", where=str(entry.path), how=f"add it for splits.{role}"
            )
        path = entry.path.parent / Path(source.files[split]).expanduser()
        if not path.is_file():
            raise UserError("no such file", where=str(path), how=f"mend source.files.{split} in {entry.path}")
        return path
    if data is None or source.starter is not None:
        return None
    folder = data / entry.spec.name
    names = [f"{name}{ending}" for name in dict.fromkeys((split, role)) for ending in (".jsonl", ".jsonl.gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(
        f"no file of split '{split}' for task '{entry.spec.name}'",
        where=str(folder),
        how=f"put {names[0]} or {names[1]} there, or leave the task out",
    )


def _read_file(path: Path) -> Iterator[dict[str, Any]]:
    name = path.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        return _read_json_lines(path)
    if name.endswith(".csv"):
        return _read_csv(path)
    if name.endswith(".parquet"):
        return _read_parquet(path)
    raise UserError("an unknown kind of file", where=str(path), how="use .jsonl, .jsonl.gz, .csv or .parquet")


def _read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise UserError("not a JSON object", where=f"{path}, line {number}", how="write one {...} a line")
                yield row
    except json.JSONDecodeError as error:
        where = f"{path}, line {number}"
        raise UserError(f"malformed JSON: {error.msg}", where=where, how="mend or delete that line") from None
    except UnicodeDecodeError:
        raise UserError("not UTF-8", where=f"{path}, line {number + 1}", how="save the file as UTF-8") from None
    except (gzip.BadGzipFile, EOFError):
        raise UserError("a damaged gzip file", where=str(path), how="copy or compress it again") from None


def _read_csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        try:
            yield from reader
        except csv.Error as error:
            where = f"{path}, line {reader.reader.line_num}"
            raise UserError(f"malformed CSV: {error}", where=where, how="mend that line, or use .jsonl") from None
        except UnicodeDecodeError:
            raise UserError("not UTF-8", where=str(path), how="save the file as UTF-8") from None


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError):
        raise UserError("a damaged parquet file, or none", where=str(path), how="write or copy it again") from None


def _read_hub(entry: Entry, split: str) -> Iterator[dict[str, Any]]:
    from datasets import load_dataset

    source = entry.spec.source
    try:
        dataset = load_dataset(source.hub, source.config, split=split, revision=source.revision)
    except Exception as error:  # the hub client raises many kinds; all mean "could not be had"
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"dataset {source.hub} could not be loaded ({first})",
            where=str(entry.path),
            how="check the network and the id, or give local files with --data",
        ) from error
    yield from dataset


def _clean(entry: Entry, row: dict[str, Any], *, where: str) -> dict[str, Any] | None:
    """Apply the spec's cleaning steps and hold the row to the spec's fields."""
    spec = entry.spec
    cleaned: Mapping[str, Any] = row
    for name in spec.rows:
        if name not in STEPS:
            hint = did_you_mean(name, STEPS) or f"known: {', '.join(STEPS)}"
            raise UserError(f"no cleaning step '{name}'", where=str(entry.path), how=hint)
        try:
            kept = STEPS[name](cleaned)
        except KeyError as error:
            raise _missing_field(entry, str(error.args[0]), row, where) from None
        if kept is None:
            return None
        cleaned = kept
    for name in spec.fields:
        if cleaned.get(name) is None:
            raise _missing_field(entry, name, row, where)
    return dict(cleaned)


def _missing_field(entry: Entry, name: str, row: Mapping[str, Any], where: str) -> UserError:
    there = [key for key in map(str, row) if key not in entry.spec.fields]
    return UserError(
        f"field '{name}' of task '{entry.spec.name}' is missing",
        where=where,
        how=did_you_mean(name, there) or f"the row has {', '.join(map(str, row)) or 'nothing'}",
    )
