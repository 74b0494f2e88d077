"""What columns are to each other: the same text, one inside the other, about the same, of one form, in which language.

Each measure comes with what chance gives: the same columns with rows shifted against each other. Two texts of one row
that share no more than two of different rows have nothing to do with each other, whatever their columns are called.

Invariant: names of columns count for nothing here. Cost: some milliseconds a pair of columns, in the rows looked at.
Rejected: sentence embeddings, a model more to fetch, and correlations over all rows, which say the same after 400.
"""

import math
import re
from collections import Counter
from functools import cache, cached_property

from openflan.own.profile import OwnColumn

__all__ = ["Cover", "Relations", "bijective", "determines", "mentions"]

_COMMON = 0.1
"""A word in a larger share of the rows says nothing of a single one."""
_FEW = 5
"""Texts in which a word is common in the smallest table."""
_SHIFT = 7
_WORD = re.compile(r"\w+")
_ARTICLE = 3
"""Letters of the longest articles, and of the shortest stems."""


class Cover:
    """How much of one text's words stand in another, and how much in another row's.

    Args:
        real: mean share, row by row.
        chance: the same with rows shifted.
        rows: rows that it was measured in.
    """

    def __init__(self, real: float, chance: float, rows: list[tuple[int, float]]) -> None:
        self.real, self.chance, self.rows = real, chance, rows

    @property
    def lift(self) -> float:
        """What there is beyond chance."""
        return self.real - self.chance


class Relations:
    """Measures between the columns of one table, each taken once."""

    def __init__(self, columns: list[OwnColumn]) -> None:
        self._columns = columns
        self.inside = cache(self._inside)
        self.mentioned = cache(self._mentioned)
        self.equal = cache(self._equal)
        self.cover = cache(self._cover)
        self.language = cache(self._language)
        self.distance = cache(self._distance)

    @cached_property
    def common(self) -> frozenset[str]:
        """Words in many of the table's texts."""
        seen: Counter[str] = Counter()
        texts = 0
        for column in self._columns:
            if column.kind in ("text", "texts", "lists"):
                for units in column.units:
                    texts += bool(units)
                    seen.update(set(units))
        return frozenset(word for word, count in seen.items() if count > max(_FEW, _COMMON * texts))

    def _inside(self, small: OwnColumn, large: OwnColumn) -> float:
        """Share of the rows in which one text stands in the other, word for word."""
        pairs = [
            (one.strip().lower(), other.lower())
            for one, other in zip(small.texts, large.texts, strict=True)
            if one and other
        ]
        count = sum(_stands_in(one, other) for one, other in pairs)
        return count / max(1, len(pairs))

    def _mentioned(self, name: OwnColumn, text: OwnColumn) -> float:
        """Share of the rows in which a text speaks of what another names."""
        pairs = [(one, other) for one, other in zip(name.texts, text.texts, strict=True) if one and other]
        return sum(mentions(other, one) for one, other in pairs) / max(1, len(pairs))

    def _equal(self, one: OwnColumn, other: OwnColumn) -> float:
        """Share of the rows of one column in which the other has the same text."""
        pairs = [(a.strip().lower(), b.strip().lower()) for a, b in zip(one.texts, other.texts, strict=True) if a]
        return sum(a == b for a, b in pairs) / max(1, len(pairs))

    def _cover(self, small: OwnColumn, large: OwnColumn) -> Cover:
        """How much of one text's words, but the common ones, stand in the other."""
        ours = [set(units) - self.common for units in small.units]
        theirs = [set(units) for units in large.units]
        rows = [
            (place, len(one & other) / len(one))
            for place, (one, other) in enumerate(zip(ours, theirs, strict=True))
            if one and other
        ]
        shifted = [*theirs[_SHIFT:], *theirs[:_SHIFT]]
        chance = [len(one & other) / len(one) for one, other in zip(ours, shifted, strict=True) if one and other]
        mean = sum(share for _, share in rows) / max(1, len(rows))
        return Cover(mean, sum(chance) / max(1, len(chance)), rows)

    def _language(self, column: OwnColumn) -> str:
        """The language of a column's texts, as two letters; empty where there is too little to tell."""
        text = " ".join(column.filled)[:6_000]
        if sum(map(str.isalpha, text)) < 200:
            return ""
        import py3langid

        return str(py3langid.classify(text)[0])

    def _distance(self, one: OwnColumn, other: OwnColumn) -> float:
        """How unlike the texts of two columns are in form: length, its spread, beginnings and ends. Peers are under
        .3."""
        if not one.written or not other.written:
            return math.inf
        (mean_a, spread_a), (mean_b, spread_b) = _lengths(one), _lengths(other)
        forms = ((one.questions, other.questions), (one.stops, other.stops), (one.capitals, other.capitals))
        return abs(mean_a - mean_b) + abs(spread_a - spread_b) + 0.7 * sum(abs(a - b) for a, b in forms)


def _lengths(column: OwnColumn) -> tuple[float, float]:
    """Mean and spread of the logarithms of a column's lengths."""
    logs = [math.log(len(text)) for text in column.written]
    mean = sum(logs) / len(logs)
    return mean, math.sqrt(sum((log - mean) ** 2 for log in logs) / len(logs))


def _stands_in(small: str, large: str) -> bool:
    """Whether a text stands in another, not within a word."""
    if small not in large:
        return False
    if len(small) > 20:
        return True
    return re.search(rf"(?<!\w){re.escape(small)}(?!\w)", large) is not None


def mentions(text: str, name: str) -> bool:
    """Whether a text speaks of what is named, with another article or ending: *the teller* in "one of the tellers"."""
    words = _WORD.findall(name.lower())
    telling = [word for word in words if len(word) > _ARTICLE] or words
    starts = (word[: max(_ARTICLE, len(word) - 2)] for word in telling)
    return bool(words) and all(re.search(rf"(?<!\w){re.escape(start)}", text.lower()) for start in starts)


def determines(one: OwnColumn, other: OwnColumn) -> float:
    """How surely one column's value says the other's: of the rows whose value occurs more than once, those that
    agree."""
    first: dict[str, Counter[str]] = {}
    for a, b in zip(one.values, other.values, strict=True):
        if a is not None and b is not None:
            first.setdefault(str(a), Counter())[str(b)] += 1
    groups = [values for values in first.values() if values.total() > 1]
    return sum(values.most_common(1)[0][1] for values in groups) / max(1, sum(values.total() for values in groups))


def bijective(one: OwnColumn, other: OwnColumn) -> bool:
    """Whether two columns of classes say the same in other words."""
    same = len(one.classes) == len(other.classes) > 0
    return same and determines(one, other) > 0.999 and determines(other, one) > 0.999
