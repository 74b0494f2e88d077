"""The difference between two models, task by task, with what this many rows could have shown at all.

Blue and rust are for differences that a test shows (Holm-adjusted, 5 %); all else is grey, whatever its size. The pale
bar around zero is the smallest true difference found with 80 % power: a grey dot inside it is no evidence of equality.

Invariant: a pure function of the comparison. Rejected: bars of both scores, from which the eye takes no difference.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup

from openflan.evaluation.comparison import Comparison, TaskComparison
from openflan.report.numbers import cut_name, p_value, plain_name, signed, span
from openflan.report.plot_data import Drawing, PlotData
from openflan.report.svg import NARROW, WIDE, Ink, canvas, to_svg

__all__ = ["SHOWN", "difference_drawing"]

SHOWN = 0.05
"""Adjusted p-value below which a difference is shown."""


def difference_drawing(comparison: Comparison) -> Drawing:
    """Each task's difference in both layouts, with its numbers."""
    columns = ("cluster", "task", "metric", "a", "b", "difference", "low", "high", "p", "p_holm", "test", "detectable")
    rows = [
        (
            *(t.cluster, t.task, t.metric, t.a, t.b, t.difference, *t.difference_ci95, t.p, t.p_holm, t.test),
            *(t.detectable, t.n_rows, t.n_templates),
        )
        for t in comparison.tasks
    ]
    tasks = sorted(comparison.tasks, key=lambda task: (task.cluster, task.task))
    return Drawing(
        wide=_plot(tasks, narrow=False),
        narrow=_plot(tasks, narrow=True),
        data=PlotData(name="differences", columns=(*columns, "rows", "templates"), rows=rows),
    )


def tone_of(task: TaskComparison) -> str:
    """The colour of a task's difference."""
    if task.p_holm >= SHOWN:
        return Ink.MUTED
    return Ink.TUNED if task.difference > 0 else Ink.LOSS


def _plot(tasks: Sequence[TaskComparison], *, narrow: bool) -> Markup:
    left, right, row, title, foot = (8, 8, 46, 32, 46) if narrow else (262, 230, 25, 34, 46)
    width = NARROW if narrow else WIDE
    clusters = [(name, list(members)) for name, members in groupby(tasks, key=lambda task: task.cluster)]
    body = sum(title + row * len(members) for _, members in clusters)
    with canvas(width, body + foot) as figure:
        area = width - left - right
        axes = figure.add_axes((left / width, foot / (body + foot), area / width, body / (body + foot)))
        axes.set_ylim(body, 0)
        reach = 1.05 * max(abs(end) for t in tasks for end in (*t.difference_ci95, t.detectable, 0.05))
        axes.set_xlim(-reach, reach)
        axes.xaxis.set_major_formatter(lambda value, _: signed(value).removesuffix(".0"))
        axes.set_yticks([])
        axes.tick_params(length=4)
        axes.locator_params(axis="x", nbins=5 if narrow else 9, steps=[1, 2, 5, 10])
        axes.set_xlabel("B − A, points of 100", labelpad=6)
        beside = axes.get_yaxis_transform()
        edge = -left / area + 0.002
        axes.vlines(0, 0, body, color=Ink.INK, lw=1, zorder=1)
        y = 0.0
        for name, members in clusters:
            axes.text(edge, y + 20, plain_name(name), transform=beside, weight="bold", va="center")
            y += title
            for task in members:
                middle = y + (32 if narrow else row / 2)
                _dot(axes, task, middle)
                style: dict[str, Any] = {"transform": beside, "va": "center", "color": tone_of(task)}
                words = f"{signed(task.difference)}  [{span(task.difference_ci95, sign=True)}]"
                if narrow:
                    axes.text(edge, y + 13, cut_name(task.task, 28), transform=beside, va="center", size=12)
                    axes.text(
                        1, y + 13, f"{signed(task.difference)}, p {p_value(task.p_holm)}", ha="right", size=12, **style
                    )
                else:
                    axes.text(-16 / area, middle, cut_name(task.task, 34), transform=beside, va="center", ha="right")
                    axes.text(1 + 18 / area, middle, f"{words}  p {p_value(task.p_holm)}", size=12, **style)
                y += row
        name = f"differences-{'narrow' if narrow else 'wide'}"
        return to_svg(figure, name=name, described=_description(tasks))


def _dot(axes: Any, task: TaskComparison, y: float) -> None:
    axes.barh(y, 2 * task.detectable, left=-task.detectable, height=11, color=Ink.RULE, alpha=0.6, zorder=0)
    axes.hlines(y, *task.difference_ci95, color=tone_of(task), lw=1.8, zorder=2)
    axes.plot(task.difference, y, "o", ms=7, mfc=tone_of(task), mec=tone_of(task), zorder=3)


def _description(tasks: Sequence[TaskComparison]) -> str:
    parts = [
        f"{task.task} {signed(task.difference)}, adjusted p {p_value(task.p_holm)}, "
        f"{'shown' if task.p_holm < SHOWN else 'no difference shown'}"
        for task in tasks
    ]
    return f"Difference B minus A by task. {'; '.join(parts)}."
