"""Rows of a file by their place: a few, from anywhere in it, without the others in memory.

Of JSON lines and tables of cells, the byte at which every 512th row begins is remembered as far as somebody has read;
of Parquet, the file says it itself. Any other kind of file is read from its start each time, one row in memory.

Invariant: row n is the n-th that `file_rows` gives, and a file that it refuses is refused in the same words. Cost:
finding the rows of 100 MB of JSON lines takes 0.2 s, once; a page after that milliseconds, in a gzip file 10 to 20 (in
one packed otherwise what unpacking as far takes). Rejected: a copy in a format with an index, which is as large as the
data and soon older than it.
"""

import csv
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from openflan.tasks.catalog import Entry
from openflan.tasks.cleaning import file_rows
from openflan.tasks.columns import from_text
from openflan.tasks.delimited import TableForm, form_of
from openflan.tasks.opened import encoding_of, open_bytes, stem_of
from openflan.tasks.parquet import ParquetRows
from openflan.tasks.readers import is_table
from openflan.tasks.restarts import RestartPoints
from openflan.tasks.workbooks import plain

__all__ = ["FileRows"]

_APART = 512
"""Rows between two whose beginnings are remembered."""
_AT_ONCE = 64
"""Rows that are taken at once where they lie in no order."""

_Record = bytes | list[str]


class _OddError(Exception):
    """Something that the plain readers must look at."""


_ODD = (_OddError, UnicodeDecodeError, csv.Error, orjson.JSONDecodeError)


class FileRows:
    """The rows of a task's file, by place.

    Args:
        entry: the task.
        path: its file.
    """

    def __init__(self, entry: Entry, path: Path) -> None:
        self._entry, self.path = entry, path
        self._written = _written(path)
        self._begins: list[int] = []
        self._points = RestartPoints()
        self._first = 0
        self._length: int | None = None
        self._names: list[str] = []
        self._form = _form(entry, path)
        self._table = _table(path)
        self._odd = self._form is None
        if self._form is not None and is_table(path):
            self._names = self._head()

    @property
    def stale(self) -> bool:
        """Whether the file was written since."""
        return _written(self.path) != self._written

    def __len__(self) -> int:
        if self._table is not None:
            return len(self._table)
        if self._length is None and not self._odd:
            try:
                with open_bytes(self.path, self._points) as file:
                    for _ in self._from(file, max(0, len(self._begins) - 1) * _APART):
                        pass
            except _ODD:
                self._odd = True
        if self._length is None:
            self._length = sum(1 for _ in file_rows(self._entry, self.path))
        return self._length

    def take(self, places: Sequence[int]) -> Iterator[dict[str, Any]]:
        """The rows at these places, in this order; the first that is beyond the last row ends it.

        Raises:
            UserError: the file can't be read as it is written.
        """
        if not places:
            return
        if self._table is not None:
            there = range(places[0], min(places[-1] + 1, len(self._table))) if isinstance(places, range) else places
            yield from map(plain, self._table.take(there))
            return
        if isinstance(places, range) or all(one < other for one, other in pairwise(places)):
            yield from self._run(places)
            return
        for at in range(0, len(places), _AT_ONCE):
            part = places[at : at + _AT_ONCE]
            ordered = sorted(part)
            rows = dict(zip(ordered, self._run(ordered), strict=False))
            for place in part:
                if place not in rows:
                    return
                yield rows[place]

    def _run(self, places: Sequence[int]) -> Iterator[dict[str, Any]]:
        """The rows at ascending places; the file is opened once."""
        done = 0
        if not self._odd:
            try:
                with open_bytes(self.path, self._points) as file:
                    for record in self._picked(file, places):
                        yield self._row(record)
                        done += 1
                return
            except _ODD:
                self._odd = True
        rest, every = places[done:], enumerate(file_rows(self._entry, self.path))
        for place in rest:
            picked = next((row for number, row in every if number == place), None)
            if picked is None:
                return
            yield picked

    def _picked(self, file: BinaryIO, places: Sequence[int]) -> Iterator[_Record]:
        """What is written at ascending places; what lies between them is passed over."""
        records, at = None, 0
        for place in places:
            if records is None or place - at > _APART:
                records, at = self._from(file, place), place
            record = next(itertools.islice(records, place - at, None), None)
            if record is None:
                return
            at = place + 1
            yield record

    def _from(self, file: BinaryIO, place: int) -> Iterator[_Record]:
        """What is written from a row on to the end; where rows begin that nobody had read is remembered."""
        block = min(place // _APART, len(self._begins) - 1)
        number, start = (block * _APART, self._begins[block]) if block >= 0 else (0, self._first)
        for begin, record in self._records(file, start):
            if number % _APART == 0 and number // _APART == len(self._begins):
                self._begins.append(begin)
            number += 1
            if number > place:
                yield record
        self._length = number

    def _records(self, file: BinaryIO, start: int) -> Iterator[tuple[int, _Record]]:
        """Where each row from a byte on begins, and what is written there."""
        _seek(file, start)
        assert self._form is not None
        if not is_table(self.path):
            for line in file:
                if not line.isspace():
                    yield start, line
                start += len(line)
            return
        at = start

        def lines() -> Iterator[str]:
            nonlocal at
            for line in file:
                if b"\0" in line:
                    raise _OddError
                at += len(line)
                yield line.decode(self._form.encoding if self._form and at == len(line) else "utf-8")

        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        reader = csv.reader(lines(), delimiter=self._form.separator, quotechar=self._form.quote, strict=True)
        while True:
            begin = at
            cells = next(reader, None)
            if cells is None:
                return
            if cells:
                yield begin, cells

    def _head(self) -> list[str]:
        """The names in a table's first line; its rows begin after it."""
        with open_bytes(self.path, self._points) as file:
            try:
                records = self._records(file, 0)
                _, names = next(records, (0, []))
                self._first = next((begin for begin, _ in records), 0)
            except _ODD:
                self._odd, names = True, []
        if len(set(names)) < len(names) or not self._first:
            self._odd = True
        return [str(name) for name in names]

    def _row(self, record: _Record) -> dict[str, Any]:
        if isinstance(record, bytes):
            row = orjson.loads(record)
            if not isinstance(row, dict):
                raise _OddError
            return row
        if len(record) != len(self._names):
            raise _OddError
        columns: Mapping[str, Any] = self._entry.spec.columns
        decimal = self._entry.spec.source.decimal
        return {
            name: from_text(columns[name], text, decimal=decimal) if name in columns else text
            for name, text in zip(self._names, record, strict=True)
        }


def _form(entry: Entry, path: Path) -> TableForm | None:
    """How a file that can be read from its middle is written; None of one that can't."""
    source = entry.spec.source
    lines = stem_of(path).endswith((".jsonl", ".ndjson"))
    if source.faulty == "leave_out" or source.encoding is not None or path.is_dir() or not (lines or is_table(path)):
        return None
    if lines:
        return TableForm() if encoding_of(path) == "utf-8" else None
    form = form_of(path, separator=source.separator)
    return form if form.encoding in ("utf-8", "utf-8-sig") else None


def _table(path: Path) -> ParquetRows | None:
    if path.suffix != ".parquet":
        return None
    import pyarrow as pa

    try:
        return ParquetRows([path])
    except (pa.ArrowInvalid, OSError):  # said by the plain reader
        return None


def _seek(file: BinaryIO, place: int) -> None:
    """Go to a byte, of what can't be sought in by reading as far."""
    if file.seekable():
        file.seek(place)
        return
    while place and (read := len(file.read(min(place, 1 << 20)))):
        place -= read


def _written(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:  # gone in between
        return 0, 0
    return stat.st_mtime_ns, stat.st_size
