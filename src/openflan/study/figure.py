"""A study's figure: what its cells score along an axis, with 95 % intervals.

A quantity runs along x and its points are joined; categories stand one below the other, where their names have room,
and are not joined. Untuned is hollow, tuned and gains are filled; a series has a colour and a marker, so that a print
tells them apart. It is drawn once, on three sheets: wide and narrow in the page, and as `plot.svg` and `plot.png`,
which travel alone and so bear a title and a legend.

Invariant: a pure function of `study.json`: the same account gives the same bytes, and `plot.csv` has every number that
is drawn and those behind it. Cost: half a second. Rejected: one file for page and print: it has the colours of paper
only, and its text shrinks on phones.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from openflan.report.numbers import plain_name, points, signed, span
from openflan.report.plot_data import Drawing, PlotData
from openflan.report.svg import NARROW, WIDE, Ink, canvas, to_svg, write_label
from openflan.stage import write_atomically
from openflan.study.outcome import Measure, Point, StudyOutcome

__all__ = ["StudyCurve", "curves_of", "study_drawing", "write_plot"]

_COLUMNS = ("cell", "series", "x", "x_label", "cluster", "measure", "value", "ci95_low", "ci95_high", "chance")
_INKS = (Ink.TUNED, Ink.LOSS, Ink.THIRD, Ink.FOURTH, Ink.UNTUNED)
_MARKERS = ("o", "s", "^", "D", "v")


_CHANCE: Any = (0, (2, 1.6))
"""Dashes of the line of chance."""
_LINE, _LEGEND, _TITLE = 15, 20, 54
"""Height of a curve's line among categories, of a line of the legend, and of the titles, in points."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyCurve:
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


def curves_of(outcome: StudyOutcome) -> list[StudyCurve]:
    """A curve for each series and measure that has points."""
    plot = outcome.plot
    axis = next((axis for axis in outcome.axes if axis.name == plot.series), None)
    series = [value.label for value in axis.values] if axis else list(dict.fromkeys(p.series for p in outcome.drawn))
    curves = []
    for place, name in enumerate(series):
        members = tuple(point for point in outcome.drawn if point.series == name)
        for measure in plot.y if members else ():
            words = [
                f"{axis.title} {plain_name(name)}" if axis else name,
                measure if len(plot.y) > 1 or not name else "",
            ]
            untuned = measure == "untuned"
            curves.append(
                StudyCurve(
                    label=", ".join(word for word in words if word),
                    measure=measure,
                    ink=Ink.UNTUNED if untuned and not name else _INKS[place % len(_INKS)],
                    marker=_MARKERS[place % len(_MARKERS)],
                    hollow=untuned,
                    points=members,
                )
            )
    return curves


def study_drawing(outcome: StudyOutcome) -> Drawing | None:
    """The figure in the page's layouts, with its numbers; None where no cell is whole yet."""
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
    layouts = {}
    for name in ("wide", "narrow"):
        sheet = _sheet(outcome, curves, narrow=name == "narrow")
        with canvas(sheet.width, sheet.height) as figure:
            _draw(figure, outcome, curves, sheet)
            layouts[name] = to_svg(figure, name=f"study-{name}", described=_described(outcome, curves))
    return Drawing(
        wide=layouts["wide"], narrow=layouts["narrow"], data=PlotData(name="study", columns=columns, rows=rows)
    )


def write_plot(outcome: StudyOutcome, folder: Path) -> None:
    """Write `plot.csv`, `plot.svg` and `plot.png`."""
    write_atomically(folder / "plot.csv", _table(outcome))
    curves = curves_of(outcome)
    keys = _keys(curves)
    sheet = _sheet(outcome, curves, narrow=False, above=_TITLE + _LEGEND * math.ceil(len(keys) / 4))
    with mpl.rc_context({"svg.hashsalt": f"study-{outcome.name}"}), canvas(sheet.width, sheet.height) as figure:
        _draw(figure, outcome, curves, sheet)
        plot = outcome.plot
        drawn = f"{plot.y_title}, by {plot.x_title}" if plot.x_title else plot.y_title
        figure.text(16 / sheet.width, 1 - 22 / sheet.height, outcome.title, fontsize=14, color=Ink.INK)
        figure.text(16 / sheet.width, 1 - 42 / sheet.height, drawn, fontsize=12, color=Ink.MUTED)
        if keys:
            figure.legend(
                handles=keys, frameon=False, labelcolor=Ink.MUTED, fontsize=12, ncols=4, handlelength=1.6,
                loc="upper left", bbox_to_anchor=(8 / sheet.width, 1 - (_TITLE - 4) / sheet.height), borderaxespad=0,
            )  # fmt: skip
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None}, facecolor=Ink.PAPER)
        write_atomically(folder / "plot.svg", text.getvalue())
        figure.savefig(folder / "plot.png", dpi=144, facecolor=Ink.PAPER, metadata={"Software": None})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sheet:
    """What a figure is drawn on, in points."""

    width: int
    height: int
    left: int
    right: int
    foot: int
    above: int
    """Room for title and legend."""
    narrow: bool

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """Where the axes lie, in shares of the figure."""
        across, up = self.width - self.left - self.right, self.height - self.foot - self.above
        return self.left / self.width, self.foot / self.height, across / self.width, up / self.height


def _sheet(outcome: StudyOutcome, curves: Sequence[StudyCurve], *, narrow: bool, above: int = 0) -> _Sheet:
    width = NARROW if narrow else WIDE
    if _is_quantity(outcome) or not curves:
        height, left, foot = (290, 44, 50) if narrow else (380, 52, 52)
        return _Sheet(
            width=width, height=height + above, left=left, right=12, foot=foot, above=above + 12, narrow=narrow
        )
    left, right = (8, 8) if narrow else (262, 12)
    height = _row(curves, narrow=narrow) * len(_labels(curves)) + 46
    return _Sheet(width=width, height=height + above, left=left, right=right, foot=46, above=above, narrow=narrow)


def _row(curves: Sequence[StudyCurve], *, narrow: bool) -> int:
    """Height of a category; beside it a label has room for two lines."""
    return _LINE * len(curves) + 26 if narrow else max(_LINE * len(curves) + 12, 36)


def _labels(curves: Sequence[StudyCurve]) -> list[str]:
    """Categories, in order."""
    return list(dict.fromkeys(point.x_label for curve in curves for point in curve.points))


def _is_quantity(outcome: StudyOutcome) -> bool:
    axis = next((axis for axis in outcome.axes if axis.name == outcome.plot.x), None)
    return axis is not None and axis.numeric and outcome.plot.kind == "line"


def _value(point: Point, curve: StudyCurve) -> float:
    value: float = getattr(point, curve.measure)
    return value


def _interval(point: Point, curve: StudyCurve) -> tuple[float, float]:
    ends: tuple[float, float] = getattr(point, f"{curve.measure}_ci95")
    return ends


def _draw(figure: Any, outcome: StudyOutcome, curves: Sequence[StudyCurve], sheet: _Sheet) -> None:
    """Draw into an empty figure."""
    axes = figure.add_axes(sheet.frame)
    if not curves:
        axes.text(0.5, 0.5, "no cell is whole yet", transform=axes.transAxes, ha="center", color=Ink.MUTED)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    axes.set_axisbelow(True)
    axes.tick_params(length=4)
    if _is_quantity(outcome):
        _along(axes, outcome, curves, sheet)
    else:
        _below(axes, outcome, curves, sheet)


def _along(axes: Any, outcome: StudyOutcome, curves: Sequence[StudyCurve], sheet: _Sheet) -> None:
    """A quantity along x."""
    labels = {point.x: point.x_label for curve in curves for point in curve.points}
    logarithmic = outcome.plot.log_x and min(labels) > 0
    place = {x: math.log(x) if logarithmic else x for x in labels}
    extent = max(place.values()) - min(place.values()) or 1.0
    _chance_line(axes, curves, place)
    for number, curve in enumerate(curves):
        shift = (number - (len(curves) - 1) / 2) * extent * (0.012 if sheet.narrow else 0.006)
        members = sorted(curve.points, key=lambda point: point.x)
        xs, ys = [place[p.x] + shift for p in members], [_value(p, curve) for p in members]
        for x, point in zip(xs, members, strict=True):
            axes.vlines(x, *_interval(point, curve), color=curve.ink, lw=1.6, zorder=2)
        dashes: Any = (0, (4, 2)) if curve.hollow else "-"
        axes.plot(xs, ys, color=curve.ink, lw=1.5, ls=dashes, zorder=2)
        axes.plot(xs, ys, **_dot(curve))
    named = sorted(labels)
    step = max(1, math.ceil(len(named) / (6 if sheet.narrow else 14)))
    axes.set_xticks([place[x] for x in named[::step]], [labels[x] for x in named[::step]])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=Ink.RULE, lw=0.6)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}")
    axes.set_xlabel(outcome.plot.x_title, labelpad=6)
    axes.set_ylabel("points of 100")


def _below(axes: Any, outcome: StudyOutcome, curves: Sequence[StudyCurve], sheet: _Sheet) -> None:
    """Categories one below the other, each with a line a curve."""
    labels, row = _labels(curves), _row(curves, narrow=sheet.narrow)
    above = 26
    area = sheet.width - sheet.left - sheet.right
    axes.set_ylim(row * len(labels), 0)
    axes.set_yticks([])
    axes.grid(axis="x", color=Ink.RULE, lw=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if sheet.narrow else 10, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}")
    axes.set_xlabel("points of 100", labelpad=6)
    if "gain" in outcome.plot.y:
        axes.axvline(0, color=Ink.INK, lw=1, zorder=1)
    beside = axes.get_yaxis_transform()
    for place, label in enumerate(labels):
        top = place * row
        at = top + 13 if sheet.narrow else top + row / 2
        x, side = (-sheet.left / area + 0.002, "left") if sheet.narrow else (-16 / area, "right")
        write_label(axes, x, at, plain_name(label), letters=44 if sheet.narrow else 30, transform=beside, ha=side)
        axes.plot([-sheet.left / area, 1], [top] * 2, transform=beside, color=Ink.RULE, lw=0.8, clip_on=False)
        members = [(curve, p) for curve in curves for p in curve.points if p.x_label == label]
        for curve, point in members:
            begin = above if sheet.narrow else (row - _LINE * len(curves)) / 2
            y = top + begin + _LINE * (curves.index(curve) + 0.4)
            axes.hlines(y, *_interval(point, curve), color=curve.ink, lw=1.8, zorder=2)
            axes.plot(_value(point, curve), y, **_dot(curve))
        if any(curve.measure != "gain" for curve, _ in members):
            chance = members[0][1].chance
            ends = (top + (above if sheet.narrow else 4), top + row - 4)
            axes.vlines(chance, *ends, color=Ink.INK, lw=1.2, linestyles=_CHANCE, zorder=1)


def _dot(curve: StudyCurve) -> dict[str, Any]:
    """How a curve's points look."""
    fill = Ink.PAPER if curve.hollow else curve.ink
    return {"marker": curve.marker, "ls": "", "ms": 7, "mfc": fill, "mec": curve.ink, "mew": 1.6, "zorder": 3}


def _chance_line(axes: Any, curves: Sequence[StudyCurve], place: Mapping[float, float]) -> None:
    """Chance along x where scores are drawn, zero where gains are."""
    if any(curve.measure == "gain" for curve in curves):
        axes.axhline(0, color=Ink.INK, lw=1, zorder=1)
    scores = [curve for curve in curves if curve.measure != "gain"]
    if scores:
        chance = {place[point.x]: point.chance for curve in scores for point in curve.points}
        xs = sorted(chance)
        if len(xs) == 1:
            axes.axhline(chance[xs[0]], color=Ink.INK, lw=1.2, ls=_CHANCE, zorder=1)
        else:
            axes.plot(xs, [chance[x] for x in xs], color=Ink.INK, lw=1.2, ls=_CHANCE, zorder=1)


def _keys(curves: Sequence[StudyCurve]) -> list[Line2D]:
    """The legend of a figure that travels alone; a page has its own."""
    keys = [Line2D([], [], label=curve.label, color=curve.ink, **_dot(curve)) for curve in curves]
    if any(curve.measure != "gain" for curve in curves):
        keys.append(Line2D([], [], label="chance", color=Ink.INK, lw=1.2, ls=_CHANCE))
    return keys


def _described(outcome: StudyOutcome, curves: Sequence[StudyCurve]) -> str:
    parts = []
    for curve in curves:
        gain = curve.measure == "gain"
        write = signed if gain else points
        numbers = ", ".join(
            f"{plain_name(p.x_label)} {write(_value(p, curve))} ({span(_interval(p, curve), sign=gain)})"
            for p in curve.points
        )
        parts.append(f"{curve.label}: {numbers}")
    return f"{outcome.plot.described} {'. '.join(parts)}."


def _table(outcome: StudyOutcome) -> str:
    """What is drawn, then every cell on every measured cluster."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_COLUMNS)
    measures: tuple[Measure, ...] = ("untuned", "tuned", "gain")
    for point in (*outcome.drawn, *outcome.points):
        for measure in measures:
            low, high = getattr(point, f"{measure}_ci95")
            about = [point.cell, point.series, f"{point.x:g}", point.x_label, point.cluster or "mean", measure]
            numbers = [getattr(point, measure), low, high, point.chance]
            lines.writerow([*about, *(f"{number:.6f}" for number in numbers)])
    return text.getvalue()
