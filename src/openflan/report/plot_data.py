"""What a figure draws, as a table: a CSV file beside the page and a download within it.

The page travels alone, so each figure's numbers are in it too, as a `data:` link that needs no file beside it; the same
text lies in the run folder for programs (`report/<name>.csv`).

Invariant: a figure and its table are made from the same numbers; scores are from 0 to 1, not points of 100.
Cost: 130 kB of page for 27 tasks under 9 templates. Rejected: links to the files alone, dead once the page is sent.
"""

import base64
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from openflan.stage import write_atomically

__all__ = ["Drawing", "PlotData", "download", "write_plot_data"]

Value = str | float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlotData:
    """The numbers behind a figure."""

    name: str
    """Of the file, without its ending."""
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Value]]

    @property
    def text(self) -> str:
        """As CSV; no number is an empty cell."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_cell(value) for value in row] for row in self.rows)
        return file.getvalue()

    @property
    def address(self) -> str:
        """A link that holds the CSV itself."""
        return download(self.text, "text/csv")


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A figure in its two layouts and the numbers behind it."""

    wide: Markup
    narrow: Markup
    data: PlotData


def download(text: str, kind: str) -> str:
    """A link that holds a file.

    Args:
        kind: its media type.
    """
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def write_plot_data(folder: Path, tables: Sequence[PlotData]) -> None:
    """Write each table as `<name>.csv`; files of figures that the page no longer has are removed."""
    for old in folder.glob("*.csv"):
        if old.stem not in {table.name for table in tables}:
            old.unlink()
    for table in tables:
        write_atomically(folder / f"{table.name}.csv", table.text)


def _cell(value: Value) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return "" if value is None else str(value)
