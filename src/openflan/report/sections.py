"""What the page's tables say: plain records made from results, ledger and log.

The template only lays these out. Clusters with a verdict need no record: `ClusterVerdict` says it all.

Invariant: nothing is computed here that the stored matrices could not repeat; means over seeds are plain means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from openflan.evaluation.results import Results
from openflan.evaluation.spread import TaskResult
from openflan.plan import UNTUNED
from openflan.report.plots import template_strip

__all__ = [
    "LossLine",
    "MixtureCluster",
    "MixtureTask",
    "Spread",
    "TaskLine",
    "doubts",
    "loss_lines",
    "mixture_clusters",
    "task_lines",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Scores over templates."""

    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskLine:
    """One task: untuned and tuned (each template's mean over seeds)."""

    result: TaskResult
    templates: int
    untuned: Spread
    tuned: Spread
    strip: Markup
    others: list[tuple[str, float, float]]
    """Further metrics: name, untuned, tuned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureTask:
    """What tuning drew from one task."""

    task: str
    rows: int
    rate: float
    drawn: float
    """Mean over seeds."""

    @property
    def passes(self) -> float:
        """How often a row was drawn, on average."""
        return self.drawn / self.rows if self.rows else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureCluster:
    """The tasks of one cluster in the mixture."""

    cluster: str
    tasks: list[MixtureTask]

    @property
    def rate(self) -> float:
        """Share of the cluster in all draws."""
        return sum(task.rate for task in self.tasks)


@dataclass(frozen=True, kw_only=True, slots=True)
class LossLine:
    """One seed's training in numbers."""

    seed: int
    steps: int
    tokens: int
    examples: int
    first: float
    """Mean loss over the first twentieth of the steps."""
    last: float
    """Mean loss over the last twentieth."""


def task_lines(results: Results) -> list[TaskLine]:
    """Every task's line, in the results' order."""
    return [_task_line(number, task) for number, task in enumerate(results.tasks)]


def doubts(results: Results) -> str:
    """How many answers of all models are to be read with care, and why; empty where none is."""
    spreads = [spread for task in results.tasks for spread in task.models.values()]
    counts = {
        "had an equal option": sum(spread.ties for spread in spreads),
        "were decided within bfloat16's noise": sum(spread.close for spread in spreads),
        "were to prompts too long for the model, which were cut": sum(spread.cut for spread in spreads),
    }
    said = [f"{count:,} {what}" for what, count in counts.items() if count]
    return f"Of {sum(spread.answers for spread in spreads):,} answers {', '.join(said)}." if said else ""


def _task_line(number: int, task: TaskResult) -> TaskLine:
    untuned = task.models[UNTUNED]
    tuned = [spread for name, spread in task.models.items() if name != UNTUNED]
    templates = list(untuned.by_template)
    before = [untuned.by_template[template] for template in templates]
    after = [float(np.mean([spread.by_template[template] for spread in tuned])) for template in templates]
    others = [
        (name, score, float(np.mean([spread.other_metrics[name] for spread in tuned])))
        for name, score in untuned.other_metrics.items()
    ]
    return TaskLine(
        result=task,
        templates=len(templates),
        untuned=_spread(before),
        tuned=_spread(after),
        strip=template_strip(number, before, after, task.chance),
        others=others,
    )


def _spread(scores: Sequence[float]) -> Spread:
    return Spread(
        mean=float(np.mean(scores)),
        std=float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0,
        low=min(scores),
        high=max(scores),
    )


def mixture_clusters(ledger: Mapping[str, Any]) -> list[MixtureCluster]:
    """The ledger's tasks by cluster, clusters and tasks by name."""
    clusters: dict[str, list[MixtureTask]] = {}
    for name, held in sorted(ledger["tasks"].items()):
        drawn = float(np.mean(list(held["drawn"].values())))
        line = MixtureTask(task=name, rows=held["rows"], rate=held["rate"], drawn=drawn)
        clusters.setdefault(held["cluster"], []).append(line)
    return [MixtureCluster(cluster=name, tasks=tasks) for name, tasks in sorted(clusters.items())]


def loss_lines(losses: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[LossLine]:
    """Each seed's training in numbers; a seed without a log has no line."""
    lines = []
    for seed, log in losses.items():
        if log:
            twentieth = max(1, len(log) // 20)
            values = [line["loss"] for line in log]
            lines.append(
                LossLine(
                    seed=seed,
                    steps=len(log),
                    tokens=sum(line["tokens"] for line in log),
                    examples=sum(line["examples"] for line in log),
                    first=float(np.mean(values[:twentieth])),
                    last=float(np.mean(values[-twentieth:])),
                )
            )
    return lines
