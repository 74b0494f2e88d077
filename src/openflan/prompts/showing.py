"""A row under every template, to be looked at.

Invariant: what is shown is what is trained on, from the task's twin where no rows are at hand.
Cost: rows are read as far as the one that is asked for.
"""

from dataclasses import dataclass
from pathlib import Path

from openflan.errors import UserError
from openflan.prompts.render import BASELINE, Prompt, TaskRenderer
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow, load_rows, load_twin
from openflan.tasks.splits import Role

__all__ = ["ShownRow", "show_row"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownRow:
    """One row of a task and its prompts."""

    row: SourceRow
    twin: bool
    """Whether the row is of the task's twin, not of a split."""
    prompts: tuple[Prompt, ...]
    """Under every template that fits the row, in order."""
    baseline: Prompt | None
    """The text to continue, for models that were never tuned."""


def show_row(
    entry: Entry, number: int, *, role: Role = "train", data: Path | None = None, hub: bool = False
) -> ShownRow:
    """Render a task's row under every template that fits it.

    Args:
        number: which of the role's usable rows, from 0.
        data: a folder of rows, or `TWINS`; without one, the twin of a task whose rows are on the hub.
        hub: read the hub's rows, not the twin's.

    Raises:
        UserError: there is no such row, or it can't be rendered.
    """
    source = entry.spec.source
    twin = data is None and not hub and not source.starter and not source.local_files
    rows = load_twin(entry) if twin else load_rows(entry, role, data=data, limit=number + 1)
    if number >= len(rows):
        what = f"{'the twin' if twin else role} has {len(rows)} rows"
        raise UserError(what, where=f"row {number}", how="choose a smaller one")
    row, renderer = rows[number], TaskRenderer(entry)
    return ShownRow(
        row=row,
        twin=twin,
        prompts=tuple(renderer.render(row, template) for template in renderer.applicable(row)),
        baseline=renderer.render(row, BASELINE) if entry.spec.baseline is not None else None,
    )
