"""What the columns of a table hold: kinds, lengths, few or many values, and how often nothing.

Invariant: every row counts, the last as much as the first; memory does not grow with the table. Cost: one reading.
Rejected: the first thousand rows, after which a number may become a text and a label may be missing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ColumnProfile", "TableProfile", "profile_rows"]

_VALUES = 200
"""Different values that are remembered of a column; with more it is no label."""
_SAMPLE = 2_000


@dataclass(kw_only=True)
class ColumnProfile:
    """What one column holds."""

    name: str
    rows: int = 0
    """Rows in which something stands."""
    nulls: int = 0
    blanks: int = 0
    """Rows with a text of nothing but blanks."""
    first_empty: int = 0
    """The first row, from 1, in which nothing stands; 0 where there is none."""
    kinds: set[str] = field(default_factory=set)
    characters: int = 0
    values: Counter[Any] | None = field(default_factory=Counter)
    """How often each value stands there; None where they are many."""

    @property
    def empty(self) -> int:
        """Rows in which nothing stands."""
        return self.nulls + self.blanks

    @property
    def kind(self) -> str:
        """`string`, `int`, `float`, `bool`, `strings` for lists of texts; empty where it is none of them alone."""
        if self.kinds == {"int", "float"}:
            return "float"
        return next(iter(self.kinds)) if len(self.kinds) == 1 and "other" not in self.kinds else ""

    @property
    def contract(self) -> Any:
        """The column as a task file's contract writes it, None where no contract fits."""
        kind = ["string"] if self.kind == "strings" else self.kind + ("?" if self.nulls else "")
        return kind if self.kind and not (self.kind == "strings" and self.nulls) else None

    @property
    def mean_length(self) -> float:
        """Characters of a text."""
        return self.characters / max(1, self.rows)

    def add(self, value: Any, row: int) -> None:
        """Count one row's value."""
        blank = isinstance(value, str) and not value.strip()
        if value is None or blank:
            self.blanks += blank
            self.nulls += not blank
            self.first_empty = self.first_empty or row
            return
        self.rows += 1
        self.kinds.add(_kind_of(value))
        if isinstance(value, str):
            self.characters += len(value)
        if self.values is not None and isinstance(value, str | int | float | bool):
            self.values[value] += 1
            if len(self.values) > _VALUES:
                self.values = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TableProfile:
    """What a table holds."""

    rows: int
    columns: Mapping[str, ColumnProfile]
    """In the order in which they first stand."""
    sample: tuple[Mapping[str, Any], ...]
    """The first rows."""


def profile_rows(rows: Iterable[Mapping[str, Any]]) -> TableProfile:
    """Look at every row of a table."""
    columns: dict[str, ColumnProfile] = {}
    sample: list[Mapping[str, Any]] = []
    count = 0
    for count, row in enumerate(rows, start=1):
        if len(sample) < _SAMPLE:
            sample.append(row)
        for name in row:
            if name not in columns:
                columns[name] = ColumnProfile(name=name, nulls=count - 1, first_empty=1 if count > 1 else 0)
        for name, column in columns.items():
            column.add(row.get(name), count)
    return TableProfile(rows=count, columns=columns, sample=tuple(sample))


def _kind_of(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "strings"
    return {str: "string", bool: "bool", int: "int", float: "float"}.get(type(value), "other")
