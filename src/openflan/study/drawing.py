"""The plot of a study, as SVG, PNG and the numbers behind it.

Means over clusters with their 95 % intervals along an axis, or each measured cluster beside the others. Scores before
tuning are hollow and grey, chance is dashed; series differ in colour and marker, so that a print tells them apart.

Invariant: the same account gives the same bytes; every drawn number and those behind it are in `plot.csv`.
Cost: half a second.
"""

import csv
import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from openflan.report.numbers import plain_name
from openflan.report.svg import Ink, canvas
from openflan.stage import write_atomically
from openflan.study.outcome import Measure, Point, StudyOutcome

__all__ = ["Curve", "curves_of", "draw", "write_plot"]

_WIDE, _HIGH = 760, 440
_COLOURS = (Ink.TUNED, Ink.LOSS, Ink.INK, Ink.MUTED)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_COLUMNS = ("cell", "series", "x", "x_label", "cluster", "measure", "value", "ci95_low", "ci95_high", "chance")


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """What is drawn with one colour and marker."""

    series: str
    measure: Measure
    label: str
    points: tuple[Point, ...]
    """In the order of x."""


def curves_of(outcome: StudyOutcome) -> list[Curve]:
    """A study's curves: one for each series and measure."""
    curves = []
    axis = {axis.name: axis for axis in outcome.axes}
    names = [""] if outcome.plot.series is None else [v.label for v in axis[outcome.plot.series].values]
    for series in names:
        order = [point for point in outcome.drawn if point.series == series]
        for measure in outcome.plot.y:
            title = "" if outcome.plot.series is None else f"{axis[outcome.plot.series].title} {series}"
            words = [title, measure if len(outcome.plot.y) > 1 or not title else ""]
            label = ", ".join(word for word in words if word)
            if order:
                curves.append(Curve(series=series, measure=measure, label=label, points=tuple(order)))
    return curves


def write_plot(outcome: StudyOutcome, folder: Path) -> None:
    """Write `plot.csv`, `plot.svg` and `plot.png`."""
    write_atomically(folder / "plot.csv", _table(outcome))
    with _salted(outcome.name), canvas(_WIDE, _HIGH) as figure:
        draw(figure, outcome)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None}, facecolor=Ink.PAPER)
        write_atomically(folder / "plot.svg", text.getvalue())
        figure.savefig(folder / "plot.png", dpi=144, facecolor=Ink.PAPER, metadata={"Software": None})


def draw(figure: Any, outcome: StudyOutcome) -> None:
    """Draw a study into an empty figure."""
    axes = figure.add_axes((0.09, 0.14, 0.88, 0.7))
    curves = curves_of(outcome)
    plot = outcome.plot
    figure.text(0.09, 0.94, outcome.title, fontsize=14, color=Ink.INK)
    axes.set_xlabel(plot.x_title)
    axes.set_ylabel(plot.y_title)
    axes.grid(axis="y", color=Ink.RULE, lw=0.6)
    axes.set_axisbelow(True)
    if not curves:
        axes.text(0.5, 0.5, "no cell is whole yet", transform=axes.transAxes, ha="center", color=Ink.MUTED)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    places = _places(outcome, curves)
    reach = max(places.at.values()) - min(places.at.values())
    for number, curve in enumerate(curves):
        tone = sum(other.measure != "untuned" for other in curves[:number])
        slot = _Slot(number=number, of=len(curves), tone=tone, step=0.006 * reach if not plot.log_x else 0.0)
        _draw_curve(axes, curve, slot, places, bars=plot.kind == "bar")
    _draw_chance(axes, curves, places)
    if plot.log_x:
        axes.set_xscale("log")
    if not places.quantity:
        axes.set_xticks(range(len(places.labels)), [plain_name(label) for label in places.labels])
        long = max(map(len, places.labels)) * len(places.labels) > 90
        axes.tick_params(axis="x", labelrotation=30 if long else 0, labelsize=10 if long else 12)
        if long:
            for tick in axes.get_xticklabels():
                tick.set_ha("right")
            axes.set_position((0.09, 0.29, 0.88, 0.55))
    elif len(places.labels) <= 10:
        axes.set_xticks([places.at[label] for label in places.labels], places.labels)
        axes.minorticks_off()
    if "gain" in plot.y:
        axes.axhline(0, color=Ink.INK, lw=0.8)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(
            frameon=False, labelcolor=Ink.MUTED, fontsize=11, ncols=5, loc="lower left", bbox_to_anchor=(-0.01, 1.0)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Places:
    """Where labels stand on x."""

    labels: tuple[str, ...]
    at: dict[str, float]
    quantity: bool


def _places(outcome: StudyOutcome, curves: Sequence[Curve]) -> _Places:
    found = {point.x_label: point.x for curve in curves for point in curve.points}
    axis = next((axis for axis in outcome.axes if axis.name == outcome.plot.x), None)
    quantity = axis is not None and axis.numeric and outcome.plot.kind == "line"
    labels = tuple(found)
    at = found if quantity else {label: float(place) for place, label in enumerate(labels)}
    return _Places(labels=labels, at=at, quantity=quantity)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Slot:
    """A curve's place among the others."""

    number: int
    of: int
    tone: int
    """Which colour and marker."""
    step: float
    """How far curves stand apart on an axis of quantities, so that no interval hides another."""

    @property
    def off(self) -> float:
        """Steps from the middle."""
        return self.number - (self.of - 1) / 2


def _draw_curve(axes: Any, curve: Curve, slot: _Slot, places: _Places, *, bars: bool) -> None:
    xs = np.array([places.at[point.x_label] for point in curve.points])
    values = np.array([getattr(point, curve.measure) for point in curve.points])
    ends = np.array([getattr(point, f"{curve.measure}_ci95") for point in curve.points])
    reach = np.abs(np.stack([values - ends[:, 0], ends[:, 1] - values]))
    untuned = curve.measure == "untuned"
    colour = Ink.UNTUNED if untuned else _COLOURS[slot.tone % len(_COLOURS)]
    fill = Ink.PAPER if untuned else colour
    if bars:
        width = 0.8 / slot.of
        middle = xs + slot.off * width
        axes.bar(middle, values, width * 0.92, color=fill, edgecolor=colour, lw=1.2, label=curve.label)
        axes.errorbar(middle, values, yerr=reach, fmt="none", ecolor=Ink.INK, elinewidth=1.1, capsize=2)
        return
    shift = slot.off * (slot.step if places.quantity else 0.08)
    style = "-" if not untuned else (0, (4, 2))
    marker = "o" if untuned else _MARKERS[slot.tone % len(_MARKERS)]
    axes.errorbar(
        xs + shift, values, yerr=reach, color=colour, ls=style, lw=1.6, elinewidth=1.1, capsize=2,
        marker=marker, ms=7, mfc=fill, mec=colour, mew=1.5, label=curve.label,
    )  # fmt: skip


def _draw_chance(axes: Any, curves: Sequence[Curve], places: _Places) -> None:
    """Chance where scores are drawn: of each place, for clusters may differ."""
    if all(curve.measure == "gain" for curve in curves):
        return
    chance = {places.at[point.x_label]: point.chance for curve in curves for point in curve.points if point.chance}
    if len(set(chance.values())) == 1:
        axes.axhline(next(iter(chance.values())), color=Ink.INK, lw=1.1, ls=(0, (2, 1.6)), label="chance")
    elif chance and not places.quantity:
        for number, (x, value) in enumerate(sorted(chance.items())):
            label = "chance" if number == 0 else None
            axes.hlines(value, x - 0.42, x + 0.42, color=Ink.INK, lw=1.1, ls=(0, (2, 1.6)), label=label)


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


def _salted(name: str) -> AbstractContextManager[Any]:
    """Identifiers in the SVG that are the same each time."""
    return mpl.rc_context({"svg.hashsalt": f"study-{name}"})
