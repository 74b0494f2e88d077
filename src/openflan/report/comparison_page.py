"""The page of a comparison: side B against side A on the rows that both answered.

It opens with what the tests show and with what they could not have shown; then what the two differ in, task by task
with Holm-adjusted tests, how sure the two are, and prompts on which they part.

Invariant: the same two sides give the same bytes. A task that one side was tuned on and the other not is marked, for
its difference is no comparison of zero-shot answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from openflan.evaluation.answered import Answered, of_test
from openflan.evaluation.comparison import Comparison, TaskComparison
from openflan.evaluation.scores import Score
from openflan.report.difference_plot import SHOWN, difference_drawing
from openflan.report.examples import SIDES, ClusterExamples, choose_examples
from openflan.report.html import render
from openflan.report.measures import compared_measures, measure_heads
from openflan.report.numbers import listed, points, signed, span
from openflan.report.plot_data import Drawing, PlotData
from openflan.report.reliability import ReliabilityGroup, reliability_drawing, reliability_groups
from openflan.runs.sides import Side

__all__ = ["ComparisonFigures", "ComparisonMaterial", "SettingDifference", "render_comparison"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingDifference:
    """A setting in which the two sides' recipes differ."""

    key: str
    a: str
    b: str


@dataclass(frozen=True, kw_only=True)
class ComparisonMaterial:
    """All that a comparison's page is made of."""

    comparison: Comparison
    a: Side
    b: Side
    score: Score
    samples: int
    command: str
    versions: Mapping[str, str]


class ComparisonFigures:
    """The figures of a comparison's page, each drawn once."""

    def __init__(self, material: ComparisonMaterial) -> None:
        self._material = material

    @cached_property
    def differences(self) -> Drawing:
        """Each task's difference."""
        return difference_drawing(self._material.comparison)

    @cached_property
    def reliability_groups(self) -> list[ReliabilityGroup]:
        """Both sides' calibration on the tasks that both answered."""
        tasks = {task.task for task in self._material.comparison.tasks}
        answers = {name: _shared(side, tasks) for name, side in (("A", self._material.a), ("B", self._material.b))}
        clusters = sorted({task.cluster for task in self._material.comparison.tasks})
        return reliability_groups(answers, {"Tasks that both answered": clusters}, self._material.score)

    @cached_property
    def reliability(self) -> Drawing | None:
        """Probability against accuracy; None where nothing was ranked."""
        return reliability_drawing(self.reliability_groups) if self.reliability_groups else None

    @property
    def data(self) -> list[PlotData]:
        """The numbers behind every figure."""
        return [self.differences.data, *([self.reliability.data] if self.reliability else [])]


def render_comparison(material: ComparisonMaterial, figures: ComparisonFigures) -> str:
    """The page as HTML."""
    comparison, a, b = material.comparison, material.a, material.b
    tasks = sorted(comparison.tasks, key=lambda task: (task.cluster, task.task))
    measures = compared_measures(tasks, SHOWN)
    return render(
        "comparison.html.j2",
        comparison=comparison,
        headline=_headline(tasks, comparison),
        sides=[("A", a), ("B", b)],
        tasks=tasks,
        shown=SHOWN,
        measures=measures,
        measure_heads=measure_heads(measures),
        tuned_on={task.task: _tuned_on(task.task, a, b) for task in tasks},
        uneven=[task.task for task in tasks if _uneven(task.task, a, b)],
        typical=float(np.median([task.detectable for task in tasks])),
        settings=_settings(a, b),
        figures=figures,
        examples=_examples(material),
        material=material,
    )


def _headline(tasks: Sequence[TaskComparison], comparison: Comparison) -> str:
    a, b = (float(np.mean([getattr(task, side) for task in tasks])) for side in ("a", "b"))
    shown = [task for task in tasks if task.p_holm < SHOWN]
    better = sum(task.difference > 0 for task in shown)
    many = "the one task" if len(tasks) == 1 else f"{len(tasks)} tasks"
    counts = [("better than A", better), ("worse" if better else "worse than A", len(shown) - better)]
    counted = listed([f"{words} on {number}" for words, number in counts if number])
    verdict = f"B is {counted} of {many}" if shown else f"On {many} no difference between A and B is shown"
    return (
        f"{verdict} (Holm-adjusted, 5 %); the mean is {points(b)} for B against {points(a)} for A "
        f"({signed(comparison.difference)}, 95 % interval {span(comparison.difference_ci95, sign=True)})."
    )


def _tuned_on(task: str, a: Side, b: Side) -> str:
    tuned_on = {"A": a.tuned_on(task), "B": b.tuned_on(task)}
    sides = [name if known else f"{name}?" for name, known in tuned_on.items() if known or known is None]
    return ", ".join(sides)


def _uneven(task: str, a: Side, b: Side) -> bool:
    return {a.tuned_on(task), b.tuned_on(task)} == {True, False}


def _settings(a: Side, b: Side) -> list[SettingDifference]:
    """Settings that differ; none where a side has no recipe."""
    if not a.settings or not b.settings:
        return []
    mine, theirs = dict(_flat(a.settings)), dict(_flat(b.settings))
    return [
        SettingDifference(key=key, a=str(mine.get(key, "")), b=str(theirs.get(key, "")))
        for key in dict.fromkeys([*mine, *theirs])
        if mine.get(key) != theirs.get(key) and key != "name"
    ]


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _shared(side: Side, tasks: set[str]) -> list[Answered]:
    return [answer for matrix in side.answers.values() for answer in of_test(matrix) if answer.task in tasks]


def _examples(material: ComparisonMaterial) -> list[ClusterExamples]:
    """Prompts that both sides' first models read word for word alike."""
    first, second = (of_test(next(iter(side.answers.values()))) for side in (material.a, material.b))
    return choose_examples(*_alike(first, second), score=material.score, words=SIDES)


def _alike(first: Sequence[Answered], second: Sequence[Answered]) -> tuple[list[Answered], list[Answered]]:
    prompts = {(a.task, a.row, a.template, a.turn): (a.prompt, a.options, a.kind) for a in first}
    matches = [b for b in second if prompts.get((b.task, b.row, b.template, b.turn)) == (b.prompt, b.options, b.kind)]
    return list(first), matches
