"""Rows of a run's tasks, read again from where the run read them.

Invariant: a row is named by its place in the source split, as answers and certificates name it. Cost: a task's rows as
far as the last that is asked for. Rejected: rows kept in the run, which nobody may publish.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from openflan.errors import UserError
from openflan.runs.plan import Resolved, resolve
from openflan.runs.stored import StoredRun
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import load_rows, rows_at_hand
from openflan.tasks.splits import Role

__all__ = ["rows_of", "run_row"]


def run_row(run: str | Path, task: str, row: int, *, split: Role = "test") -> Mapping[str, Any]:
    """The fields of a row that a run trained on or was asked about.

    Args:
        run: the run's folder.
        task: one of its tasks.
        row: its place in the source split, as `BrowsedAnswer.row`.
        split: which rows: `train`, `validation` or `test`.

    Raises:
        UserError: it is no run's folder, or the row is not at hand or no longer there.
    """
    if split not in get_args(Role):
        raise UserError(f"no split '{split}'", where="split", how="train, validation or test")
    return rows_of(resolve(StoredRun.open(Path(run)).recipe), split, [(task, row)])[task, row]


def rows_of(names: Resolved, role: Role, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Rows by task and place in the source split.

    Args:
        names: what the recipe's names stand for.
        role: which rows.
        wanted: tasks and places; those of one task are read together.

    Raises:
        UserError: a row is not at hand or no longer there.
    """
    division = names.division
    entries: dict[str, Entry] = {entry.spec.name: entry for entry in division.named}
    rows: dict[tuple[str, int], Mapping[str, Any]] = {}
    for task in dict.fromkeys(task for task, _ in wanted):
        places = {place for name, place in wanted if name == task}
        entry = entries.get(task)
        if entry is None or not rows_at_hand(entry, role, data=names.data):
            how = "give the folder of data that the run was mixed with"
            raise UserError(f"the rows of '{task}' are not at hand", where=role, how=how)
        for row in load_rows(entry, role, data=names.data, limit=max(places) + 1):
            if row.index in places:
                rows[task, row.index] = row.fields
        if lost := places - {place for name, place in rows if name == task}:
            how = "its rows are not those that were mixed"
            raise UserError(f"no row {min(lost)}", where=f"{task}, {role}", how=how)
    return rows
