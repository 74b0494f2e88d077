"""Hold-out: which tasks may be tuned on when some clusters are to be measured zero-shot.

The paper's rule (Wei et al. 2022, section 2.2): a dataset is unseen if no dataset of any cluster it belongs to was
tuned on; and clusters that are close kin leave tuning together, for reading comprehension with commonsense counts
as reading comprehension and as commonsense, and paraphrase is entailment both ways. What the rule misses is text
that two clusters share: a task whose lineage meets that of a held-out task leaves tuning too.

Invariant: `tuned` shares no cluster with `held_out` and, with lineage, no corpus that is not a broad one. Rejected:
holding out single tasks, which leaves their siblings in tuning and measures memory of the task type.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from openflan.errors import UserError, did_you_mean
from openflan.tasks.catalog import Entry
from openflan.tasks.clusters import CLUSTERS, KIN, SUBCLUSTERS
from openflan.tasks.lineage import Descent, shared_source

__all__ = ["Condemned", "HoldOut", "first_of_clusters", "hold_out", "kin_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Condemned:
    """A task that leaves tuning because its text is, at some remove, a held-out task's."""

    entry: Entry
    by: Entry
    """The held-out task."""
    descent: Descent


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldOut:
    """A division of the tasks: what is tuned on, and what is not."""

    clusters: tuple[str, ...]
    """Clusters out of tuning: those asked for, and their kin."""
    tuned: tuple[Entry, ...]
    held_out: tuple[Entry, ...]
    condemned: tuple[Condemned, ...] = ()
    """Tasks of other clusters that left tuning because of their lineage."""
    missing: tuple[Entry, ...] = ()
    """Tasks left out because their rows must be fetched by hand (`tasks.missing: leave_out`)."""
    left_out: tuple[Entry, ...] = ()
    """Tasks that the recipe leaves out (`tasks.leave_out`)."""

    @property
    def named(self) -> tuple[Entry, ...]:
        """Every task that the recipe names, on whichever side or left out."""
        condemned = (one.entry for one in self.condemned)
        return (*self.tuned, *self.held_out, *condemned, *self.missing, *self.left_out)


def hold_out(
    entries: Sequence[Entry],
    clusters: Sequence[str],
    *,
    kin: Literal["paper", "none"],
    lineage: Literal["drop", "keep"] = "drop",
) -> HoldOut:
    """Divide tasks by cluster and lineage.

    Args:
        entries: the tasks to divide.
        clusters: names of the paper's view or, within `misc`, of the code's, or of the user's own.
        kin: whether clusters that are close kin of a held-out one leave tuning with it (`paper`).
        lineage: whether tasks that share text with a held-out one leave tuning too (`drop`).

    Raises:
        UserError: a cluster is unknown, or nothing is left to tune on.
    """
    known = dict.fromkeys((*CLUSTERS, *SUBCLUSTERS, *(entry.spec.cluster for entry in entries)))
    for position, name in enumerate(clusters):
        if name not in known:
            raise UserError(
                f"no cluster '{name}'",
                where=f"tasks.hold_out[{position}]",
                how=did_you_mean(name, known) or "`openflan tasks list --clusters` shows them all",
            )
    out = set(clusters)
    if kin == "paper":
        out.update(*map(kin_of, clusters))
    held_out = tuple(entry for entry in entries if _clusters_of(entry) & out)
    rest = [entry for entry in entries if not _clusters_of(entry) & out and not entry.spec.evaluation_only]
    condemned = _condemned(rest, held_out) if lineage == "drop" else ()
    condemned_names = {one.entry.spec.name for one in condemned}
    tuned = tuple(entry for entry in rest if entry.spec.name not in condemned_names)
    if not tuned:
        raise UserError(
            "every cluster of the chosen tasks is held out: nothing is left to tune on",
            where="tasks.hold_out",
            how="hold out fewer clusters or name more tasks in tasks.use",
        )
    return HoldOut(
        clusters=tuple(name for name in known if name in out),
        tuned=tuned,
        held_out=held_out,
        condemned=condemned,
    )


def kin_of(cluster: str) -> tuple[str, ...]:
    """Clusters that leave tuning with a held-out one, for they ask for much the same (Wei et al. 2022, section 2.2).

    Args:
        cluster: the one that is held out.
    """
    return KIN.get(cluster, ())


def first_of_clusters(division: HoldOut, most: int | None) -> HoldOut:
    """The division with at most so many tuned tasks a cluster, the first by name; the others are not tuned on."""
    if most is None:
        return division
    members: dict[str, list[Entry]] = {}
    for entry in sorted(division.tuned, key=lambda entry: entry.spec.name):
        members.setdefault(entry.spec.code_cluster, []).append(entry)
    kept = {entry.spec.name for inside in members.values() for entry in inside[:most]}
    return replace(division, tuned=tuple(entry for entry in division.tuned if entry.spec.name in kept))


def _clusters_of(entry: Entry) -> set[str]:
    return {entry.spec.cluster, entry.spec.code_cluster}


def _condemned(rest: Sequence[Entry], held_out: Sequence[Entry]) -> tuple[Condemned, ...]:
    condemned: list[Condemned] = []
    for entry in rest:
        for other in held_out:
            descent = shared_source(entry.spec.lineage, other.spec.lineage)
            if descent is not None:
                condemned.append(Condemned(entry=entry, by=other, descent=descent))
                break
    return tuple(condemned)
