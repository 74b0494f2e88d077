"""What the page's tables say: plain records made from results, ledger and log.

The template only lays these out. Clusters with a verdict need no record: `ClusterVerdict` says it all.

Invariant: nothing is computed here that the stored matrices could not repeat; means over seeds are plain means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from openflan.evaluation.task_results import TaskGain, TaskResult, TemplateSpread
from openflan.mixture.certificate import ItemCounts, LeakCertificate
from openflan.mixture.ledger import Ledger
from openflan.report.plot_data import PlotData
from openflan.report.plots import template_strip
from openflan.runs.results import ClusterVerdict, Results, Verdict
from openflan.runs.stages import UNTUNED
from openflan.training.metrics import StepReport

__all__ = [
    "CertificateLine",
    "CostLine",
    "LossLine",
    "MixtureCluster",
    "MixtureTask",
    "Spread",
    "TaskLine",
    "certificate_lines",
    "cost_lines",
    "cost_sum",
    "doubts",
    "loss_lines",
    "mean_mfu",
    "mixture_clusters",
    "seen_beside",
    "stale_lines",
    "task_lines",
    "tasks_by_origin",
    "template_data",
]


_PLACES = {
    "folder of data": "the folder of data",
    "own files": "the task's own files",
    "starter world": "the starter world",
    "twin": "the sample rows that come with openflan",
}
"""Places of rows as a sentence names them."""


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
    untuned_ci95: tuple[float, float]
    tuned_ci95: tuple[float, float]
    gain: TaskGain
    best: tuple[float, float] | None
    """Untuned and tuned under the template that validation rows choose (mean over seeds); None without such rows."""
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
    tokens: float
    """Of the examples drawn, mean over seeds."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateLine:
    """What the leak check found of one measured task."""

    task: str
    total: int
    ngram: int
    """Items that were compared by n-grams."""
    exactly: int
    """Items that were compared as a whole, for they are shorter."""
    uncompared: int
    """Items that nothing could be held against."""
    exact: int
    shared: int
    """Items that share 13 words on end or nearly all of their text with a training row, the exact ones among them."""
    dirty: int
    """Items that are in the tuning set still."""
    hit_by: list[tuple[str, int]]
    """The tuned tasks that hit it, with how many rows of each."""
    scores: list[tuple[str, float | None, float | None]]
    """By model where items are dirty: its score on the clean ones and on the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CostLine:
    """What one stage took."""

    stage: str
    seconds: float
    work: int | None
    unit: str
    """Of the work: `tokens` or `prompts`."""
    memory_mb: float
    device_memory_mb: float | None
    energy_joules: float | None

    @property
    def rate(self) -> float | None:
        """Work a second."""
        return self.work / self.seconds if self.work and self.seconds else None


def seen_beside(verdict: Verdict) -> list[ClusterVerdict]:
    """The tuned clusters that are measured by more than own tasks, each of which has a line of its own."""
    own = {one.task for one in verdict.own}
    return [cluster for cluster in verdict.seen if not set(cluster.tasks) <= own]


def task_lines(results: Results) -> list[TaskLine]:
    """Every task's line, in the results' order."""
    return [_task_line(number, task) for number, task in enumerate(results.tasks)]


def doubts(results: Results) -> str:
    """How many answers of all models are to be read with care, and why; empty where none is."""
    spreads = [spread for task in results.tasks for spread in task.models.values()]
    counts = {
        "were to options of which one begins another, told apart without their ends": sum(
            spread.nested for spread in spreads if spread.rule == "option"
        ),
        "had an equal option": sum(spread.ties for spread in spreads),
        "were decided within bfloat16's noise": sum(spread.close for spread in spreads),
        "were to prompts too long for the model, which were cut": sum(spread.cut for spread in spreads),
    }
    remarks = [f"{count:,} {what}" for what, count in counts.items() if count]
    of_all = f"Of {sum(spread.answers for spread in spreads):,} answers {', '.join(remarks)}." if remarks else ""
    return " ".join(filter(None, [of_all, f"{results.family}." if results.family else ""]))


def _task_line(number: int, task: TaskResult) -> TaskLine:
    untuned = task.models[UNTUNED]
    assert task.gain is not None
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
        untuned_ci95=untuned.ci95,
        tuned_ci95=task.gain.tuned_ci95,
        gain=task.gain,
        best=_best([untuned, *tuned]),
        strip=template_strip(number, before, after, task.chance),
        others=others,
    )


def _best(models: Sequence[TemplateSpread]) -> tuple[float, float] | None:
    bests = [spread.best_on_validation for spread in models]
    scores = [best.score for best in bests if best is not None]
    return (scores[0], float(np.mean(scores[1:]))) if len(scores) == len(models) else None


def _spread(scores: Sequence[float]) -> Spread:
    return Spread(
        mean=float(np.mean(scores)),
        std=float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0,
        low=min(scores),
        high=max(scores),
    )


def mixture_clusters(ledger: Ledger) -> list[MixtureCluster]:
    """The ledger's tasks by cluster, clusters and tasks by name."""
    clusters: dict[str, list[MixtureTask]] = {}
    for name, task in sorted(ledger.tasks.items()):
        drawn, tokens = (float(np.mean(list(by_seed.values()))) for by_seed in (task.drawn, task.tokens))
        line = MixtureTask(task=name, rows=task.rows, rate=task.rate, drawn=drawn, tokens=tokens)
        clusters.setdefault(task.cluster, []).append(line)
    return [MixtureCluster(cluster=name, tasks=tasks) for name, tasks in sorted(clusters.items())]


def tasks_by_origin(ledger: Ledger) -> list[tuple[str, list[str]]]:
    """Where rows were read, the tasks of each kind of place: every hub is one kind."""
    places: dict[str, list[str]] = {}
    for name, place in sorted(ledger.origins.items()):
        places.setdefault("the hub" if place.startswith("hub") else _PLACES.get(place, place), []).append(name)
    return sorted(places.items(), key=lambda item: -len(item[1]))


def loss_lines(logs: Mapping[int, Sequence[StepReport]]) -> list[LossLine]:
    """Each seed's training in numbers; a seed without a log has no line."""
    lines = []
    for seed, log in logs.items():
        if log:
            twentieth = max(1, len(log) // 20)
            values = [line.loss for line in log]
            lines.append(
                LossLine(
                    seed=seed,
                    steps=len(log),
                    tokens=sum(line.tokens for line in log),
                    examples=sum(line.examples for line in log),
                    first=float(np.mean(values[:twentieth])),
                    last=float(np.mean(values[-twentieth:])),
                )
            )
    return lines


def template_data(results: Results) -> PlotData:
    """The numbers behind the strips: each task under each template, by model."""
    rows = [
        (task.cluster, task.task, task.role, model, template, score)
        for task in results.tasks
        for model, spread in task.models.items()
        for template, score in spread.by_template.items()
    ]
    columns = ("cluster", "task", "role", "model", "template", "score")
    return PlotData(name="templates", columns=columns, rows=rows)


def certificate_lines(leakage: LeakCertificate, results: Results) -> list[CertificateLine]:
    """Each held-out task that was checked, with what hit it."""
    return [_certificate_line(name, counts, leakage, results) for name, counts in leakage.items.items()]


def stale_lines(leakage: LeakCertificate, results: Results) -> list[CertificateLine]:
    """Each tuned task of which test rows stand in its own training rows, or could not be compared."""
    return [
        _certificate_line(name, counts, leakage, results)
        for name, counts in leakage.seen.items()
        if counts.dirty or counts.not_comparable
    ]


def _certificate_line(name: str, counts: ItemCounts, leakage: LeakCertificate, results: Results) -> CertificateLine:
    apart = next((task.leakage for task in results.tasks if task.task == name), {})
    return CertificateLine(
        task=name,
        total=counts.total,
        ngram=counts.compared.ngram,
        exactly=counts.compared.exactly,
        uncompared=sum(counts.not_comparable.values()),
        exact=counts.hits.exact,
        shared=counts.hits.ngram + counts.hits.near,
        dirty=counts.dirty,
        hit_by=[(edge.task, edge.rows) for edge in leakage.edges if edge.held_out == name],
        scores=[(model, split.clean, split.dirty) for model, split in apart.items()],
    )


def cost_lines(results: Results) -> list[CostLine]:
    """Each stage's cost, in the order of the work."""
    return [
        CostLine(
            stage=stage.replace("/", " "),
            seconds=cost.seconds,
            work=cost.tokens or cost.prompts,
            unit="tokens" if cost.tokens else "prompts",
            memory_mb=cost.peak_memory_mb,
            device_memory_mb=cost.device_memory_mb,
            energy_joules=cost.energy_joules,
        )
        for stage, cost in results.costs.items()
    ]


def cost_sum(lines: Sequence[CostLine]) -> CostLine:
    """All stages together; energy is known where it is known of training and evaluation throughout."""
    energies = [line.energy_joules for line in lines if line.stage != "mixture"]
    return CostLine(
        stage="all",
        seconds=sum(line.seconds for line in lines),
        work=None,
        unit="",
        memory_mb=max((line.memory_mb for line in lines), default=0.0),
        device_memory_mb=max((line.device_memory_mb or 0.0 for line in lines), default=0.0) or None,
        energy_joules=None if not energies or None in energies else sum(energy or 0.0 for energy in energies),
    )


def mean_mfu(logs: Mapping[int, Sequence[StepReport]]) -> float | None:
    """Share of the device's peak that training used, by time; None where no step tells it."""
    steps = [line for log in logs.values() for line in log if line.mfu]
    seconds = sum(line.seconds for line in steps)
    return sum(line.mfu * line.seconds for line in steps) / seconds if seconds else None
