"""Fresh or not: a task's own test rows, held against its own training rows.

The comparison is that of the leak certificate. Invariant: rows are called fresh only where each of them was compared
and none was found. Cost: reading both splits, then a million short texts a minute.
"""

from dataclasses import dataclass
from pathlib import Path

from openflan.mixture.leakage import check_leakage
from openflan.prompts.task import folder_of_data
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import load_rows, rows_at_hand

__all__ = ["OwnRows", "own_rows"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnRows:
    """A task's test rows beside its training rows."""

    task: str
    rows: int
    """Test rows."""
    stale: tuple[int, ...]
    """Places in the source split of those that share a text with a training row."""
    uncompared: int
    """Those without a text that could be compared."""

    @property
    def fresh(self) -> bool:
        """Whether all could be compared and none is stale."""
        return self.rows > 0 and not self.stale and not self.uncompared

    @property
    def sentence(self) -> str:
        """The finding in words."""
        if self.fresh:
            return f"none of {self.rows:,} test rows shares a text with a training row"
        of = f"of {self.rows:,}"
        stale = [f"{len(self.stale):,} {of} test rows share a text with a training row"] if self.stale else []
        rest = [f"{self.uncompared:,} {of} have no text that could be compared"] if self.uncompared else []
        return "; ".join([*stale, *rest]) or "there are no test rows"


def own_rows(entry: Entry, *, data: str | Path | None = None) -> OwnRows | None:
    """Hold a task's test rows against its training rows; None where it has not both, or they are not at hand.

    Args:
        entry: the task.
        data: a folder of data, `DIR/<task>/<split>.*`.

    Raises:
        UserError: a row is at fault.
    """
    place = folder_of_data(data)
    for role in ("train", "test"):
        if role not in entry.spec.splits or not rows_at_hand(entry, role, data=place):
            return None
    train, test = ([(entry, load_rows(entry, role, data=place))] for role in ("train", "test"))
    certificate = check_leakage(train, (), seen=test, mode="warn")
    counts = certificate.seen.get(entry.spec.name)
    return OwnRows(
        task=entry.spec.name,
        rows=counts.total if counts else 0,
        stale=certificate.stale[entry.spec.name],
        uncompared=sum(counts.not_comparable.values()) if counts else 0,
    )
