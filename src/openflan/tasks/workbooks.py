"""Workbooks (xlsx): the rows of one sheet, or of all; a sheet's first row names its columns.

Without a name it is the first sheet that can be seen and holds rows. Invariant: rows without anything are passed over,
and a sheet is read whole or refused with its row. Cost: openpyxl's. Rejected: the sheet that was open when the file was
saved, which changes with a look into it.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from openflan.errors import UserError, did_you_mean

__all__ = ["ALL_SHEETS", "check_names", "plain", "read_sheet", "sheets_of"]

ALL_SHEETS = "*"
"""In place of a sheet's name: all of them."""
_SHEET = "sheet"
"""Column of the sheet's name, where all are read."""


def sheets_of(path: Path) -> list[str]:
    """Names of a workbook's sheets that can be seen and hold two rows or more.

    Raises:
        UserError: it is damaged.
    """
    return [sheet.title for sheet in _opened(path).worksheets if _is_table(sheet)]


def read_sheet(path: Path, sheet: str | None) -> Iterator[dict[str, Any]]:
    """The rows below the first of a sheet; rows without anything are passed over.

    Args:
        sheet: its name; None for the first that holds rows, `*` for all, each row with its sheet's name.

    Raises:
        UserError: the file is damaged, there is no such sheet, or a column has no name.
    """
    book = _opened(path)
    titles = [one.title for one in book.worksheets]
    if sheet == ALL_SHEETS:
        for title in filter(lambda title: _is_table(book[title]), titles):
            for row in _rows(book[title], f"{path}, sheet {title}"):
                yield {**row, _SHEET: title}
        return
    if sheet is None:
        yield from _rows(next(filter(_is_table, book.worksheets), book.worksheets[0]), str(path))
        return
    if sheet not in titles:
        how = did_you_mean(sheet, titles) or f"there is {', '.join(titles)}"
        raise UserError(f"has no sheet '{sheet}'", where=str(path), how=how)
    yield from _rows(book[sheet], f"{path}, sheet {sheet}")


def _is_table(sheet: Any) -> bool:
    filled = itertools.islice(_filled(sheet.iter_rows(values_only=True)), 2)
    return len(list(filled)) > 1 and sheet.sheet_state == "visible"


def _opened(path: Path) -> Any:
    import openpyxl

    try:
        return openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # zipfile, XML and openpyxl raise many kinds for a broken file
        raise UserError("a damaged xlsx file, or none", where=str(path), how="save it again") from error


def _filled(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    return (row for row in rows if any(value is not None for value in row))


def _rows(sheet: Any, where: str) -> Iterator[dict[str, Any]]:
    cells = sheet.iter_rows(values_only=True)
    names = ["" if name is None else str(name).strip() for name in next(cells, ())]
    while names and not names[-1]:
        names.pop()
    if "" in names:
        raise UserError("has a column without a name", where=f"{where}, row 1", how="give every column a name")
    check_names(names, where)
    for row in _filled(row[: len(names)] for row in cells):
        values = [*row, *[None] * (len(names) - len(row))]
        yield {name: plain(value) for name, value in zip(names, values, strict=True)}


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse two columns of one name."""
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise UserError(f"has two columns '{twice}'", where=where, how="give every column a name of its own")


def plain(value: Any) -> Any:
    """A value with dates, times and decimals as the texts that they are written as."""
    if isinstance(value, datetime | date | time | Decimal):
        return str(value)
    if isinstance(value, dict):
        return {name: plain(below) for name, below in value.items()}
    return [plain(below) for below in value] if isinstance(value, list) else value
