"""A study's figure: what its cells score along an axis, with 95 % intervals.

A quantity runs along x and its points are joined; categories stand one below the other, where their names have room,
and are not joined. Untuned is hollow, tuned and gains are filled; a series has a colour and a marker.

Invariant: a pure function of `study.json`: what is drawn is `drawn`, the same as in the study's own `plot.svg`.
Rejected: that file itself in the page, whose colours are those of paper only and whose text shrinks on phones.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from openflan.report.numbers import plain_name, points, signed, span
from openflan.report.plot_data import Drawing, PlotData
from openflan.report.svg import NARROW, WIDE, Ink, canvas, to_svg
from openflan.study.outcome import Measure, Point, StudyOutcome

__all__ = ["Curve", "curves_of", "study_drawing"]

_INKS = (Ink.TUNED, Ink.LOSS, Ink.THIRD, Ink.FOURTH, Ink.UNTUNED)
_MARKERS = ("o", "s", "^", "D", "v")


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """What is drawn in one colour and marker."""

    label: str
    measure: Measure
    ink: str
    marker: str
    hollow: bool
    points: tuple[Point, ...]

    @property
    def variable(self) -> str:
        """The page's name of its colour."""
        return next(name.lower() for name, value in vars(Ink).items() if value == self.ink)


def curves_of(outcome: StudyOutcome) -> list[Curve]:
    """A curve for each series and measure that has points."""
    plot = outcome.plot
    axis = next((axis for axis in outcome.axes if axis.name == plot.series), None)
    series = [""] if axis is None else [value.label for value in axis.values]
    curves = []
    for place, name in enumerate(series):
        members = tuple(point for point in outcome.drawn if point.series == name)
        for measure in plot.y if members else ():
            words = [f"{axis.title} {plain_name(name)}" if axis else "", measure if len(plot.y) > 1 or not axis else ""]
            untuned = measure == "untuned"
            curves.append(
                Curve(
                    label=", ".join(word for word in words if word),
                    measure=measure,
                    ink=Ink.UNTUNED if untuned and axis is None else _INKS[place % len(_INKS)],
                    marker=_MARKERS[place % len(_MARKERS)],
                    hollow=untuned,
                    points=members,
                )
            )
    return curves


def study_drawing(outcome: StudyOutcome) -> Drawing | None:
    """The figure in both layouts, with its numbers; None where no cell is whole yet."""
    curves = curves_of(outcome)
    if not curves:
        return None
    columns = ("series", "x", "x_label", "cluster", "measure", "value", "low", "high", "chance", "rows", "templates")
    rows = [
        (
            *(p.series, p.x, p.x_label, p.cluster, curve.measure, _value(p, curve), *_interval(p, curve), p.chance),
            *(p.n_rows, p.n_templates),
        )
        for curve in curves
        for p in curve.points
    ]
    draw = _along if _is_quantity(outcome) else _below
    return Drawing(
        wide=draw(outcome, curves, narrow=False),
        narrow=draw(outcome, curves, narrow=True),
        data=PlotData(name="study", columns=columns, rows=rows),
    )


def _is_quantity(outcome: StudyOutcome) -> bool:
    axis = next((axis for axis in outcome.axes if axis.name == outcome.plot.x), None)
    return axis is not None and axis.numeric and outcome.plot.kind == "line"


def _value(point: Point, curve: Curve) -> float:
    value: float = getattr(point, curve.measure)
    return value


def _interval(point: Point, curve: Curve) -> tuple[float, float]:
    found: tuple[float, float] = getattr(point, f"{curve.measure}_ci95")
    return found


def _along(outcome: StudyOutcome, curves: Sequence[Curve], *, narrow: bool) -> Markup:
    """A quantity along x."""
    width, height, left, foot = (NARROW, 290, 44, 50) if narrow else (WIDE, 380, 52, 52)
    labels = {point.x: point.x_label for curve in curves for point in curve.points}
    logarithmic = outcome.plot.log_x and min(labels) > 0
    place = {x: math.log(x) if logarithmic else x for x in labels}
    extent = max(place.values()) - min(place.values()) or 1.0
    with canvas(width, height) as figure:
        axes = figure.add_axes((left / width, foot / height, 1 - (left + 12) / width, 1 - (foot + 12) / height))
        _chance_line(axes, curves, place)
        for number, curve in enumerate(curves):
            shift = (number - (len(curves) - 1) / 2) * extent * (0.012 if narrow else 0.006)
            members = sorted(curve.points, key=lambda point: point.x)
            xs, ys = [place[p.x] + shift for p in members], [_value(p, curve) for p in members]
            for x, point in zip(xs, members, strict=True):
                axes.vlines(x, *_interval(point, curve), color=curve.ink, lw=1.6, zorder=2)
            dashes: Any = (0, (4, 2)) if curve.hollow else "-"
            axes.plot(xs, ys, color=curve.ink, lw=1.5, ls=dashes, zorder=2)
            fill = Ink.PAPER if curve.hollow else curve.ink
            axes.plot(xs, ys, curve.marker, ms=7, mfc=fill, mec=curve.ink, mew=1.6, zorder=3)
        told = sorted(labels)
        step = max(1, math.ceil(len(told) / (6 if narrow else 14)))
        axes.set_xticks([place[x] for x in told[::step]], [labels[x] for x in told[::step]])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="y", color=Ink.RULE, lw=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=4)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}")
        axes.set_xlabel(outcome.plot.x_title, labelpad=6)
        axes.set_ylabel("points of 100")
        return to_svg(figure, name=f"study-{'narrow' if narrow else 'wide'}", described=_told(outcome, curves))


def _below(outcome: StudyOutcome, curves: Sequence[Curve], *, narrow: bool) -> Markup:
    """Categories one below the other, each with a line a curve."""
    labels = list(dict.fromkeys(point.x_label for curve in curves for point in curve.points))
    line = 15
    left, right, foot, above = (8, 8, 46, 26) if narrow else (262, 12, 46, 12)
    row = line * len(curves) + above
    width, body = NARROW if narrow else WIDE, row * len(labels)
    with canvas(width, body + foot) as figure:
        area = width - left - right
        axes = figure.add_axes((left / width, foot / (body + foot), area / width, body / (body + foot)))
        axes.set_ylim(body, 0)
        axes.set_yticks([])
        axes.grid(axis="x", color=Ink.RULE, lw=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=4)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if narrow else 10, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}")
        axes.set_xlabel("points of 100", labelpad=6)
        if "gain" in outcome.plot.y:
            axes.axvline(0, color=Ink.INK, lw=1, zorder=1)
        beside = axes.get_yaxis_transform()
        for place, label in enumerate(labels):
            top = place * row
            at = top + 13 if narrow else top + row / 2
            x, side = (-left / area + 0.002, "left") if narrow else (-16 / area, "right")
            axes.text(x, at, plain_name(label), transform=beside, ha=side, va="center", size=12.5)
            axes.plot([-left / area, 1], [top] * 2, transform=beside, color=Ink.RULE, lw=0.8, clip_on=False)
            members = [(curve, p) for curve in curves for p in curve.points if p.x_label == label]
            for curve, point in members:
                y = top + (above if narrow else above / 2) + line * (curves.index(curve) + 0.4)
                _spot(axes, curve, point, y)
            if any(curve.measure != "gain" for curve, _ in members):
                chance = members[0][1].chance
                ends = (top + (above if narrow else 4), top + row - 4)
                axes.vlines(chance, *ends, color=Ink.INK, lw=1.2, linestyles=(0, (2, 1.6)), zorder=1)
        return to_svg(figure, name=f"study-{'narrow' if narrow else 'wide'}", described=_told(outcome, curves))


def _spot(axes: Any, curve: Curve, point: Point, y: float) -> None:
    axes.hlines(y, *_interval(point, curve), color=curve.ink, lw=1.8, zorder=2)
    fill = Ink.PAPER if curve.hollow else curve.ink
    axes.plot(_value(point, curve), y, curve.marker, ms=7, mfc=fill, mec=curve.ink, mew=1.6, zorder=3)


def _chance_line(axes: Any, curves: Sequence[Curve], place: Mapping[float, float]) -> None:
    """Chance along x where scores are drawn, zero where gains are."""
    if any(curve.measure == "gain" for curve in curves):
        axes.axhline(0, color=Ink.INK, lw=1, zorder=1)
    scores = [curve for curve in curves if curve.measure != "gain"]
    if scores:
        found = {place[point.x]: point.chance for curve in scores for point in curve.points}
        xs = sorted(found)
        if len(xs) == 1:
            axes.axhline(found[xs[0]], color=Ink.INK, lw=1.2, ls=(0, (2, 1.6)), zorder=1)
        else:
            axes.plot(xs, [found[x] for x in xs], color=Ink.INK, lw=1.2, ls=(0, (2, 1.6)), zorder=1)


def _told(outcome: StudyOutcome, curves: Sequence[Curve]) -> str:
    parts = []
    for curve in curves:
        gain = curve.measure == "gain"
        write = signed if gain else points
        told = ", ".join(
            f"{plain_name(p.x_label)} {write(_value(p, curve))} ({span(_interval(p, curve), sign=gain)})"
            for p in curve.points
        )
        parts.append(f"{curve.label}: {told}")
    return f"{outcome.plot.described} {'. '.join(parts)}."
