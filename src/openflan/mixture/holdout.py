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
from openflan.tasks.lineage import Descent, shared_source, shared_sources

__all__ = ["Condemned", "HoldOut", "LeaveReason", "first_of_clusters", "hold_out", "kin_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Condemned:
    """A task that leaves tuning because its text is, at some remove, a held-out task's."""

    entry: Entry
    by: Entry
    """The held-out task."""
    descent: Descent


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaveReason:
    """One reason for which a task leaves tuning; a task can have several."""

    entry: Entry
    """The task that leaves."""
    rule: Literal["asked", "kin", "corpus"]
    """Its cluster was to be held out, is close kin of one that was, or its text is a held-out task's."""
    cluster: str
    """The held-out cluster because of which it leaves."""
    by: Entry | None = None
    """The held-out task of that cluster, where they share a corpus."""
    descent: Descent | None = None
    """How the two come by the same text."""

    @property
    def words(self) -> str:
        """The reason as a reader is told it."""
        if self.descent is not None:
            return f"shared corpus: {self.descent.corpus}"
        return "held out" if self.rule == "asked" else "rule: close kin"


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldOut:
    """A division of the tasks: what is tuned on, and what is not."""

    clusters: tuple[str, ...]
    """Clusters out of tuning: those asked for, and their kin."""
    tuned: tuple[Entry, ...]
    held_out: tuple[Entry, ...]
    condemned: tuple[Condemned, ...] = ()
    """Tasks of other clusters that left tuning because of their lineage, each with the first reason."""
    asked: tuple[str, ...] = ()
    """Clusters that were to be held out."""
    lineage: Literal["drop", "keep"] = "drop"
    """Whether sharing text with a held-out task is a reason to leave."""
    missing: tuple[Entry, ...] = ()
    """Tasks left out because their rows must be fetched by hand (`tasks.missing: leave_out`)."""
    left_out: tuple[Entry, ...] = ()
    """Tasks that the recipe leaves out (`tasks.leave_out`)."""

    @property
    def named(self) -> tuple[Entry, ...]:
        """Every task that the recipe names, on whichever side or left out."""
        condemned = (one.entry for one in self.condemned)
        return (*self.tuned, *self.held_out, *condemned, *self.missing, *self.left_out)

    @property
    def reasons(self) -> tuple[LeaveReason, ...]:
        """Every reason of every task that left tuning because of what is held out, task by task.

        A task of a cluster that was asked for has no other: its text is what is held out.
        """
        reasons: list[LeaveReason] = []
        for entry in self.held_out:
            own = [name for name in self.asked if name in _clusters_of(entry)]
            reasons += [LeaveReason(entry=entry, rule="asked", cluster=name) for name in own]
            if not own:
                kin = [name for name in self.asked if _clusters_of(entry) & {*kin_of(name)}]
                reasons += [LeaveReason(entry=entry, rule="kin", cluster=name) for name in kin]
                reasons += self._by_corpus(entry, [one for one in self.held_out if _clusters_of(one) & {*self.asked}])
        for one in self.condemned:
            reasons += self._by_corpus(one.entry, self.held_out)
        return tuple(reasons)

    def _by_corpus(self, entry: Entry, others: Sequence[Entry]) -> list[LeaveReason]:
        """The corpora that a task shares with held-out ones."""
        if self.lineage == "keep":
            return []
        return [
            LeaveReason(entry=entry, rule="corpus", cluster=cluster, by=other, descent=descent)
            for other in others
            for cluster in [next(name for name in (*self.asked, *self.clusters) if name in _clusters_of(other))]
            for descent in shared_sources(entry.spec.lineage, other.spec.lineage)
        ]


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
    names = dict.fromkeys((*CLUSTERS, *SUBCLUSTERS, *(entry.spec.cluster for entry in entries)))
    for position, name in enumerate(clusters):
        if name not in names:
            raise UserError(
                f"no cluster '{name}'",
                where=f"tasks.hold_out[{position}]",
                how=did_you_mean(name, names) or "`openflan tasks list --clusters` shows them all",
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
        clusters=tuple(name for name in names if name in out),
        tuned=tuned,
        held_out=held_out,
        condemned=condemned,
        asked=tuple(dict.fromkeys(clusters)),
        lineage=lineage,
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
    names = {entry.spec.name for inside in members.values() for entry in inside[:most]}
    return replace(division, tuned=tuple(entry for entry in division.tuned if entry.spec.name in names))


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
