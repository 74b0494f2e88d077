"""Tables of separated cells (CSV, TSV and their kin), read as written or refused with the line.

The separator is the one among comma, semicolon, tab and bar that splits the first line and every line looked at into
the same number of cells; where two do, both are named and the user says which (`source.separator`). Cells may be of
any length and hold line ends inside quotation marks.

Invariant: a row has one cell for each column of the first line, whole. Cost: 300,000 rows a second.
Rejected: Python's `csv.Sniffer`, which takes a letter for a separator; and `csv.DictReader`, which puts what is too
much into a column without a name and fills up what is too little.
"""

import csv
import itertools
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import UserError
from openflan.tasks.opened import encoding_of, open_text, stem_of

__all__ = ["SEPARATORS", "TableForm", "form_of", "read_cells"]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may stand between cells, and its name."""

_LOOKED_AT = 500
"""Rows that the separator is told from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableForm:
    """How a table is written."""

    separator: str = ","
    quote: str = '"'
    encoding: str = "utf-8"

    def __str__(self) -> str:
        name = SEPARATORS.get(self.separator, repr(self.separator))
        quote = "" if self.quote == '"' else f", cells in {self.quote}"
        return f"separated by {name}{quote}, {self.encoding.removesuffix('-sig').upper()}"


def form_of(path: Path, *, separator: str | None = None, encoding: str | None = None) -> TableForm:
    """How a table is written.

    Args:
        separator: what stands between cells, where the user says so.
        encoding: its byte encoding, where the user says so.

    Raises:
        UserError: two separators fit, or the file can't be read.
    """
    encoding = encoding or encoding_of(path)
    splitting: list[TableForm] = []
    even: list[TableForm] = []
    for one in [separator] if separator is not None else SEPARATORS:
        quote = _quote(path, TableForm(separator=one, encoding=encoding))
        form = TableForm(separator=one, quote=quote, encoding=encoding)
        head, fits = _look(path, form)
        if len(head) > 1 or separator is not None:
            splitting.append(form)
            even += [form] if fits else []
    if stem_of(path).endswith(".tsv"):
        even = [form for form in even if form.separator == "\t"] or even
    if len(even) > 1:
        names = " and by ".join(SEPARATORS[form.separator] for form in even)
        raise UserError(f"can be read as separated by {names}", where=str(path), how="say which in source.separator")
    return next(iter([*even, *splitting]), TableForm(encoding=encoding))


def _look(path: Path, form: TableForm) -> tuple[list[str], bool]:
    """The names in the first line and, where they are several, whether the first rows have as many cells each."""
    head: list[str] = []
    try:
        with closing(_lines(path, form)) as lines:
            _, head = next(lines, (1, []))
            rows = itertools.islice(lines, _LOOKED_AT) if len(head) > 1 else ()
            return head, all(len(cells) == len(head) for _, cells in rows)
    except UserError:
        return head, False


def _quote(path: Path, form: TableForm) -> str:
    """What cells are put in: single marks where all of the first line are."""
    with open_text(path, form.encoding) as file:
        cells = [cell.strip() for cell in file.readline().rstrip("\r\n").split(form.separator)]
    return "'" if all(len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in cells) else '"'


def _lines(
    path: Path, form: TableForm, faults: list[UserError] | None = None
) -> Generator[tuple[int, list[str]], None, None]:
    """Rows of cells, each with the line on which it begins; lines without anything are passed over."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with open_text(path, form.encoding) as file:
        number = 0

        def lines() -> Iterator[str]:
            for line in file:
                if "\0" in line:
                    where, how = f"{path}, line {reader.line_num + 1}", "save the file again as UTF-8"
                    raise UserError("holds a NUL: damaged, or UTF-16 without its mark", where=where, how=how)
                yield line

        reader = csv.reader(lines(), delimiter=form.separator, quotechar=form.quote, strict=True)
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fault = UserError(
                    f"malformed CSV: {error}",
                    where=f"{path}, line {number}",
                    how="mend the quotation marks there (one inside a quoted cell is written twice), or use .jsonl",
                )
                if faults is None:
                    raise fault from None
                faults.append(fault)
                continue
            if cells:
                yield number, cells


def read_cells(path: Path, form: TableForm, faults: list[UserError] | None = None) -> Iterator[dict[str, str]]:
    """The rows of a table: column name to cell.

    Args:
        faults: lines with more or fewer cells than there are columns, or broken quotation marks, are passed over and
            what
            is wrong put here; None: it is raised.

    Raises:
        UserError: two columns have one name, a row has more or fewer cells than there are columns, or quotation marks
            don't close; the line is named.
    """
    rows = _lines(path, form, faults)
    _, names = next(rows, (1, []))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        what = f"names the column '{twice}' twice" if twice else "has two columns without a name"
        raise UserError(what, where=f"{path}, line 1", how="give every column a name of its own")
    for number, cells in rows:
        if len(cells) != len(names):
            fault = UserError(
                f"holds {_cells(len(cells))} where the first line names {len(names)}, separated by"
                f" {SEPARATORS.get(form.separator, repr(form.separator))}",
                where=f"{path}, line {number}",
                how=f"put a cell that holds '{_shown(form.separator)}' in quotation marks, or fill the row up",
            )
            if faults is None:
                raise fault
            faults.append(fault)
            continue
        yield dict(zip(names, cells, strict=True))


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _shown(separator: str) -> str:
    return "\\t" if separator == "\t" else separator
