"""A reading of a table: which column answers, which ask, and what kind of task that is, with what speaks for it.

Recognisers (openflan.own.choosing, labelling, composing) each give the readings that they see; the best is taken. A
`View` is a table without the columns that can be no part of any task: ids, dates, links, what is the same in every
row.

Invariant: every column of the table is in a reading's parts, is its answer or candidates, or is set aside with a
reason.
Rejected: one decision tree, in which a new kind of task moves the ones before it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from openflan.own.names import named, words_of
from openflan.own.profile import OwnColumn
from openflan.own.relations import Relations, bijective, determines
from openflan.own.roles import said_roles
from openflan.own.words import words
from openflan.tasks.cells import LIST_SEPARATORS, split_list

__all__ = ["ALMOST_EMPTY", "Options", "Reading", "View", "as_list", "asks", "capped"]

_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ]\d{1,2}:\d\d.*)?|\d{1,2}:\d\d(?::\d\d)?|1[5-9]\d{8,11}")
_LINK = re.compile(r"(?:https?://|www\.)\S+|[\w./\\-]+\.(?:jpe?g|png|gif|wav|mp3|mp4|pdf|html?)", re.IGNORECASE)
_CODE = re.compile(r"[a-z]{2}(?:[-_][A-Za-z]{2})?")
ALMOST_EMPTY = "almost empty"
"""Why a column with one value in a few rows is no part; a rare further candidate may still be one."""
_LONG = 3


@dataclass(frozen=True, kw_only=True)
class Options:
    """What an answer is chosen from."""

    form: Literal["classes", "columns", "list", "scale"]
    """Classes of the answer's column; a column an option; a column of lists; numbers on a scale."""
    columns: tuple[OwnColumn, ...] = ()
    """Those that hold the options."""
    keys: tuple[Any, ...] = ()
    """What the answer's column says for each option, in their order; empty where it says the option itself."""
    labels: OwnColumn | None = None
    """A column of lists that holds each row's keys."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way to read a table."""

    kind: str
    answer: OwnColumn
    parts: dict[str, OwnColumn]
    """What asks, by its place in the templates: `text`, `question`, `passage`, `first` …"""
    options: Options | None = None
    cluster: str = "misc"
    subcluster: str | None = None
    score: float
    why: tuple[str, ...] = ()
    doubts: dict[str, tuple[str, float]] = field(default_factory=dict)
    """What is unsure besides the kind: about what, in words, and how sure it is."""
    aside: dict[str, str] = field(default_factory=dict)
    """Columns that are no part, with the reason."""
    headings: tuple[OwnColumn, ...] = ()
    """Those of the extras that surely belong to the question: titles of its text."""
    extras: tuple[OwnColumn, ...] = ()
    """Columns that may belong to the question and stand in every template as a line of their own."""

    def scored(self, score: float, *why: str) -> "Reading":
        """The reading with another score and more reasons."""
        return replace(self, score=score, why=(*self.why, *why))


class View:
    """A table's columns, apart from those that no task is made of."""

    def __init__(self, columns: Sequence[OwnColumn]) -> None:
        self.all = list(columns)
        self.rows = len(columns[0].values) if columns else 0
        self.aside: dict[str, str] = {}
        for column in columns:
            if reason := _no_part(column, self.rows):
                self.aside[column.path] = reason
        self.columns = [column for column in self.all if column.path not in self.aside]
        for column in self.columns:
            twin = next((one for one in self.columns if one is not column and bijective(one, column)), None)
            if twin and twin.path not in self.aside and _says_less(column, twin):
                self.aside[column.path] = f"says the same as '{twin.path}'"
        self.columns = [column for column in self.columns if column.path not in self.aside]
        self.relations = Relations(self.columns)

    @cached_property
    def texts(self) -> list[OwnColumn]:
        """Columns of texts that are no classes, the longest first."""
        texts = [column for column in self.columns if column.kind == "text" and not column.classes]
        return sorted(texts, key=lambda column: -column.mean_length)

    @cached_property
    def classes(self) -> list[OwnColumn]:
        """Columns of few, repeated values."""
        return [column for column in self.columns if column.classes]

    @cached_property
    def lists(self) -> list[OwnColumn]:
        """Columns of lists."""
        return [column for column in self.columns if column.kind in ("texts", "lists")]

    @cached_property
    def split_lists(self) -> list[OwnColumn]:
        """Columns of texts that may be lists between separators, read so."""
        lists = (as_list(column) for column in self.columns if column.kind == "text")
        return [column for column in lists if column is not None]

    @cached_property
    def numbers(self) -> list[OwnColumn]:
        """Columns of numbers that are no classes."""
        return [column for column in self.columns if column.kind in ("int", "float") and not column.classes]

    @cached_property
    def groups(self) -> list[OwnColumn]:
        """Columns that say which rows belong together: codes, or numbers, that stand in several rows and go with a
        text."""
        codes = [
            column
            for column in self.all
            if column.kind in ("int", "text") and 1 < column.distinct < 0.95 * column.present
        ]
        longs = [column for column in self.texts if column.mean_words >= _LONG]
        return [
            column
            for column in codes
            if (column.looks_like_an_id or (column.kind == "int" and not column.classes))
            and any(determines(column, text) > 0.95 for text in longs)
        ]


def asks(column: OwnColumn) -> float:
    """Share of a column's texts that read like questions, with a question mark or without."""
    starts = [units[0] if units else "" for units in column.units]
    begins = sum(start in words("asking") for start in starts) / max(1, len(column.filled))
    return max(column.questions, begins if column.mean_words < 60 else 0.0)


def capped(score: float) -> float:
    """A score between 0 and 1."""
    return max(0.0, min(0.99, score))


def as_list(column: OwnColumn) -> OwnColumn | None:
    """A column of texts as one of lists, where the same separator stands in many of them and the items are short."""
    for separator in LIST_SEPARATORS:
        there = [text for text in column.written if separator in text]
        if len(there) < 0.1 * len(column.written) or len(column.written) < 10:
            continue
        items = [split_list(text, separator) for text in column.written]
        words = sum(len(item.split()) for parts in items for item in parts) / max(1, sum(map(len, items)))
        if words > {",": 4, "/": 4, "\n": 12}.get(separator, 30):
            continue
        values = [None if value is None else split_list(value, separator) for value in column.values]
        listed = OwnColumn(column.path, values, cells=False, top=column.top)
        listed.separator = separator
        return listed
    return None


def _no_part(column: OwnColumn, rows: int) -> str:
    """Why a column can be no part of any task; empty where it can."""
    if column.kind in ("empty", "other"):
        return "holds nothing" if column.kind == "empty" else "holds objects, or values of several kinds"
    if column.distinct == 1 and column.kind not in ("texts", "lists"):
        only = f"the same in every row: {str(next(iter(column.counts)))[:40]!r}"
        return only if column.present > 0.5 * rows else ALMOST_EMPTY
    if column.kind == "text" and (what := _about_the_row(column)):
        return what
    if column.looks_like_an_id:
        return "codes, one a row" if column.unique > 0.9 else "codes"
    return "counts the rows" if column.kind == "int" and column.stored != "text" and _counts_up(column) else ""


def _about_the_row(column: OwnColumn) -> str:
    """What a column of texts says of its rows, where it is no text of a task."""
    if said_roles(column):
        return "says which split a row is of"
    values = {str(value).lower() for value in column.counts} if column.distinct <= 6 else set()
    if values and named(column.path, "about") and all(map(_CODE.fullmatch, values)):
        return "codes of languages"
    for pattern, what in ((_DATE, "dates or times"), (_LINK, "links or file names")):
        if sum(pattern.fullmatch(text) is not None for text in column.written) > 0.9 * len(column.written):
            return what
    return ""


def _counts_up(column: OwnColumn) -> bool:
    """Whether whole numbers are spread evenly over a range, nearly each once: numbers of rows, whatever their order."""
    if column.present < 50:
        there = [value for value in column.values if value is not None]
        return column.unique > 0.98 and (all(b - a == 1 for a, b in pairwise(there)) or named(column.path, "id"))
    values = sorted(value for value in column.values if value is not None)
    low, high = values[0], values[-1]
    quarters = [(values[len(values) * part // 4] - low) / max(1, high - low) for part in (1, 2, 3)]
    even = all(abs(quarter - part / 4) < 0.12 for part, quarter in enumerate(quarters, start=1))
    return column.unique > 0.98 or (column.unique > 0.4 and even)


def _says_less(one: OwnColumn, other: OwnColumn) -> bool:
    """Whether the first of two columns of the same classes is the one to leave out: numbers beside words, codes beside
    names."""
    if (one.kind == "text") != (other.kind == "text"):
        return one.kind != "text"
    return (one.longest, one.path) < (other.longest, other.path)


def named_as(column: OwnColumn, *roles: str) -> bool:
    """Whether a column is called what columns of one of the roles are called."""
    return any(named(column.path.split(".")[-1], role) for role in roles)


def in_order(columns: Iterable[OwnColumn], all_columns: Sequence[OwnColumn]) -> list[OwnColumn]:
    """Columns in the order of the table."""
    places = {column.path: place for place, column in enumerate(all_columns)}
    return sorted(columns, key=lambda column: places[column.path])


def name_stem(path: str) -> tuple[str, str]:
    """A name without the figure or letter at its end, and that end: `option_2` as option, 2."""
    match = re.fullmatch(r"(.*?)[\W_]*(\d+|(?<![A-Za-z])[A-Za-z]|(?<=[a-z])[A-Z])", path)
    return (match[1].lower(), match[2].lower()) if match else (" ".join(words_of(path)), "")
