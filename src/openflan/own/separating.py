"""Which columns' texts are kept in one role: the passages and texts of the question, and ids that groups go by.

A column is left out of the rule where it would tie most of the table together, as short texts do that stand in many
rows.

Invariant: the rule that comes out leaves every role rows. Cost: one pass over the rows a column. Rejected: the first
text alone, which puts a question's passage on both sides.
"""

import itertools
from collections.abc import Iterable
from typing import Any

from openflan.own.profile import OwnColumn
from openflan.own.reading import Reading, View
from openflan.own.tables import OwnTable
from openflan.tasks.apart import Apart, SaidRoles, groups_of, keys_of, part_rows

__all__ = ["keep_apart"]

_LARGEST = 0.15
"""Share of the rows that may hang together."""
_MEASURED, _CHOSEN = 1_000, 500
"""Rows to measure on and to choose by at most, of a large table."""
_SHARE = 0.1
_TINY = 30
_EVEN = 50
"""Labels up to which each role has them in like shares."""
_RUN = 13
"""Words on end that the leak certificate calls a leak."""
_MOST_WORDS = 1_500_000
"""Words of a table up to which each run of them is looked at: some seconds."""


def keep_apart(table: OwnTable, view: View, reading: Reading) -> tuple[dict[str, Any], list[str]]:
    """The rule (`source.apart`), and what is to be said of it."""
    warnings: list[str] = []
    paths: list[str] = []
    for column in _candidates(view, reading):
        largest = _largest(table, Apart(columns=(*paths, column.path)))
        if largest <= max(2, _LARGEST * len(table.rows)) or (not paths and largest <= len(table.rows) / 2):
            paths.append(column.path)
        elif column in (*reading.parts.values(), *view.groups) and (column.mean_words >= 3 or column in view.groups):
            warnings.append(f"{column.path}: some of its texts stand in many rows, so they may stand in several splits")
    if not paths:
        paths = [next(iter(_candidates(view, reading))).path]
    rows, answer = len(table.rows), reading.answer
    if rows < _TINY:
        warnings.append(f"only {rows} rows: enough to try it out, and too few to measure anything by")
    even = reading.options is not None and reading.options.form == "classes" and len(answer.classes) <= _EVEN
    warnings += [
        f"{answer.path}: {value!r} stands in one row alone; it is an option that is never measured"
        for value in (answer.classes if even else ())
        if answer.counts[value] == 1
    ]
    rule = Apart(
        columns=tuple(paths),
        even=answer.path if even else None,
        run=_run(table, view, paths),
        said=SaidRoles(column=table.role_column, roles=table.row_roles) if table.row_roles else None,
        validation=round(min(_SHARE, _CHOSEN / rows), 4),
        test=round(min(_SHARE, _MEASURED / rows), 4),
    )
    return rule.model_dump(mode="json", exclude_none=True), [*warnings, *_left_out(table, rule)]


def _run(table: OwnTable, view: View, columns: list[str]) -> int | None:
    """The words on end that no two roles may share; None where that would tie too many rows together, or take long."""
    if sum(column.mean_words * column.present for column in view.all if column.path in columns) > _MOST_WORDS:
        return None
    largest = _largest(table, Apart(columns=tuple(columns), run=_RUN))
    return _RUN if largest <= max(2, _LARGEST * len(table.rows)) else None


def _left_out(table: OwnTable, rule: Apart) -> list[str]:
    """A line on the rows of training that share a text with others, where the table says which rows those are."""
    if not table.row_roles and len(table.counts) < 2:
        return []
    rows = iter(table.rows)
    files = {split: list(itertools.islice(rows, count)) for split, count in table.counts.items()}
    left = len(table.rows) - sum(map(len, part_rows(rule, files, table.roles).values()))
    return [f"{left:,} rows share a text with rows to measure on, so they are left out of training"] if left else []


def _largest(table: OwnTable, rule: Apart) -> int:
    """Rows that hang together at most under a rule."""
    return max(map(len, groups_of([keys_of(rule, row) for row in table.rows])))


def _candidates(view: View, reading: Reading) -> Iterable[OwnColumn]:
    """Columns in the order in which they matter: groups, what asks from the longest on, long candidates, long
    answers."""
    asking = sorted(reading.parts.values(), key=lambda column: -column.mean_length)
    chosen = reading.options.columns if reading.options else ()
    answers = [] if reading.options or reading.answer.kind in ("int", "float") else [reading.answer]
    longs = [one for one in (*reading.extras, *chosen, *answers) if one.mean_words >= 4 and not one.classes]
    words = [column for column in asking if not column.classes]
    return dict.fromkeys([*view.groups, *words, *longs] or asking or [*reading.extras, *chosen])
