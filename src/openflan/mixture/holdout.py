"""Hold-out: which tasks may be tuned on when some clusters are to be measured zero-shot.

The paper's rule (Wei et al. 2022, section 2.2): a dataset is unseen if no dataset of any cluster it belongs to was
tuned on; and clusters that are close kin leave tuning together, for reading comprehension with commonsense counts
as reading comprehension and as commonsense, and paraphrase is entailment both ways.

Invariant: `tuned` and `held_out` share no cluster. Rejected: holding out single tasks, which leaves their siblings
in tuning and measures memory of the task type.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from openflan.errors import UserError, did_you_mean
from openflan.tasks.catalog import Entry
from openflan.tasks.clusters import CLUSTERS, KIN

__all__ = ["HoldOut", "hold_out"]

@dataclass(frozen=True, kw_only=True, slots=True)
class HoldOut:
    """A division of the tasks: what is tuned on, and what is not."""

    clusters: tuple[str, ...]
    """Clusters out of tuning: those asked for, and their kin."""
    tuned: tuple[Entry, ...]
    held_out: tuple[Entry, ...]


def hold_out(entries: Sequence[Entry], clusters: Sequence[str], *, kin: Literal["paper", "none"]) -> HoldOut:
    """Divide tasks by cluster.

    Raises:
        UserError: a cluster is unknown, or nothing is left to tune on.
    """
    for position, name in enumerate(clusters):
        if name not in CLUSTERS:
            raise UserError(
                f"no cluster '{name}'",
                where=f"tasks.hold_out[{position}]",
                how=did_you_mean(name, CLUSTERS) or "`openflan tasks list --clusters` shows all twelve",
            )
    out = set(clusters)
    if kin == "paper":
        out.update(*(KIN.get(name, ()) for name in clusters))
    tuned = tuple(e for e in entries if e.spec.cluster not in out and not e.spec.evaluation_only)
    if not tuned:
        raise UserError(
            "every cluster of the chosen tasks is held out: nothing is left to tune on",
            where="tasks.hold_out",
            how="hold out fewer clusters or name more tasks in tasks.use",
        )
    return HoldOut(
        clusters=tuple(name for name in CLUSTERS if name in out),
        tuned=tuned,
        held_out=tuple(e for e in entries if e.spec.cluster in out),
    )
