"""What each column of a table holds, by itself: kind, lengths, values, how its texts begin and end.

Numbers, truth values and lists are told from what stands in the cells, for a table of cells has texts alone and a JSON
file often has "1" where 1 is meant. A column of objects is looked at as the columns below it (`choices.text`).

Invariant: every row counts for kinds, values and empty cells; texts are looked at in rows spread over the table.
Cost: 2 µs a cell. Rejected: types of the first rows, after which a number may become a text and a label may be missing.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from openflan.tasks.cells import looks_nested, parse_nested, turned
from openflan.writing import units_of

__all__ = ["Kind", "OwnColumn", "columns_of", "spread"]

Kind = Literal["text", "int", "float", "bool", "texts", "lists", "other", "empty"]
"""What a column holds: texts, numbers, truth values, lists of texts, lists of such lists."""

_LOOKED_AT = 400
"""Rows in which texts are compared."""
_FEW = 1_000
"""Different values up to which a column's values are classes."""
_FEW_ROWS = 40
_FIGURES = 20
"""Different numbers up to which they may be classes."""
_NESTED_SHARE = 0.95
_GROUP = 3
"""Figures between the commas of large numbers."""
_INT = re.compile(r"[+-]?(?:0|[1-9]\d{0,15})")
_COMMA = re.compile(r"[+-]?(?:0|[1-9]\d*),\d+")
_FLOAT = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_NOTHING = {"nan", "null", "n/a", "#n/a", "<na>", "na", "none"}
"""What programs write for nothing; where else numbers stand, or texts of which no class is made."""
_SURELY_NOTHING = _NOTHING - {"na", "none"}
_QUESTION = re.compile(
    r"[?？؟]\s*[\"')\]]*\s*(?:\Z|\n\s*(?:(?:answer )?(?:options|choices)\b|[-*•(]|[A-Da-d1-4][).:]))", re.IGNORECASE
)
_STOP = re.compile(r"[.!。！]\s*[\"')\]]*\s*\Z")
_BLANK = re.compile(r"(?<!\w)_+(?!\w)|\[BLANK\]|\[MASK\]|<blank>|<mask>|@placeholder")
_OBJECTS = re.compile(r"\s*(?:\[\s*)?\{")
_ID = re.compile(r"(?=\S*\d)[\w#:/.@+=&%~|-]+")


def spread(rows: int, most: int = _LOOKED_AT) -> list[int]:
    """Places of rows spread evenly over a table."""
    return list(range(rows)) if rows <= most else [place * rows // most for place in range(most)]


class OwnColumn:
    """One column, or one path below it.

    Args:
        path: its name, with dots where it lies in an object.
        values: what stands in each row, None for nothing.
        cells: whether the file has texts alone, so that numbers are what reads like one.
        top: name of the column that it lies in, where it lies in one.
    """

    def __init__(self, path: str, values: Sequence[Any], *, cells: bool, top: str | None = None) -> None:
        self.path = path
        self.top = top or path
        self.nothing: frozenset[str] = frozenset()
        """Texts that stand for nothing here."""
        self.stored: Kind = "empty"
        """The kind as the file has it, which the contract must say: "1" may be stored as a text."""
        self.separator = ""
        """What stands between the items, where a text is read as a list."""
        self.decimal = "."
        """What stands before the decimals of its numbers."""
        self.spelled: dict[Any, str] = {}
        """How values that are stored as texts stand there: 1 as "1"."""
        self.kind, self.values = self._read(list(values), cells=cells)
        if self.kind == "float" and all(value is None or float(value).is_integer() for value in self.values):
            self.kind = "int"

    def _read(self, values: list[Any], *, cells: bool) -> tuple[Kind, list[Any]]:
        values = [None if _is_blank(value) else value for value in values]
        types = Counter(_type_of(value) for value in values if value is not None)
        if not types:
            return "empty", values
        if set(types) <= {"int", "float"}:
            self.stored = "float" if "float" in types else "int"
            return self.stored, values
        if set(types) != {"text"}:
            self.stored = next(iter(types)) if len(types) == 1 else "other"
            return self.stored, values
        if cells and _has_decimal_commas(values):
            self.decimal = ","
            values = [value and value.replace(",", ".") for value in values]
        kind, read, self.nothing = _kind_of_texts(values)
        self.stored = kind if cells or kind in ("texts", "lists", "other") else "text"
        if self.stored == "text" and kind != "text":
            self.spelled = {new: old.strip() for new, old in zip(read, values, strict=True) if new is not None}
        return kind, read

    @cached_property
    def present(self) -> int:
        """Rows in which something stands."""
        return sum(value is not None for value in self.values)

    @property
    def empty(self) -> int:
        """Rows in which nothing stands."""
        return len(self.values) - self.present

    @cached_property
    def first_empty(self) -> int:
        """The first row, from 1, in which nothing stands; 0 where there is none."""
        return next((place for place, value in enumerate(self.values, start=1) if value is None), 0)

    @cached_property
    def counts(self) -> Counter[Any]:
        """How often each value stands there; lists count as their texts."""
        hashable = (repr(value) if isinstance(value, list | dict) else value for value in self.values)
        return Counter(value for value in hashable if value is not None)

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(self.counts)

    @cached_property
    def classes(self) -> tuple[Any, ...]:
        """The values of a column of few, repeated, short ones, in order; empty where it is none."""
        if self.kind not in ("text", "int", "bool", "float") or not 2 <= self.distinct <= _FEW:
            return ()
        often = self.present / self.distinct
        numbers = self.kind in ("int", "bool") or (self.kind == "float" and all(map(float.is_integer, self._floats)))
        least = 2 if self.distinct <= 3 and numbers else 3 if self.distinct <= 12 else 5
        least = 2 if self.present < _FEW_ROWS and self.distinct <= 12 else least
        if self.kind != "text" and self.distinct > _FIGURES:
            return ()
        if often < least or (self.kind == "float" and not numbers and self.distinct > 12):
            return ()
        if self.kind == "text" and (self.longest > 80 or self.mean_words > 6):
            return ()
        return tuple(sorted(self.counts, key=lambda value: (isinstance(value, str), value)))

    @property
    def _floats(self) -> Iterable[float]:
        return (float(value) for value in self.counts)

    @cached_property
    def longest(self) -> int:
        """Characters of the longest text."""
        return max((len(str(value)) for value in self.counts), default=0)

    @cached_property
    def sample(self) -> list[Any]:
        """What stands in the rows that are looked at, None for nothing."""
        return [self.values[place] for place in spread(len(self.values))]

    @cached_property
    def written(self) -> list[str]:
        """Texts of the column, from rows spread over those that have one."""
        there = [value for value in self.values if value is not None]
        return [_as_text(there[place]) for place in spread(len(there))]

    @cached_property
    def texts(self) -> list[str]:
        """The sample as texts; lists with their items after each other, empty for nothing."""
        return [_as_text(value) for value in self.sample]

    @property
    def first_text(self) -> str:
        """The first item of the first list, where it is a text."""
        item = next((value[0] for value in self.values if value), None)
        return item if isinstance(item, str) else ""

    @cached_property
    def firsts(self) -> "OwnColumn":
        """The first items of a column of lists."""
        return OwnColumn(self.path, [value[0] if value else None for value in self.values], cells=False, top=self.top)

    @cached_property
    def filled(self) -> list[str]:
        """The texts of the sample that are not empty."""
        return [text for text in self.texts if text]

    @cached_property
    def units(self) -> list[list[str]]:
        """The words of each text of the sample (openflan.writing)."""
        return [units_of(text) for text in self.texts]

    @cached_property
    def mean_words(self) -> float:
        """Words of a text."""
        return sum(len(units_of(text)) for text in self.written) / max(1, len(self.written))

    @cached_property
    def common_words(self) -> float:
        """Share of the words that stand in a tenth of the column's texts or more."""
        texts = [units for units in self.units if units]
        seen = Counter(word for units in texts for word in set(units))
        common = {word for word, count in seen.items() if count > 0.1 * len(texts)}
        return sum(word in common for units in texts for word in units) / max(1, sum(map(len, texts)))

    @cached_property
    def mean_length(self) -> float:
        """Characters of a text."""
        return sum(map(len, self.written)) / max(1, len(self.written))

    def share(self, pattern: re.Pattern[str]) -> float:
        """Share of the texts in which something is found."""
        return sum(pattern.search(text) is not None for text in self.written) / max(1, len(self.written))

    @cached_property
    def questions(self) -> float:
        """Share of the texts that end with a question mark, or with a question and its options."""
        return self.share(_QUESTION)

    @cached_property
    def stops(self) -> float:
        """Share of the texts that end as a sentence does."""
        return self.share(_STOP)

    @cached_property
    def blanks(self) -> float:
        """Share of the texts with a blank to fill."""
        return self.share(_BLANK)

    @cached_property
    def capitals(self) -> float:
        """Share of the texts that begin with a capital letter."""
        return sum(text[:1].isupper() for text in self.written) / max(1, len(self.written))

    @cached_property
    def same_start(self) -> float:
        """Share of the texts that begin with the same three words."""
        starts = Counter(" ".join(text.split(maxsplit=3)[:3]) for text in self.written)
        return starts.most_common(1)[0][1] / len(self.written) if len(self.written) > 3 else 0.0

    @cached_property
    def unique(self) -> float:
        """Different values for each one there is."""
        return self.distinct / max(1, self.present)

    @cached_property
    def looks_like_an_id(self) -> bool:
        """Whether values are codes: texts with a figure in them and no blank, or numbers no two of which are alike."""
        if self.kind == "int":
            return self.unique > 0.98 and self.present > 20
        if self.kind != "text" or not self.filled or self.classes:
            return False
        codes = sum(_ID.fullmatch(text) is not None for text in self.filled) / len(self.filled)
        return codes > 0.95


def columns_of(rows: Sequence[Mapping[str, Any]], *, cells: bool) -> list[OwnColumn]:
    """The columns of a table, and those below a column of objects, in the order in which they first stand.

    Args:
        cells: whether the file has texts alone.
    """
    names = list(dict.fromkeys(name for row in rows for name in row if isinstance(name, str) and name))
    columns: list[OwnColumn] = []
    for name in names:
        columns += _column(name, [row.get(name) for row in rows], cells=cells)
    return columns


def _column(path: str, values: list[Any], *, cells: bool, top: str | None = None) -> list[OwnColumn]:
    values = _turned(_objects(values) if cells else values)
    below = list(dict.fromkeys(key for value in values if isinstance(value, dict) for key in value))
    if not below or not all(value is None or isinstance(value, dict) for value in values):
        return [OwnColumn(path, values, cells=cells, top=top)]
    columns: list[OwnColumn] = []
    for key in below:
        inner = [None if value is None else value.get(key) for value in values]
        columns += _column(f"{path}.{key}", inner, cells=False, top=top or path)
    return columns


def _objects(values: list[Any]) -> list[Any]:
    """Cells that hold objects, read; the cells as they are where not all do."""
    if not any(isinstance(value, str) and _OBJECTS.match(value) for value in values[:50]):
        return values
    read = [parse_nested(value) if isinstance(value, str) and value.strip() else None for value in values]
    return (
        read
        if all(
            isinstance(one, dict) or (isinstance(one, list) and turned(one)) or _is_blank(value)
            for one, value in zip(read, values, strict=True)
        )
        else values
    )


def _turned(values: list[Any]) -> list[Any]:
    """Lists of objects as objects of lists; the values as they are where not all are such."""
    there = [value for value in values if not _is_blank(value)]
    if not there or not all(isinstance(value, list) and turned(value) for value in there):
        return values
    return [None if _is_blank(value) else turned(value) for value in values]


def _has_decimal_commas(values: Sequence[Any]) -> bool:
    """Whether numbers are written with a comma before their decimals, and not before each three figures."""
    rest = [text for value in values if value and (text := value.strip()).lower() not in _NOTHING]
    commas = [text for text in rest if _COMMA.fullmatch(text)]
    return any(len(text.partition(",")[2]) != _GROUP for text in commas) and all(
        _COMMA.fullmatch(text) or _INT.fullmatch(text) for text in rest
    )


def _is_blank(value: Any) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], {})


def _type_of(value: Any) -> Kind:
    if isinstance(value, list | tuple):
        if all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in value):
            return "texts"
        flat = all(isinstance(item, list | tuple) and all(isinstance(one, str) for one in item) for item in value)
        return "lists" if flat else "other"
    kinds: dict[type, Kind] = {str: "text", bool: "bool", int: "int", float: "float"}
    return kinds.get(type(value), "other")


def _kind_of_texts(values: list[Any]) -> tuple[Kind, list[Any], frozenset[str]]:
    """What texts stand for, the values read so, and which texts stand for nothing."""
    counts = Counter(value.strip() for value in values if value is not None)
    nothing = {text for text in counts if text.lower() in _NOTHING}
    rest = [text for text in counts if text not in nothing]
    if rest and sum(counts[text] for text in nothing) < sum(counts[text] for text in rest):
        for kind, pattern, convert in (("int", _INT, int), ("float", _FLOAT, float)):
            if all(map(pattern.fullmatch, rest)):
                read = [None if v is None or v.strip() in nothing else convert(v) for v in values]
                return kind, read, frozenset(nothing)  # type: ignore[return-value]
    if {text.lower() for text in rest} == {"true", "false"}:
        read = [None if v is None or v.strip() in nothing else v.strip().lower() == "true" for v in values]
        return "bool", read, frozenset(nothing)
    if rest and sum(map(looks_nested, rest)) >= _NESTED_SHARE * len(rest):
        parsed = [None if value is None else parse_nested(value) for value in values]
        kinds = {_type_of(value) for value in parsed if value is not None}
        if len(kinds) == 1 and sum(v is None for v in parsed) <= sum(v is None for v in values) + 0.02 * len(values):
            return kinds.pop(), parsed, frozenset()
    surely = frozenset(text for text in nothing if text.lower() in _SURELY_NOTHING)
    return "text", [None if v is None or v.strip() in surely else v for v in values], surely


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ; ".join(map(_as_text, value))
    return value if isinstance(value, str) else str(value)
