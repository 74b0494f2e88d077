"""Splits: which slices of its source a task trains on, tries and is measured on, and how many rows they are.

The number comes from the official row count of a split and the slice that a role takes of it. What cleaning drops is
not known without the rows; where it matters the spec states the count (`usable_rows`).

Invariant: needs no data. Rejected: asking the hub, which a planner must not need.
"""

import re
from collections.abc import Set
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from openflan.tasks.spec import TaskSpec

__all__ = ["Role", "official_rows", "parse_slice", "rows_to_draw"]

Role = Literal["train", "validation", "test"]
"""What a task's rows are for."""

_SLICE = re.compile(r"(?P<split>\w[\w.\-]*)(\[(?P<start>-?\d+)?:(?P<stop>-?\d+)?\])?\Z")


def parse_slice(text: str) -> tuple[str, int | None, int | None]:
    """`train[:-200]` as the split's name and the two bounds.

    Raises:
        ValueError: it is not of that form.
    """
    match = _SLICE.match(text)
    if match is None:
        raise ValueError("write name or name[start:stop]")
    start, stop = (int(match[key]) if match[key] else None for key in ("start", "stop"))
    return match["split"], start, stop


def rows_to_draw(rows: int, spec: "TaskSpec", *, most: int | None = None, errata: Set[str] = frozenset()) -> int:
    """How many of a task's training rows are drawn from.

    Args:
        most: the recipe's cap.
        errata: with `drop_remainder`, rows after the last whole multiple of the number of templates are left out, as
            in the released code.
    """
    rows = rows if most is None else min(rows, most)
    return rows - rows % len(spec.templates) if "drop_remainder" in errata else rows


def official_rows(
    spec: "TaskSpec", role: Role, *, most: int | None = None, errata: Set[str] = frozenset()
) -> int | None:
    """Rows that a role uses of the official dataset; None where the spec does not say.

    Args:
        spec: the task's.
        role: what the rows are for.
        most: so many training rows at most, as for `rows_to_draw`.
        errata: switches that are on, as for `rows_to_draw`.
    """
    if role not in spec.splits:
        return None
    split, start, stop = parse_slice(spec.splits[role])
    split = role if spec.source.apart is not None else split
    if split not in spec.size:
        return None
    count = len(range(spec.size[split])[start:stop])
    if role == "train":
        count = rows_to_draw(min(count, spec.usable_rows or count), spec, most=most, errata=errata)
    return count
