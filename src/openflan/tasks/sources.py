"""Rows: from the hub, local files, the starter world or a task's twin, held to the contract and cleaned.

A row keeps the index it had in its source split, so every prompt can be traced back. A twin is a handful of rows
in the hub's schema, written for openflan and shipped beside the task: what can be shown and tested with no network.

Invariant: the same spec and the same source give the same rows in the same order, and training and validation rows
that are cut from one split never overlap: of a split so short that validation would take over half of it, validation
gets a tenth. Cost: 2,000 rows in about 20 ms.
"""

import itertools
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import openflan
from openflan.errors import UserError, did_you_mean
from openflan.stage import fingerprint_of, hash_file
from openflan.tasks.catalog import Entry
from openflan.tasks.columns import check_column, describe_features, difference
from openflan.tasks.readers import ENDINGS, is_rows, read_rows
from openflan.tasks.rows import STEPS, UNROLL
from openflan.tasks.spec import parse_slice

__all__ = [
    "TWINS",
    "Role",
    "SourceRow",
    "clean_row",
    "find_data",
    "load_rows",
    "load_twin",
    "rows_at_hand",
    "source_fingerprint",
    "unrolled",
]

Role = Literal["train", "validation", "test"]

TWINS = Path(":twins:")
"""In place of a folder of data: read the tasks' twins."""

_TWIN_ROWS = {"train": slice(None, -4), "validation": slice(-4, -2), "test": slice(-2, None)}


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRow:
    """A cleaned row and where it stood."""

    index: int
    """Position in the source split, before slicing and cleaning."""
    fields: dict[str, Any]


def find_data(named: str | None, find: Callable[[str], Path] = Path) -> Path | None:
    """The folder of rows that a setting or, without one, the environment variable OPENFLAN_DATA names.

    Args:
        named: a folder, `twins`, or None.
        find: resolves a relative path.

    Raises:
        UserError: there is no such folder.
    """
    where = "tasks.data"
    if named is None and os.environ.get("OPENFLAN_DATA"):
        named, where, find = os.environ["OPENFLAN_DATA"], "OPENFLAN_DATA", Path
    if named is None or named == "twins":
        return TWINS if named else None
    folder = find(named)
    if not folder.is_dir():
        raise UserError("no such folder of data", where=f"{where}: {named}", how="check the path")
    return folder


def load_rows(entry: Entry, role: Role, *, data: Path | None = None, limit: int | None = None) -> list[SourceRow]:
    """The rows that a task uses for training, validation or test.

    Args:
        data: a folder with `<task>/<split>.*` files that stands in for the hub, or `TWINS`.
        limit: keep at most this many rows, the first ones.

    Raises:
        UserError: a file, split or column is missing, a line is malformed, or no row is left.
    """
    spec = entry.spec
    place, numbered = _numbered(entry, role, data)
    kept: list[SourceRow] = []
    for index, row in numbered:
        cleaned = clean_row(entry, row, where=f"{place}, row {index + 1}")
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


def load_twin(entry: Entry) -> list[SourceRow]:
    """All rows of a task's twin that cleaning leaves.

    Raises:
        UserError: the task has no twin, or a row breaks the contract.
    """
    path = _twin(entry)
    found = enumerate(unrolled(entry, read_rows(path, entry.spec.columns)))
    cleaned = ((index, clean_row(entry, row, where=f"{path}, row {index + 1}")) for index, row in found)
    return [SourceRow(index=index, fields=row) for index, row in cleaned if row is not None]


def rows_at_hand(entry: Entry, role: Role, *, data: Path | None = None) -> bool:
    """Whether a role's rows can be read with no network: made by the starter world, or in a file."""
    split, *_ = _parse_split(entry, role)
    if entry.spec.source.starter is not None or entry.spec.source.files is not None:
        return True
    try:
        return _local_path(entry, role, split, data) is not None
    except UserError:
        return False


def source_fingerprint(entry: Entry, role: Role, *, data: Path | None = None) -> str:
    """Hash of what a role's rows are read from: file content, hub id and revision, or the starter's version."""
    source = entry.spec.source
    split, start, stop = _parse_split(entry, role)
    if source.starter is not None:
        return fingerprint_of(["starter", source.starter, _starter_version(), split])
    path = _local_path(entry, role, split, data)
    if path is not None:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        return fingerprint_of([hash_file(file) for file in files])
    return fingerprint_of(["hub", source.hub, source.config, source.revision, split, start, stop])


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
    return parse_slice(text)


def _numbered(entry: Entry, role: Role, data: Path | None) -> tuple[str, Iterable[tuple[int, dict[str, Any]]]]:
    """Where a role's rows come from, in words, and the rows with their index in the split."""
    split, start, stop = _parse_split(entry, role)
    source = entry.spec.source
    if data == TWINS and source.starter is None and source.files is None:
        path = _twin(entry)
        every = list(enumerate(unrolled(entry, read_rows(path, entry.spec.columns))))
        return str(path), every if "train" not in entry.spec.splits else every[_TWIN_ROWS[role]]
    shared = {role} <= {"train", "validation"} and _share_a_split(entry)
    whole = source.shuffle is not None or (start or 0) < 0 or (stop or 0) < 0
    if shared:
        _, *bounds = _parse_split(entry, "validation")
        whole = whole or any((at or 0) < 0 for at in bounds)
    place, rows = _read(entry, role, split, data, stream=source.stream and not whole)
    rows = unrolled(entry, rows)
    if not whole:
        return place, itertools.islice(enumerate(rows), start or 0, stop)
    table: Any = rows if hasattr(rows, "__len__") else list(rows)
    places = list(range(len(table)))
    if source.shuffle is not None:
        random.Random(source.shuffle).shuffle(places)
    chosen = places[start:stop]
    if shared:
        kept = places[slice(*bounds)]
        if 2 * len(kept) > len(places):
            kept = kept[-max(1, len(places) // 10) :]
        taken = set(kept)
        chosen = kept if role == "validation" else [index for index in chosen if index not in taken]
    return place, ((index, table[index]) for index in chosen)


def _share_a_split(entry: Entry) -> bool:
    """Whether training and validation rows are cut from one split by slices that could meet."""
    if not {"train", "validation"} <= set(entry.spec.splits):
        return False
    train, validation = (_parse_split(entry, role) for role in ("train", "validation"))
    return train[0] == validation[0] and train[1:] != validation[1:]


def unrolled(entry: Entry, rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The rows, or with `source.unroll` the several rows that each stands for."""
    name = entry.spec.source.unroll
    if name is None:
        return rows
    if name not in UNROLL:
        hint = did_you_mean(name, UNROLL) or f"known: {', '.join(UNROLL)}"
        raise UserError(f"no step '{name}'", where=f"{entry.path}, source.unroll", how=hint)
    return itertools.chain.from_iterable(UNROLL[name](row) for row in rows)


def _twin(entry: Entry) -> Path:
    path = entry.path.with_name(f"{entry.spec.name}.twin.jsonl")
    if not path.is_file():
        how = "give rows with --data DIR" if entry.collection == "catalog" else "write some rows there in your schema"
        raise UserError(f"task '{entry.spec.name}' has no twin", where=str(path), how=how)
    return path


def _read(
    entry: Entry, role: Role, split: str, data: Path | None, *, stream: bool
) -> tuple[str, Iterable[dict[str, Any]]]:
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
    path = _local_path(entry, role, split, data)
    if path is not None:
        return str(path), read_rows(path, entry.spec.columns)
    if source.hub is None:
        raise UserError(
            f"the rows of '{entry.spec.name}' must be fetched by hand",
            where=str(entry.path),
            how=f"{source.by_hand}; then give their folder with --data",
        )
    return f"{source.hub}, {split}", _read_hub(entry, split, stream=stream)


def _local_path(entry: Entry, role: Role, split: str, data: Path | None) -> Path | None:
    """The file that holds a split, or None where the hub is to be asked."""
    source = entry.spec.source
    if source.files is not None:
        if split not in source.files:
            raise UserError(
                f"source.files has no split '{split}'", where=str(entry.path), how=f"add it for splits.{role}"
            )
        path = entry.path.parent / Path(source.files[split]).expanduser()
        if not is_rows(path):
            raise UserError("no such file", where=str(path), how=f"mend source.files.{split} in {entry.path}")
        return path
    if data is None or source.starter is not None:
        return None
    if data == TWINS:
        return _twin(entry)
    folder = data / entry.spec.name
    names = [f"{name}{ending}" for name in dict.fromkeys((split, role)) for ending in ENDINGS]
    for name in names:
        if is_rows(folder / name):
            return folder / name
    raise UserError(
        f"no file of split '{split}' for task '{entry.spec.name}'",
        where=str(folder),
        how=f"put {names[0]} or another of {', '.join(ENDINGS[1:-1])} there, or leave the task out",
    )


def _read_hub(entry: Entry, split: str, *, stream: bool) -> Iterable[dict[str, Any]]:
    """A hub split: the whole table, or with `stream` an iterator that downloads what is read."""
    from datasets import load_dataset

    source = entry.spec.source
    try:
        dataset = load_dataset(source.hub, source.config, split=split, revision=source.revision, streaming=stream)
    except Exception as error:  # the hub client raises many kinds; all mean "could not be had"
        first = (str(error).splitlines() or [type(error).__name__])[0]
        how = "check the network and the id, or give local files with --data"
        if "scripts are no longer supported" in first:
            how = "set source.revision: refs/convert/parquet, or give local files with --data"
        raise UserError(
            f"dataset {source.hub} could not be loaded ({first})", where=str(entry.path), how=source.by_hand or how
        ) from error
    if entry.spec.columns and dataset.features is not None and source.unroll is None:
        found = difference(entry.spec.columns, describe_features(dict(dataset.features)), "")
        if found:
            raise _broken_contract(entry, found, f"{source.hub}, {split}")
    return dataset if not stream else _streamed(dataset)


def _streamed(dataset: Any) -> Iterator[dict[str, Any]]:
    yield from dataset


def _broken_contract(entry: Entry, found: str, where: str) -> UserError:
    return UserError(
        f"not the source that task '{entry.spec.name}' was written for: {found}",
        where=where,
        how=f"pin another source.revision, or mend 'columns' and 'answer' in {entry.path}",
    )


def clean_row(entry: Entry, row: dict[str, Any], *, where: str) -> dict[str, Any] | None:
    """A source row held to the contract, cleaned and with the spec's constants; None where a step drops it.

    Raises:
        UserError: a column or field is missing or of another type, or the spec names no known step.
    """
    spec = entry.spec
    for name, column in spec.columns.items():
        if name not in row and not (isinstance(column, str) and column.endswith("?")):
            raise _missing_field(entry, name, row, where)
        if found := check_column(column, row.get(name), name):
            raise _broken_contract(entry, found, where)
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
    return {**cleaned, **spec.constants}


def _missing_field(entry: Entry, name: str, row: Mapping[str, Any], where: str) -> UserError:
    there = [key for key in map(str, row) if key not in entry.spec.names]
    return UserError(
        f"field '{name}' of task '{entry.spec.name}' is missing",
        where=where,
        how=did_you_mean(name, there) or f"the row has {', '.join(map(str, row)) or 'nothing'}",
    )
