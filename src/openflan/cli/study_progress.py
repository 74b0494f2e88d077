"""How a study looks while it works: the whole grid with the time left, and the stage at work below it."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import openflan
from openflan.cli.progress import rough_time

__all__ = ["GridProgress", "study_watcher"]

_EVERY = 30.0
"""Seconds between two plain lines."""
_TUNING = 0.7
"""Of a cell's time, what goes into tuning; the rest into answers. Only for the display."""

_WatchCells = Callable[["openflan.CellEvent"], None]


class GridProgress:
    """How much of a study is done, and what is left by the pace so far.

    Args:
        weights: how much of the whole each cell is; they sum to 1.
        seeds: tuning runs of a cell.
    """

    def __init__(
        self, weights: Mapping[str, float], seeds: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._weights = dict(weights)
        self._seeds = seeds
        self._clock = clock
        self._began = clock()
        self._stages: dict[str, dict[openflan.Stage, float]] = {}
        self._done: dict[str, float] = {}
        self._free = 0.0
        """What was there already: it took no time and tells nothing of the pace."""
        self.through = 0
        self.failed = 0

    @property
    def cells(self) -> int:
        """How many there are."""
        return len(self._weights)

    @property
    def done(self) -> float:
        """Share of the whole that is done."""
        working = sum(self._weights[cell] * self._share(cell) for cell in self._stages)
        return min(1.0, sum(self._done.values()) + working)

    @property
    def left(self) -> float | None:
        """Seconds left; None as long as nothing tells."""
        worked = self.done - self._free
        if worked < 1e-4:
            return None
        return (self._clock() - self._began) * (1 - self.done) / worked

    def tell(self, event: "openflan.CellEvent") -> None:
        """Take an event in."""
        match event.kind:
            case "started":
                self._stages[event.cell] = {}
            case "working" if event.event is not None:
                self._work(event.cell, event.event)
            case "done" | "kept" | "failed":
                self._stages.pop(event.cell, None)
                self._done[event.cell] = self._weights[event.cell]
                self._free += self._weights[event.cell] if event.kind != "done" else 0.0
                self.through += 1
                self.failed += event.kind == "failed"

    def _work(self, cell: str, event: "openflan.Event") -> None:
        stages = self._stages.setdefault(cell, {})
        if event.kind == "progress":
            stages[event.stage] = event.done / max(1, event.total)
        elif event.kind in ("done", "kept", "linked"):
            stages[event.stage] = 1.0

    def _share(self, cell: str) -> float:
        """Of a cell, what is done."""
        share = 0.0
        for stage, part in self._stages[cell].items():
            if stage.kind is openflan.StageKind.TRAINING:
                share += part * _TUNING / self._seeds
            elif stage.kind is openflan.StageKind.EVALUATION:
                share += part * (1 - _TUNING) / (self._seeds + 1)
        return min(1.0, share)


@contextmanager
def study_watcher(progress: GridProgress, *, quiet: bool) -> Iterator[_WatchCells]:
    """What to call with every event of a study."""
    if quiet:
        yield lambda _event: None
    elif sys.stderr.isatty():
        with _bars(progress) as watch:
            yield watch
    else:
        yield _Lines(progress).watch


@contextmanager
def _bars(progress: GridProgress) -> Iterator[_WatchCells]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        whole = bars.add_task("study", total=1.0, note="")
        stage = bars.add_task("", total=1.0, note="", visible=False)

        def watch(event: "openflan.CellEvent") -> None:
            progress.tell(event)
            bars.update(whole, completed=progress.done, note=_count(progress))
            work = event.event
            if work is not None and work.kind == "progress":
                name = f"{event.cell}: {work.stage}"
                bars.update(
                    stage, description=name, completed=work.done, total=work.total, note=work.note, visible=True
                )
            elif event.kind not in ("working", "started"):
                bars.update(stage, visible=False)
                bars.console.print(_ended(event), highlight=False, markup=False)

        yield watch


class _Lines:
    """Plain lines for a log."""

    def __init__(self, progress: GridProgress) -> None:
        self._progress = progress
        self._last = time.monotonic()

    def watch(self, event: "openflan.CellEvent") -> None:
        """Say what an event means, if it is time to."""
        self._progress.tell(event)
        now = time.monotonic()
        if event.kind == "working":
            if now - self._last < _EVERY or event.event is None:
                return
            text = f"{event.cell}: {event.event.stage} {event.event.note}".rstrip()
        else:
            text = f"{event.cell} ..." if event.kind == "started" else _ended(event)
        self._last = now
        sys.stderr.write(f"{text}; {_count(self._progress)}\n")
        sys.stderr.flush()


def _ended(event: "openflan.CellEvent") -> str:
    match event.kind:
        case "failed":
            return f"{event.cell}: failed: {event.message}"
        case "kept":
            return f"{event.cell}: already done"
        case _:
            return f"{event.cell}: done"


def _count(progress: GridProgress) -> str:
    failed = f", {progress.failed} failed" if progress.failed else ""
    left = progress.left
    time_left = "" if left is None or progress.through == progress.cells else f", about {rough_time(left)} left"
    return f"{progress.through} of {progress.cells} done{failed}{time_left}"
