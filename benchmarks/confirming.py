"""Verdicts over groups of tasks that were measured by one run or by several, for the confirmations."""

from collections.abc import Iterable
from dataclasses import replace

from openflan.evaluation.matrix import TaskMatrix
from openflan.runs.results import ClusterVerdict
from openflan.runs.verdicts import cluster_verdicts
from openflan.study.measuring import Measured

__all__ = ["group_verdicts"]


def group_verdicts(tasks: Iterable[tuple[str, str, Measured]], seed: int) -> list[ClusterVerdict]:
    """A verdict for each group under one seed, with p-values adjusted over all groups.

    Args:
        tasks: group, task, and the run that measured it.
        seed: whose tuned model counts.
    """
    untuned: dict[str, TaskMatrix] = {}
    tuned: dict[str, TaskMatrix] = {}
    for group, task, measured in tasks:
        untuned[task] = replace(measured.untuned[task], cluster=group)
        tuned[task] = replace(measured.tuned[seed][task], cluster=group)
    return cluster_verdicts(untuned, {seed: tuned}, list(untuned), samples=2_000)
