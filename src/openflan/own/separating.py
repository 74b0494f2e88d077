"""Which columns' texts are kept in one role: the passages and texts of the question, and ids that groups go by.

A column is left out of the rule where it would tie most of the table together, as short texts do that stand in many
rows.

Invariant: the rule that comes out leaves every role rows. Cost: one pass over the rows a column. Rejected: the first
text alone, which puts a question's passage on both sides.
"""

from collections.abc import Iterable
from typing import Any

from openflan.own.profile import OwnColumn
from openflan.own.reading import Reading, View
from openflan.own.tables import OwnTable
from openflan.tasks.apart import Apart, groups_of, keys_of

__all__ = ["keep_apart"]

_LARGEST = 0.15
"""Share of the rows that may hang together."""
_MEASURED, _CHOSEN = 1_000, 500
"""Rows to measure on and to choose by at most, of a large table."""
_SHARE = 0.1
_TINY = 30


def keep_apart(table: OwnTable, view: View, reading: Reading) -> tuple[dict[str, Any], list[str]]:
    """The rule (`source.apart`), and what is to be said of it."""
    warnings: list[str] = []
    taken: list[str] = []
    for column in _candidates(view, reading):
        rule = Apart(columns=(*taken, column.path))
        keys = [keys_of(rule, row) for row in table.rows]
        largest = max(map(len, groups_of(keys)))
        if largest <= max(2, _LARGEST * len(table.rows)) or (not taken and largest <= len(table.rows) / 2):
            taken.append(column.path)
        elif column in (*reading.parts.values(), *view.groups) and (column.mean_words >= 3 or column in view.groups):
            warnings.append(f"{column.path}: some of its texts stand in many rows, so they may stand in several splits")
    if not taken:
        taken = [next(iter(_candidates(view, reading))).path]
    rows = len(table.rows)
    if rows < _TINY:
        warnings.append(f"only {rows} rows: enough to try it out, and too few to measure anything by")
    even = (
        reading.answer.path
        if reading.options and reading.options.form == "classes" and len(reading.answer.classes) <= 50
        else None
    )
    for value in reading.answer.classes if even else ():
        if reading.answer.counts[value] == 1:
            warnings.append(
                f"{reading.answer.path}: {value!r} stands in one row alone; it is an option that is never measured"
            )
    rule_: dict[str, Any] = {"seed": 0, "columns": taken, **({"even": even} if even else {})}
    if table.said:
        rule_["said"] = {"column": table.said_by, "roles": table.said}
    for role, most in (("validation", _CHOSEN), ("test", _MEASURED)):
        rule_[role] = round(min(_SHARE, most / rows), 4)
    return rule_, warnings


def _candidates(view: View, reading: Reading) -> Iterable[OwnColumn]:
    """Columns in the order in which they matter: groups, what asks from the longest on, long candidates, long
    answers."""
    asking = sorted(reading.parts.values(), key=lambda column: -column.mean_length)
    chosen = reading.options.columns if reading.options else ()
    answers = [] if reading.options or reading.answer.kind in ("int", "float") else [reading.answer]
    longs = [one for one in (*reading.extras, *chosen, *answers) if one.mean_words >= 4 and not one.classes]
    words = [column for column in asking if not column.classes]
    return dict.fromkeys([*view.groups, *words, *longs] or asking or [*reading.extras, *chosen])
