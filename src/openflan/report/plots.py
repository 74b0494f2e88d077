"""Figures of scores: by cluster, and by template of a task.

Untuned is a hollow grey dot, tuned a filled blue one, everywhere. A figure comes wide for screens and paper or
narrow for phones: labels move above their rows, so text keeps its size.

Invariant: a pure function of the results. Cost: 10 to 40 ms a figure.
Rejected: bars from 0, which draw the eye to the score itself and not to the step from untuned to tuned.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MultipleLocator

from openflan.report.numbers import GainShown, outcome, outcome_words, points, signed, span
from openflan.report.plot_data import Drawing, PlotData
from openflan.report.svg import NARROW, WIDE, Ink, canvas, draw, to_svg, write_label
from openflan.runs.results import ClusterVerdict, TaskVerdict, VerdictScores

__all__ = ["score_drawing", "score_plot", "template_strip"]

Groups = Mapping[str, Sequence[ClusterVerdict] | Sequence[TaskVerdict]]
"""Clusters or tasks under the titles that they are drawn under."""

_TONE: dict[GainShown, str] = {"gain": Ink.TUNED, "none": Ink.MUTED, "loss": Ink.LOSS}


def score_drawing(groups: Groups, *, name: str = "clusters", of: str = "cluster") -> Drawing:
    """`score_plot` in both layouts, with its numbers.

    Args:
        name: of the figure and its file of numbers.
        of: what a row is.
    """
    columns = ("group", of, "untuned", "untuned_low", "untuned_high", "tuned", "tuned_low", "tuned_high", "gain")
    rows = [
        (
            *(title, getattr(v, of), v.base, *v.base_ci95, v.tuned, *v.tuned_ci95, v.gain, *v.gain_ci95),
            *(v.chance or None, v.majority if v.chance else None, v.n_rows, v.n_templates),
        )
        for title, verdicts in groups.items()
        for v in verdicts
    ]
    more = ("gain_low", "gain_high", "chance", "majority", "rows", "templates")
    return Drawing(
        wide=score_plot(groups, name=name, narrow=False),
        narrow=score_plot(groups, name=name, narrow=True),
        data=PlotData(name=name, columns=(*columns, *more), rows=rows),
    )


def score_plot(groups: Groups, *, name: str, narrow: bool) -> Markup:
    """Scores of clusters or tasks, untuned and tuned, with 95 % intervals; groups under their titles, in order."""
    left, right, row, title, foot = (8, 8, 72, 40, 44) if narrow else (232, 218, 46, 40, 44)
    width = NARROW if narrow else WIDE
    shown = {name: verdicts for name, verdicts in groups.items() if verdicts}
    body = sum(title + row * len(verdicts) for verdicts in shown.values())
    with canvas(width, body + foot) as figure:
        area = width - left - right
        axes = figure.add_axes((left / width, foot / (body + foot), area / width, body / (body + foot)))
        axes.set_ylim(body, 0)
        axes.set_xlim(*_range([verdict for verdicts in shown.values() for verdict in verdicts]))
        axes.xaxis.set_major_locator(MultipleLocator(0.1 if not narrow else 0.2))
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
        axes.set_yticks([])
        axes.tick_params(length=4)
        axes.set_xlabel("score, points of 100", labelpad=6)
        beside = axes.get_yaxis_transform()
        edge, text_edge = -left / area + 0.002, 1 + (right - 2) / area
        y = 0.0
        for heading, verdicts in shown.items():
            axes.text(edge, y + 22, heading, transform=beside, weight="bold", va="center")
            axes.plot([edge, text_edge], [y + 36] * 2, transform=beside, color=Ink.RULE, lw=1, clip_on=False)
            axes.vlines(axes.get_xticks(), y + 36, y + title + row * len(verdicts), color=Ink.RULE, lw=0.6, zorder=0)
            y += title
            for verdict in verdicts:
                middle = y + (48 if narrow else row / 2)
                _dumbbell(axes, verdict, middle)
                words = outcome_words(verdict.gain_ci95)
                numbers = f"{signed(verdict.gain)}  [{span(verdict.gain_ci95, sign=True)}]"
                tone: dict[str, Any] = {"color": _TONE[outcome(verdict.gain_ci95)], "transform": beside, "va": "center"}
                label = verdict.label
                if narrow:
                    write_label(axes, edge, y + 16, label, transform=beside)
                    axes.text(text_edge, y + 16, words, ha="right", size=12.5, **tone)
                else:
                    write_label(axes, -18 / area, middle, label, transform=beside, ha="right", size=13)
                    axes.text(1 + 24 / area, middle - 8, numbers, **tone)
                    axes.text(1 + 24 / area, middle + 9, words, size=11.5, **tone)
                y += row
        return to_svg(figure, name=f"{name}-{'narrow' if narrow else 'wide'}", described=_description(name, shown))


def _dumbbell(axes: Any, verdict: VerdictScores, y: float) -> None:
    """Untuned above, tuned below the middle, so that overlapping intervals stay apart."""
    above, below = y - 5.5, y + 5.5
    axes.plot([verdict.base, verdict.tuned], [above, below], color=Ink.RULE, lw=5, solid_capstyle="round", zorder=1)
    if verdict.chance:
        axes.vlines(verdict.chance, y - 13, y + 13, color=Ink.INK, lw=1.4, linestyles=(0, (2, 1.6)), zorder=1)
    axes.hlines(above, *verdict.base_ci95, color=Ink.UNTUNED, lw=1.8, zorder=2)
    axes.hlines(below, *verdict.tuned_ci95, color=Ink.TUNED, lw=1.8, zorder=2)
    axes.plot(verdict.base, above, "o", ms=8, mfc=Ink.PAPER, mec=Ink.UNTUNED, mew=1.8, zorder=3)
    axes.plot(verdict.tuned, below, "o", ms=8, mfc=Ink.TUNED, mec=Ink.TUNED, zorder=3)


def template_strip(number: int, untuned: Sequence[float], tuned: Sequence[float], chance: float) -> Markup:
    """One dot a template: untuned above, tuned below; the tall strokes are means, the dashes chance; 0 to 100."""
    width, height = 188, 34
    with canvas(width, height) as figure:

        def draw_scores(scores: Sequence[float], heights: Sequence[float], **style: Any) -> None:
            draw(figure, [(6 + (width - 12) * score, at) for score, at in zip(scores, heights, strict=True)], **style)

        for score in (0.0, 0.5, 1.0):
            draw_scores([score] * 2, [2, 32], color=Ink.RULE, lw=0.8)
        if chance:
            draw_scores([chance] * 2, [2, 32], color=Ink.INK, lw=1, ls=(0, (2, 1.6)))
        for scores, y, fill, edge in ((untuned, 25, Ink.PAPER, Ink.UNTUNED), (tuned, 9, Ink.TUNED, Ink.TUNED)):
            draw_scores(scores, [y] * len(scores), marker="o", ls="", ms=5.5, mfc=fill, mec=edge, mew=1.3, alpha=0.8)
            draw_scores([float(np.mean(scores))] * 2, [y - 7, y + 7], color=edge, lw=1.8)
        words = f"Templates: untuned {_extent(untuned)}, tuned {_extent(tuned)}"
        return to_svg(figure, name=f"strip-{number}", described=words)


def _range(verdicts: Sequence[VerdictScores]) -> tuple[float, float]:
    """Whole tens around everything drawn, at least 30 points."""
    ends = [end for v in verdicts for end in (*v.base_ci95, *v.tuned_ci95, v.base, v.tuned, v.chance or v.base)]
    low, high = math.floor(10 * min(ends) - 0.2) / 10, math.ceil(10 * max(ends) + 0.2) / 10
    missing = max(0.0, 0.3 - (high - low))
    low = max(0.0, low - missing)
    return low, min(1.0, max(high, low + 0.3))


def _description(name: str, groups: Groups) -> str:
    parts = [
        f"{heading}: "
        + "; ".join(
            f"{v.label} {points(v.base)} untuned, {points(v.tuned)} tuned, {outcome_words(v.gain_ci95)}"
            for v in verdicts
        )
        for heading, verdicts in groups.items()
    ]
    return ". ".join([f"Scores: {name}", *parts]) + "."


def _extent(scores: Sequence[float]) -> str:
    return f"{points(min(scores))} to {points(max(scores))}"
