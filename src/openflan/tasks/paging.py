"""A split's rows a page at a time, from anywhere in it.

    rows = PagedRows(entry, "train", data=None)
    rows.page(300_000, 50)

Rows have the numbers that `show_row` gives them: among those that cleaning leaves, from 0. Where a task drops no row,
a number is a place; where one does, the place of every 512th kept row is remembered as far as somebody has read.

Invariant: a page is what `load_rows` has there. Cost: milliseconds a page; the first look far into a split that
cleaning thins out reads as far, 100,000 rows a second, and holds none of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import UserError
from openflan.tasks.by_place import FileRows
from openflan.tasks.catalog import Entry
from openflan.tasks.columns import may_be_null
from openflan.tasks.sources import SourceRow, cleaned_rows, load_twin, no_rows, numbered_rows, origin
from openflan.tasks.splits import Role

__all__ = ["PagedRows", "RowsPage"]

_APART = 512
"""Kept rows between two whose places are remembered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowsPage:
    """Some rows of a split that lie one after another."""

    rows: tuple[SourceRow, ...]
    start: int
    """Number of the first among the split's rows, from 0."""
    total: int | None
    """Rows of the split; None where nobody has counted them yet (`PagedRows.count`)."""
    more: bool
    """Whether rows follow."""


class PagedRows:
    """The rows of a task's split, a page at a time.

    Args:
        entry: the task.
        role: which split.
        data: a folder of rows, as for `load_rows`.
        twin: show the twin's rows, all of them.
    """

    def __init__(self, entry: Entry, role: Role, *, data: Path | None = None, twin: bool = False) -> None:
        self.entry, self.role = entry, role
        self.twin = twin or origin(entry, role, data=data) == "twin"
        """Whether the rows are the task's twin's."""
        self._data = data
        self._all = load_twin(entry) if twin else None
        self._files: dict[Path, FileRows] = {}
        self._places = [0]
        self._total: int | None = None

    def page(self, start: int = 0, limit: int = 50) -> RowsPage:
        """Rows from a number on.

        Args:
            start: the first row's number, from 0.
            limit: so many at most.

        Raises:
            UserError: as `Task.rows`.
        """
        if self._all is not None:
            return RowsPage(
                rows=tuple(self._all[start : start + limit]),
                start=start,
                total=len(self._all),
                more=start + limit < len(self._all),
            )
        rows: list[SourceRow] = []
        for row in self._from(start):
            if len(rows) == limit:
                return RowsPage(rows=tuple(rows), start=start, total=self._total, more=True)
            rows.append(row)
        return RowsPage(rows=tuple(rows), start=start, total=self._total, more=False)

    def row(self, number: int) -> SourceRow:
        """One row.

        Args:
            number: which, from 0.

        Raises:
            UserError: as `Task.rows`; or there are fewer rows.
        """
        page = self.page(number, 1)
        if not page.rows:
            what = f"{'the twin' if self.twin else self.role} has {self.count():,} rows"
            raise UserError(what, where=f"row {number}", how="choose a smaller one")
        return page.rows[0]

    def count(self) -> int:
        """Rows of the split; they are counted once.

        Raises:
            UserError: as `Task.rows`.
        """
        if self._all is not None:
            return len(self._all)
        if self._total is None and _keeps_all(self.entry):
            count = numbered_rows(self.entry, self.role, self._data, by_place=self._open).count
            self._total = None if count is None else count()
        if self._total is None:
            for _ in self._from((len(self._places) - 1) * _APART):
                pass
        assert self._total is not None
        return self._total

    def _from(self, start: int) -> Iterator[SourceRow]:
        """The rows from a number on."""
        if any(file.stale for file in self._files.values()):
            self._files, self._places, self._total = {}, [0], None
        if _keeps_all(self.entry):
            number = place = start
        else:
            block = min(start // _APART, len(self._places) - 1)
            number, place = block * _APART, self._places[block]
        numbered = numbered_rows(self.entry, self.role, self._data, by_place=self._open, since=place)
        for row in cleaned_rows(self.entry, self.role, numbered):
            if row is not None:
                if number % _APART == 0 and number // _APART == len(self._places):
                    self._places.append(place)
                if number >= start:
                    yield row
                number += 1
            place += 1
        if number == place == start and start:  # nothing so far on: how many there are is not known by that
            return
        self._total = number
        if not number:
            raise no_rows(self.entry, self.role, numbered.place)

    def _open(self, path: Path) -> FileRows:
        if path not in self._files:
            self._files[path] = FileRows(self.entry, path)
        return self._files[path]


def _keeps_all(entry: Entry) -> bool:
    """Whether cleaning leaves every row, so that a row's number is its place."""
    spec = entry.spec
    drops = spec.rows or spec.source.without or spec.source.faulty != "fail"
    return not drops and not may_be_null(spec.columns, spec.answer.field)
