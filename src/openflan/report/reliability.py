"""Reliability: how often models are right where they are sure, untuned and tuned, on held-out and on seen clusters.

Invariant: a pure function of stored answers; the seeds of the tuned model are pooled.
Rejected: bars, of which two models' can't stand in one frame; a curve through bins that few answers fell into, drawn as
firmly as the rest: a dot's area is its share of the answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from openflan.evaluation.answered import Answered
from openflan.evaluation.calibration import Calibration, calibration_of
from openflan.evaluation.scores import Score
from openflan.report.numbers import points
from openflan.report.plot_data import Drawing, PlotData
from openflan.report.svg import NARROW, WIDE, Ink, canvas, to_svg

__all__ = ["ReliabilityGroup", "reliability_drawing", "reliability_groups"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityGroup:
    """The models' calibration on some clusters."""

    title: str
    models: dict[str, Calibration]
    """By name as shown, the one drawn hollow first."""


def reliability_groups(
    answers: Mapping[str, Sequence[Answered]], clusters: Mapping[str, Sequence[str]], score: Score
) -> list[ReliabilityGroup]:
    """Calibration of each model on each group of clusters that has ranked answers.

    Args:
        answers: by model, as shown.
        clusters: by title of the group.
        score: the normalisation that decided the answers.
    """
    groups = []
    for title, names in clusters.items():
        by_model = {
            model: calibration_of([answer for answer in own if answer.cluster in names], score)
            for model, own in answers.items()
        }
        models = {model: calibration for model, calibration in by_model.items() if calibration is not None}
        if models:
            groups.append(ReliabilityGroup(title=title, models=models))
    return groups


def reliability_drawing(groups: Sequence[ReliabilityGroup]) -> Drawing:
    """A frame for each group."""
    rows = [
        (group.title, model, bin_.low, bin_.high, bin_.answers, bin_.probability, bin_.accuracy)
        for group in groups
        for model, calibration in group.models.items()
        for bin_ in calibration.bins
    ]
    columns = ("clusters", "model", "bin_from", "bin_to", "answers", "mean_probability", "accuracy")
    return Drawing(
        wide=_frames(groups, narrow=False),
        narrow=_frames(groups, narrow=True),
        data=PlotData(name="reliability", columns=columns, rows=rows),
    )


def _frames(groups: Sequence[ReliabilityGroup], *, narrow: bool) -> Markup:
    side, left, top, foot, gap = 282, 52, 34, 46, 44
    width = NARROW if narrow else WIDE
    block = side + top + foot
    height = block * len(groups) if narrow else block
    with canvas(width, height) as figure:
        for number, group in enumerate(groups):
            x = left if narrow else left + number * (left + side + gap)
            y = (len(groups) - 1 - number) * block + foot if narrow else foot
            axes = figure.add_axes((x / width, y / height, side / width, side / height))
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_ticks([0, 0.25, 0.5, 0.75, 1])
                axis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
            axes.grid(color=Ink.RULE, lw=0.6)
            axes.set_axisbelow(True)
            axes.tick_params(length=0)
            axes.plot([0, 1], [0, 1], color=Ink.INK, lw=1, ls=(0, (2, 1.6)), zorder=1)
            for place, calibration in enumerate(group.models.values()):
                _curve(axes, calibration, filled=place > 0)
            axes.set_xlabel("probability of the chosen option, %", labelpad=6)
            axes.set_ylabel("right, %")
            figure.text(x / width, (y + side + 18) / height, group.title, weight="bold", va="center")
        name = f"reliability-{'narrow' if narrow else 'wide'}"
        return to_svg(figure, name=name, described=_description(groups))


def _curve(axes: Any, calibration: Calibration, *, filled: bool) -> None:
    edge = Ink.TUNED if filled else Ink.UNTUNED
    x, y = ([getattr(bin_, name) for bin_ in calibration.bins] for name in ("probability", "accuracy"))
    areas = [16 + 260 * bin_.answers / calibration.answers for bin_ in calibration.bins]
    axes.plot(x, y, color=edge, lw=1.5, zorder=2)
    fill = Ink.TUNED if filled else Ink.PAPER
    axes.scatter(x, y, s=areas, facecolor=fill, edgecolor=edge, linewidth=1.6, zorder=3, clip_on=False)


def _description(groups: Sequence[ReliabilityGroup]) -> str:
    parts = [
        f"{group.title}: "
        + "; ".join(
            f"{model} {points(calibration.probability)} sure and {points(calibration.accuracy)} right, "
            f"calibration error {points(calibration.error)}"
            for model, calibration in group.models.items()
        )
        for group in groups
    ]
    return ". ".join(["Accuracy by the probability of the chosen option", *parts]) + "."
