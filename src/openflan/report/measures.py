"""Form and judgement on the page: what a gain in accuracy is made of, cluster by cluster and task by task.

A model can gain accuracy by learning to answer in the asked form alone, and hide what it learnt to tell behind a
leaning to one option. The table sets the measures that part the two beside each other; whether a change counts is read
from its interval, as for accuracy. Of the share of first options neither more nor less is better, so it has no colour.

Invariant: nothing is computed here but means over seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from openflan.evaluation.comparison import TaskComparison
from openflan.evaluation.measures import MEASURES
from openflan.evaluation.task_results import TaskResult
from openflan.report.numbers import GainShown, outcome
from openflan.report.plot_data import PlotData
from openflan.runs.results import ClusterVerdict, Results, TaskVerdict
from openflan.runs.stages import UNTUNED

__all__ = [
    "MeasureCell",
    "MeasureLine",
    "compared_measures",
    "measure_data",
    "measure_heads",
    "task_measures",
    "verdict_measures",
]

_HEADS = {
    "form": "On the options",
    "written": "Writes an option",
    "auc": "Tells right from wrong",
    "batch": "Right, leaning off (rows)",
    "content_free": "Right, leaning off (empty)",
    "first": "First option",
    "class_order": "Right in class order",
    "same_answer": "Same in every order",
}
_NEITHER_BETTER = ("first",)


class _Change(Protocol):
    """A change of a measure with its paired interval."""

    @property
    def tuned(self) -> float: ...
    @property
    def gain(self) -> float: ...
    @property
    def gain_ci95(self) -> tuple[float, float]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureCell:
    """One measure: before and after, and what its change shows."""

    before: float
    after: float
    change_ci95: tuple[float, float]
    shown: GainShown


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureLine:
    """One cluster or task."""

    name: str
    """As it is shown."""
    cells: Mapping[str, MeasureCell]
    """By measure."""
    first_right: float | None = None
    """Share of questions of which the right option stands first."""


def measure_heads(lines: Sequence[MeasureLine]) -> list[tuple[str, str]]:
    """The measures that some line has, with what their columns are called."""
    return [(name, _HEADS[name]) for name in MEASURES if any(name in line.cells for line in lines)]


def verdict_measures(verdicts: Sequence[ClusterVerdict] | Sequence[TaskVerdict]) -> list[MeasureLine]:
    """Each cluster, or task of the user's own, that is ranked."""
    return [
        MeasureLine(
            name=verdict.label,
            cells={name: _cell(name, measure.untuned, measure) for name, measure in verdict.measures.items()},
            first_right=verdict.first_right,
        )
        for verdict in verdicts
        if verdict.measures
    ]


def task_measures(tasks: Sequence[TaskResult]) -> list[MeasureLine]:
    """Each ranked task."""
    return [
        MeasureLine(
            name=task.task,
            cells={
                name: _cell(name, task.models[UNTUNED].measures[name].mean, gain)
                for name, gain in task.measure_gains.items()
            },
            first_right=task.first_right,
        )
        for task in tasks
        if task.measure_gains
    ]


def compared_measures(tasks: Sequence[TaskComparison], level: float) -> list[MeasureLine]:
    """Each ranked task of a comparison; what its change shows goes by the adjusted test.

    Args:
        level: below which a p-value shows a difference.
    """
    return [
        MeasureLine(
            name=task.task,
            cells={
                name: MeasureCell(
                    before=measure.a,
                    after=measure.b,
                    change_ci95=measure.difference_ci95,
                    shown=_shown(
                        name, "none" if measure.p_holm >= level else "gain" if measure.difference > 0 else "loss"
                    ),
                )
                for name, measure in task.measures.items()
            },
        )
        for task in tasks
        if task.measures
    ]


def measure_data(results: Results) -> PlotData:
    """The measures of every task and model."""
    rows = [
        (task.cluster, task.task, task.role, model, name, measure.mean, *measure.ci95)
        for task in results.tasks
        for model, spread in task.models.items()
        for name, measure in spread.measures.items()
    ]
    columns = ("cluster", "task", "role", "model", "measure", "value", "low", "high")
    return PlotData(name="measures", columns=columns, rows=rows)


def _cell(name: str, before: float, change: _Change) -> MeasureCell:
    return MeasureCell(
        before=before,
        after=change.tuned,
        change_ci95=change.gain_ci95,
        shown=_shown(name, outcome(change.gain_ci95)),
    )


def _shown(name: str, shown: GainShown) -> GainShown:
    return "none" if name in _NEITHER_BETTER else shown
