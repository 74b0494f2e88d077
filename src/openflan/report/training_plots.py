"""Losses of training: of all tasks by seed, and of each task.

A step's loss is noisy, so steps are drawn in stretches: the mean of each, and for the whole loss its lowest and highest
step. A task is not in every step; its curve is the mean over the steps of a stretch that hold it, over all seeds.

Invariant: a pure function of the log. Cost: 40 ms, and 150 ms for 60 tasks.
Rejected: one frame for all tasks, in which 25 lines hide each other; a shared scale, on which a task whose loss starts
at 15 flattens all others, so each task's frame goes from 0 to its own highest stretch and says its numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from openflan.report.numbers import cut_name, plain_name
from openflan.report.plot_data import Drawing, PlotData
from openflan.report.svg import NARROW, WIDE, Ink, canvas, draw, to_svg
from openflan.training.metrics import StepReport

__all__ = ["TaskCurve", "loss_drawing", "task_curves", "task_loss_drawing"]

_STRETCHES, _NARROW_STRETCHES, _TASK_STRETCHES = 140, 60, 40
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))

Log = Sequence[StepReport]
"""One seed's steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stretch:
    """Some steps on end."""

    last_step: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskCurve:
    """One task's loss along training, mean over seeds."""

    task: str
    cluster: str
    steps: tuple[int, ...]
    """Last step of each stretch that held the task."""
    losses: tuple[float, ...]


def loss_drawing(logs: Mapping[int, Log]) -> Drawing:
    """Training loss by seed; every seed has a log."""
    losses = {seed: [line.loss for line in log] for seed, log in logs.items()}
    rows = [
        (str(seed), stretch.last_step, stretch.mean, stretch.low, stretch.high)
        for seed, values in losses.items()
        for stretch in _stretches(values, _STRETCHES)
    ]
    columns = ("seed", "last_step", "mean_loss", "lowest_step", "highest_step")
    return Drawing(
        wide=_loss_plot(losses, narrow=False),
        narrow=_loss_plot(losses, narrow=True),
        data=PlotData(name="loss", columns=columns, rows=rows),
    )


def task_loss_drawing(curves: Sequence[TaskCurve]) -> Drawing:
    """A small frame for each task."""
    rows = [
        (curve.cluster, curve.task, step, loss)
        for curve in curves
        for step, loss in zip(curve.steps, curve.losses, strict=True)
    ]
    return Drawing(
        wide=_frames(curves, narrow=False),
        narrow=_frames(curves, narrow=True),
        data=PlotData(name="loss-by-task", columns=("cluster", "task", "last_step", "mean_loss"), rows=rows),
    )


def task_curves(logs: Mapping[int, Log], clusters: Mapping[str, str]) -> list[TaskCurve]:
    """Each task's curve, by cluster and name.

    Args:
        clusters: cluster by task; tasks that no step held have no curve.
    """
    steps = max((len(log) for log in logs.values()), default=0)
    pieces = min(steps, _TASK_STRETCHES)
    curves = []
    for task in sorted(clusters, key=lambda name: (clusters[name], name)):
        stretches: list[list[float]] = [[] for _ in range(pieces)]
        for log in logs.values():
            for place, line in enumerate(log):
                loss = line.task_loss.get(task)
                if loss is not None:
                    stretches[place * pieces // steps].append(loss)
        ends = [-(-(number + 1) * steps // pieces) for number in range(pieces)]
        points = [(end, float(np.mean(values))) for end, values in zip(ends, stretches, strict=True) if values]
        if points:
            last_steps, losses = zip(*points, strict=True)
            curves.append(TaskCurve(task=task, cluster=clusters[task], steps=last_steps, losses=losses))
    return curves


def _stretches(values: Sequence[float], number: int) -> list[_Stretch]:
    pieces = np.array_split(np.asarray(values), min(len(values), number))
    ends = np.cumsum([len(piece) for piece in pieces])
    return [
        _Stretch(last_step=int(end), mean=float(piece.mean()), low=float(piece.min()), high=float(piece.max()))
        for end, piece in zip(ends, pieces, strict=True)
    ]


def _loss_plot(losses: Mapping[int, Sequence[float]], *, narrow: bool) -> Markup:
    width, height = (NARROW, 230) if narrow else (WIDE, 270)
    with canvas(width, height) as figure:
        left = 46
        axes = figure.add_axes((left / width, 44 / height, 1 - (left + 8) / width, 1 - 56 / height))
        for place, (seed, values) in enumerate(losses.items()):
            stretches = _stretches(values, _NARROW_STRETCHES if narrow else _STRETCHES)
            ends = [stretch.last_step for stretch in stretches]
            low, high = [stretch.low for stretch in stretches], [stretch.high for stretch in stretches]
            axes.fill_between(ends, low, high, color=Ink.UNTUNED, alpha=0.16, lw=0)
            means = [stretch.mean for stretch in stretches]
            axes.plot(ends, means, color=Ink.TUNED, lw=1.5, ls=_DASHES[place % len(_DASHES)], label=f"seed {seed}")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", color=Ink.RULE, lw=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=4)
        axes.set_xlabel("optimizer step")
        axes.set_ylabel("loss, nats a target token")
        if len(losses) > 1:
            axes.legend(frameon=False, labelcolor=Ink.MUTED, fontsize=12, handlelength=3)
        numbers = "; ".join(f"seed {seed}: {values[0]:.2f} to {values[-1]:.2f}" for seed, values in losses.items())
        name = f"loss-{'narrow' if narrow else 'wide'}"
        return to_svg(figure, name=name, described=f"Training loss from first to last step. {numbers}.")


def _frames(curves: Sequence[TaskCurve], *, narrow: bool) -> Markup:
    width, columns, letters = (NARROW, 2, 22) if narrow else (WIDE, 4, 30)
    cell_width, cell_height, gap = width / columns, 120, 22
    lines = -(-len(curves) // columns)
    height = lines * cell_height
    end = max(curve.steps[-1] for curve in curves)
    with canvas(width, height) as figure:
        for number, curve in enumerate(curves):
            x, y = number % columns * cell_width, height - (number // columns + 1) * cell_height
            inner = cell_width - gap
            draw(figure, [(x, y + 14), (x + inner, y + 14)], color=Ink.RULE, lw=0.8, solid_capstyle="projecting")
            highest = 1.06 * max(*curve.losses, 1e-6)
            points = [
                (x + inner * step / end, y + 14 + 46 * loss / highest)
                for step, loss in zip(curve.steps, curve.losses, strict=True)
            ]
            draw(figure, points, color=Ink.TUNED, lw=1.5, marker="o" if len(points) == 1 else "", ms=4)
            texts = (
                (106, cut_name(curve.task, letters), Ink.INK),
                (90, cut_name(plain_name(curve.cluster), letters), Ink.MUTED),
                (74, f"{curve.losses[0]:.2f} → {curve.losses[-1]:.2f}", Ink.TUNED),
            )
            for up, text, colour in texts:
                figure.text(x / width, (y + up) / height, text, va="center", size=11.5, color=colour)
        numbers = "; ".join(f"{curve.task} {curve.losses[0]:.2f} to {curve.losses[-1]:.2f}" for curve in curves)
        name = f"task-loss-{'narrow' if narrow else 'wide'}"
        return to_svg(
            figure, name=name, described=f"Training loss of each task, first to last stretch of steps. {numbers}."
        )
