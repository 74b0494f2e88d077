"""The likeliest reading of a table, and how far the next one lies behind.

Invariant: the same table gives the same reading. Cost: 0.1 to 0.5 s a table of some thousand rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from openflan.own.choosing import choosing
from openflan.own.composing import composing
from openflan.own.labelling import labelling
from openflan.own.places import least_options
from openflan.own.profile import OwnColumn
from openflan.own.reading import Reading, View, named_as

__all__ = ["Recognised", "alike", "recognise"]

_LEFT_OUT = {"text": 0.88, "list": 0.75, "words": 0.92, "label": 0.72, "number": 0.98}
"""What is left of a reading's score for each column that it has no place for."""


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """The readings of a table, the likeliest first."""

    view: View
    readings: tuple[Reading, ...]

    @property
    def best(self) -> Reading:
        """The reading that is taken."""
        return self.readings[0]

    @property
    def confidence(self) -> float:
        """From 0 to 1, how sure the kind is."""
        best = self.readings[0]
        behind = max((other.score for other in self.readings[1:] if not alike(best, other)), default=0.0)
        sure = best.score * min(1.0, 0.55 + 2.2 * max(0.0, best.score - behind))
        return round(min(sure, *(sure_of for about, (_, sure_of) in best.doubts.items() if about == "kind"), 0.99), 2)


def recognise(columns: Sequence[OwnColumn]) -> Recognised:
    """Read a table in every way that makes sense, the best first."""
    view = View(columns)
    readings = [_with_rest(view, reading) for reading in (*choosing(view), *labelling(view), *composing(view))]
    return Recognised(view=view, readings=tuple(sorted(readings, key=lambda reading: -reading.score)))


def _with_rest(view: View, reading: Reading) -> Reading:
    """A reading that counts for less where it has no place for a column that some task is made of."""
    options = reading.options
    placed = {reading.answer.path, *(column.path for column in (*reading.parts.values(), *reading.headings))}
    placed |= {column.path for column in options.columns} if options else set()
    score = reading.score
    for column in view.columns:
        if column.path in placed or (options and column is options.labels) or named_as(column, "explanation", "about"):
            continue
        if reading.aside.get(column.path, "").startswith(("says the same", "says which")):
            continue
        score *= _LEFT_OUT[_role(column)]
    return reading.scored(score)


def _role(column: OwnColumn) -> str:
    """What a column might be if it were not left out."""
    if column.kind in ("texts", "lists"):
        return "list"
    if column.kind == "text":
        counted = column.classes and least_options(column.classes) is not None
        return "label" if counted else "words" if column.classes else "text"
    return "label" if column.classes or (column.kind == "float" and column.unique < 0.5) else "number"


def alike(one: Reading, other: Reading) -> bool:
    """Whether two readings are of one kind and of the same columns, whichever of them is the answer."""
    ours, theirs = ({r.answer.path, *(c.path for c in r.parts.values())} for r in (one, other))
    return one.kind == other.kind and ours == theirs
