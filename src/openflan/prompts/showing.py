"""A row under every template, to be looked at.

Invariant: what is shown is what is trained on, from the task's twin where no rows are at hand.
Cost: finding the row, which its place in a file makes short (openflan.tasks.paging).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openflan.errors import UserError
from openflan.prompts.render import BASELINE, Prompt, TaskRenderer
from openflan.recipes.parts import StylePart
from openflan.tasks.catalog import Entry
from openflan.tasks.paging import PagedRows
from openflan.tasks.sources import SourceRow
from openflan.tasks.splits import Role

__all__ = ["ShownRow", "show_prompts", "show_row"]

_PLAIN = StylePart()


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
    refused: Mapping[int, UserError] = field(default_factory=dict)
    """Templates that fit the row and fail on it, by number, and why."""


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
    row, renderer = PagedRows(entry, role, data=data, twin=twin).row(number), TaskRenderer(entry)
    return ShownRow(
        row=row,
        twin=twin,
        prompts=tuple(renderer.render(row, template) for template in renderer.applicable(row)),
        baseline=renderer.render(row, BASELINE) if entry.spec.baseline is not None else None,
    )


def show_prompts(entry: Entry, row: SourceRow, *, style: StylePart = _PLAIN, key: int = 0) -> ShownRow:
    """A row that was read already, under every template that fits it; one that fails on it stops no other.

    Args:
        row: one of the task's.
        style: how prompts are made.
        key: draws what the style leaves open.

    Raises:
        UserError: the task's templates are at fault whatever the row.
    """
    renderer = TaskRenderer(entry)
    prompts: list[Prompt] = []
    refused: dict[int, UserError] = {}
    for number in renderer.applicable(row):
        try:
            prompts.append(renderer.render(row, number, style=style, key=key))
        except UserError as error:
            refused[number] = error
    return ShownRow(row=row, twin=False, prompts=tuple(prompts), baseline=None, refused=refused)
