"""Sizes: how many rows a task has, known before any is read.

From the official row count of a split and the slice that a role takes of it. What cleaning drops is not known
without the rows; where it matters the spec states the count (`usable_rows`).

Invariant: needs no data. Rejected: asking the hub, which a planner must not need.
"""

from collections.abc import Set
from typing import Literal

from openflan.tasks.spec import TaskSpec, parse_slice

__all__ = ["official_rows"]


def official_rows(
    spec: TaskSpec, role: Literal["train", "validation", "test"], *, errata: Set[str] = frozenset()
) -> int | None:
    """Rows that a role uses of the official dataset; None where the spec does not say.

    Args:
        errata: with `drop_remainder`, training rows after the last whole multiple of ten templates are left out, as
            in the released code.
    """
    if role not in spec.splits:
        return None
    split, start, stop = parse_slice(spec.splits[role])
    if split not in spec.size:
        return None
    count = len(range(spec.size[split])[start:stop])
    if role == "train":
        count = min(count, spec.usable_rows or count)
        if "drop_remainder" in errata:
            count -= count % len(spec.templates)
    return count
