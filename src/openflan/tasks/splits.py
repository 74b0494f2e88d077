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

__all__ = ["Role", "official_rows", "parse_slice"]

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


def official_rows(spec: "TaskSpec", role: Role, *, errata: Set[str] = frozenset()) -> int | None:
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
