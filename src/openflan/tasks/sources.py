"""Rows of a task's roles: from the hub, local files, the starter world or the task's twin, sliced and cleaned.

A row keeps the index it had in its source split, so every prompt can be traced back. A twin is a handful of rows
in the hub's schema, written for openflan and shipped beside the task: what can be shown and tested with no network.

Invariant: the same spec and the same source give the same rows in the same order, and training and validation rows
that are cut from one split never overlap: of a split so short that validation would take over half of it, validation
gets a tenth. Cost: 2,000 rows in about 20 ms.
"""

import itertools
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import openflan_starter
from openflan.errors import UserError, did_you_mean
from openflan.stage import fingerprint_of, hash_file
from openflan.tasks.apart import Apart, part_rows
from openflan.tasks.by_place import FileRows
from openflan.tasks.catalog import Entry
from openflan.tasks.cleaning import RowCleaner, file_rows, unrolled
from openflan.tasks.hub import read_hub
from openflan.tasks.local import is_twin, local_path, places_of, twin_of
from openflan.tasks.opened import unpacked_size
from openflan.tasks.parquet import ParquetRows
from openflan.tasks.splits import Role, parse_slice

__all__ = [
    "ByPlace",
    "NumberedRows",
    "SourceRow",
    "cleaned_rows",
    "load_rows",
    "load_twin",
    "must_be_fetched",
    "no_rows",
    "numbered_rows",
    "origin",
    "rows_at_hand",
    "source_bytes",
    "source_fingerprint",
    "source_name",
]


_TWIN_ROWS = {"train": slice(None, -4), "validation": slice(-4, -2), "test": slice(-2, None)}


ByPlace = Callable[[Path], FileRows]
"""Opens a file whose rows have a length and can be taken by place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberedRows:
    """Rows of a role as their source has them."""

    place: str
    """Where they come from, in words."""
    rows: Iterable[tuple[int, dict[str, Any]]]
    """Each with its index in the split."""
    count: Callable[[], int] | None = None
    """How many the role has, without reading them all; None where it takes that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRow:
    """A cleaned row and where it stood."""

    index: int
    """Position in the source split, before slicing and cleaning."""
    fields: dict[str, Any]
    source: str = field(default="", compare=False)
    """Where it was read from, in words."""

    @property
    def place(self) -> str:
        """Source and row in the words of an error."""
        return f"{self.source}, row {self.index + 1}" if self.source else f"row {self.index + 1}"


def origin(entry: Entry, role: Role, *, data: Path | None = None) -> str:
    """Where a role's rows are read from, in words that name no path of this machine."""
    source = entry.spec.source
    if source.starter is not None:
        return "starter world"
    if source.local_files is not None:
        return "own files"
    path = local_path(entry, role, _parse_split(entry, role)[0], data)
    if path is None:
        return "by hand" if source.hub is None else f"hub, {source.hub} at {source.revision or 'main'}"
    return "twin" if is_twin(entry, path) else "folder of data"


def load_rows(
    entry: Entry,
    role: Role,
    *,
    data: Path | None = None,
    limit: int | None = None,
    faulty: set[int] | None = None,
) -> list[SourceRow]:
    """The rows that a task uses for training, validation or test.

    Args:
        data: what `find_data` found: folders with `<task>/<split>.*` files, which stand in for the hub.
        limit: keep at most this many rows, the first ones.
        faulty: rows that break the task's contract are left out and their places put here; None: they raise.

    Raises:
        UserError: a file, split or column is missing, a line is malformed, or no row is left.
    """
    result: list[SourceRow] = []
    faults: list[UserError] = []
    numbered = numbered_rows(entry, role, data)
    place = numbered.place
    for row in cleaned_rows(entry, role, numbered, faulty=faulty, faults=faults):
        if row is not None:
            result.append(row)
            if limit is not None and len(result) >= limit:
                break
    if not result:
        raise faults[0] if faults else no_rows(entry, role, place)
    return result


def no_rows(entry: Entry, role: Role, place: str) -> UserError:
    """The error that cleaning leaves nothing of a split."""
    return UserError(
        f"no rows left in {entry.spec.name}, split '{entry.spec.splits[role]}'",
        where=place,
        how="check the file, the slice and the cleaning steps, or leave the task out",
    )


def cleaned_rows(
    entry: Entry,
    role: Role,
    numbered: NumberedRows,
    *,
    faulty: set[int] | None = None,
    faults: list[UserError] | None = None,
) -> Iterator[SourceRow | None]:
    """Rows of a role as a task uses them, None for each that it leaves out.

    Args:
        numbered: the role's rows, or some of them.
        faulty: as for `load_rows`.
        faults: what was wrong with those is put here.

    Raises:
        UserError: as `load_rows`.
    """
    spec = entry.spec
    without = {number - 1 for number in spec.source.without.get(_parse_split(entry, role)[0], ())}
    clean = RowCleaner(entry).clean
    for index, row in numbered.rows:
        cleaned = None
        if index not in without:
            try:
                cleaned = clean(row, where=f"{numbered.place}, row {index + 1}")
            except UserError as error:
                if spec.source.faulty != "leave_out":
                    if faulty is None:
                        raise
                    faulty.add(index)
                    if faults is not None:
                        faults.append(error)
        yield None if cleaned is None else SourceRow(index=index, fields=cleaned, source=numbered.place)


def load_twin(entry: Entry) -> list[SourceRow]:
    """All rows of a task's twin that cleaning leaves.

    Raises:
        UserError: the task has no twin, or a row breaks the contract.
    """
    path = twin_of(entry)
    rows = enumerate(unrolled(entry, file_rows(entry, path)))
    clean = RowCleaner(entry).clean
    cleaned = ((index, clean(row, where=f"{path}, row {index + 1}")) for index, row in rows)
    return [SourceRow(index=index, fields=row, source=str(path)) for index, row in cleaned if row is not None]


def rows_at_hand(entry: Entry, role: Role, *, data: Path | None = None) -> bool:
    """Whether a role's rows can be read with no network: made by the starter world, or in a file."""
    split, *_ = _parse_split(entry, role)
    if entry.spec.source.starter is not None or entry.spec.source.local_files is not None:
        return True
    try:
        return local_path(entry, role, split, data) is not None
    except UserError:
        return False


def source_bytes(entry: Entry, role: Role, *, data: Path | None = None) -> int:
    """Size of the file that a role's rows are read from, unpacked where that is told; 0 where they are in none."""
    try:
        path = local_path(entry, role, _parse_split(entry, role)[0], data)
    except UserError:
        return 0
    return unpacked_size(path) if path is not None and path.is_file() else 0


def must_be_fetched(entry: Entry, *, data: Path | None = None) -> bool:
    """Whether a task's rows must be fetched by hand and are neither among the folders of data nor its twin's."""
    roles: tuple[Role, ...] = ("train", "validation", "test")
    there = (rows_at_hand(entry, role, data=data) for role in roles if role in entry.spec.splits)
    return entry.spec.source.by_hand is not None and not any(there)


def source_fingerprint(entry: Entry, role: Role, *, data: Path | None = None) -> str:
    """Hash of what a role's rows are read from: file content, hub id and revision, or the starter's version."""
    source = entry.spec.source
    split, start, stop = _parse_split(entry, role)
    if source.starter is not None:
        return fingerprint_of(["starter", source.starter, _starter_version(), split])
    if source.apart is not None:
        every = {str(local_path(entry, role, name, None)) for name in entry.spec.splits.values()}
        return fingerprint_of([hash_file(Path(file)) for file in sorted(every)])
    path = local_path(entry, role, split, data)
    if path is not None:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        return fingerprint_of([hash_file(file) for file in files])
    identity = ["hub", source.hub, source.config, source.revision, split, start, stop]
    return fingerprint_of([*identity, *source.patterns(split)])


def source_name(entry: Entry, role: Role, *, data: Path | None = None) -> str:
    """What a role's rows are read from, without a look into it: stands for `source_fingerprint` in a forecast."""
    split, *_ = _parse_split(entry, role)
    try:
        path = local_path(entry, role, split, data)
    except UserError:
        return f"no file in {data}"
    return source_fingerprint(entry, role, data=data) if path is None else str(path)


@cache
def _starter_version() -> str:
    """Hash of the version of the generator's rows and of its word lists."""
    words = sorted((openflan_starter.FOLDER / "data").iterdir())
    return fingerprint_of([openflan_starter.ROWS_VERSION, *map(hash_file, words)])


def _parse_split(entry: Entry, role: Role) -> tuple[str, int | None, int | None]:
    text = entry.spec.splits.get(role)
    if text is None:
        raise UserError(
            f"task '{entry.spec.name}' has no {role} split", where=str(entry.path), how=f"add splits.{role}"
        )
    return parse_slice(text)


def numbered_rows(
    entry: Entry, role: Role, data: Path | None, *, by_place: ByPlace | None = None, since: int = 0
) -> NumberedRows:
    """A role's rows before they are cleaned.

    Args:
        data: as for `load_rows`.
        by_place: opens a file so that a few of its rows can be read; without it files are read from their start.
        since: so many of the role's rows at the start are passed over.

    Raises:
        UserError: as `load_rows`.
    """
    split, start, stop = _parse_split(entry, role)
    source = entry.spec.source
    if source.apart is not None:
        return _parted(entry, role, source.apart, by_place, since)
    path = local_path(entry, role, split, data)
    if path is not None and is_twin(entry, path):
        every = list(enumerate(unrolled(entry, file_rows(entry, path))))
        mine = every if "train" not in entry.spec.splits else every[_TWIN_ROWS[role]]
        return NumberedRows(place=str(path), rows=mine[since:], count=lambda: len(mine))
    shared = {role} <= {"train", "validation"} and _share_a_split(entry)
    whole = source.shuffle is not None or (start or 0) < 0 or (stop or 0) < 0
    if shared:
        _, *bounds = _parse_split(entry, "validation")
        whole = whole or any((at or 0) < 0 for at in bounds)
    rows: Any
    if path is not None and by_place is not None and source.unroll is None:
        place, rows = str(path), by_place(path)
    else:
        place, rows = _read(entry, role, split, data, stream=source.stream and (not whole or source.files is not None))
    rows = unrolled(entry, rows)
    if not whole and not isinstance(rows, ParquetRows):
        first = since + (start or 0)
        end = None if stop is None else max(first, stop)
        if not isinstance(rows, FileRows):
            return NumberedRows(place=place, rows=itertools.islice(enumerate(rows), first, end))
        run = range(first, sys.maxsize if end is None else end)
        taken_rows = zip(run, rows.take(run), strict=False)
        return NumberedRows(place=place, rows=taken_rows, count=lambda: len(range(len(rows))[start:stop]))
    table: Any = rows if hasattr(rows, "__len__") else list(rows)
    places: Sequence[int] = range(len(table))
    if source.shuffle is not None:
        places = list(places)
        random.Random(source.shuffle).shuffle(places)
    chosen = places[start:stop]
    if shared:
        validation = places[slice(*bounds)]
        if 2 * len(validation) > len(places):
            validation = validation[-max(1, len(places) // 10) :]
            chosen = places[start : stop if (stop or 0) >= 0 else None]  # the end that validation leaves
        members = set(validation)
        chosen = validation if role == "validation" else [index for index in chosen if index not in members]
    count, chosen = len(chosen), chosen[since:]
    picked = table.take(chosen) if isinstance(table, FileRows | ParquetRows) else (table[index] for index in chosen)
    return NumberedRows(place=place, rows=zip(chosen, picked, strict=True), count=lambda: count)


def _parted(entry: Entry, role: Role, rule: Apart, by_place: ByPlace | None, since: int) -> NumberedRows:
    """A role's rows of own files, kept apart from the other roles'; rows are numbered within their file."""
    paths = {split: local_path(entry, role, split, None) for split in dict.fromkeys(entry.spec.splits.values())}
    there = {split: path for split, path in paths.items() if path is not None}
    stamps = tuple((str(path.resolve()), path.stat().st_mtime_ns, path.stat().st_size) for path in there.values())
    source = entry.spec.source
    read = (source.encoding, source.separator, source.decimal, source.sheet, source.faulty)
    key = repr((rule, read, entry.spec.splits, entry.spec.columns, stamps))
    split = entry.spec.splits[role]
    cached = key in _PARTED
    needed = [split] if cached else [*there]
    rows = {} if cached and by_place else {name: list(file_rows(entry, there[name])) for name in needed}
    if not cached:
        while len(_PARTED) >= _PARTED_AT_MOST:
            del _PARTED[next(iter(_PARTED))]
        _PARTED[key] = part_rows(rule, rows, entry.spec.splits)
    every = _PARTED[key][role]
    places = every[since:]
    if split not in rows and by_place is not None:
        numbered: Iterable[tuple[int, dict[str, Any]]] = zip(places, by_place(there[split]).take(places), strict=True)
    else:
        numbered = [(place, rows[split][place]) for place in places]
    return NumberedRows(place=str(paths[split]), rows=numbered, count=lambda: len(every))


_PARTED: dict[str, dict[Role, list[int]]] = {}
"""Places of the tables that were parted last, by the rule and by what they were read from."""
_PARTED_AT_MOST = 64


def _share_a_split(entry: Entry) -> bool:
    """Whether training and validation rows are cut from one split by slices that could meet."""
    if not {"train", "validation"} <= set(entry.spec.splits):
        return False
    train, validation = (_parse_split(entry, role) for role in ("train", "validation"))
    return train[0] == validation[0] and train[1:] != validation[1:]


def _read(
    entry: Entry, role: Role, split: str, data: Path | None, *, stream: bool
) -> tuple[str, Iterable[dict[str, Any]]]:
    """Where rows come from, in words, and the rows."""
    source = entry.spec.source
    if source.starter is not None:
        from openflan_starter import rows as starter

        if source.starter not in starter.TASKS:
            raise UserError(
                f"the starter world has no rows '{source.starter}'",
                where=str(entry.path),
                how=did_you_mean(source.starter, starter.TASKS),
            )
        return f"starter world, {source.starter}, {split}", starter.rows(source.starter, split)
    path = local_path(entry, role, split, data)
    if path is not None:
        return str(path), file_rows(entry, path)
    if source.hub is None:
        raise UserError(
            f"the rows of '{entry.spec.name}' must be fetched by hand",
            where=str(entry.path),
            how=f"{source.by_hand}; then give their folder with --data",
        )
    try:
        return f"{source.hub}, {split}", read_hub(entry, split, stream=stream)
    except UserError as error:
        folders, _ = places_of(data)
        how = f"put its files into {folders[0] / entry.spec.name}, or {error.how}" if folders else error.how
        raise UserError(error.what, where=error.where, how=how) from error
