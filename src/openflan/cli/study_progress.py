"""How a study looks while it works: the whole grid with the time left, and the stage at work below it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import openflan
from openflan.cli.progress import rough_time

__all__ = ["study_watcher"]

_EVERY = 30.0
"""Seconds between two plain lines."""
_WatchCells = Callable[["openflan.CellEvent"], None]


@contextmanager
def study_watcher(*, quiet: bool) -> Iterator[_WatchCells]:
    """What to call with every event of a study."""
    if quiet:
        yield lambda _event: None
    elif sys.stderr.isatty():
        with _bars() as watch:
            yield watch
    else:
        yield _Lines().watch


@contextmanager
def _bars() -> Iterator[_WatchCells]:
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
            bars.update(whole, completed=event.share, note=_count(event))
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

    def __init__(self) -> None:
        self._last = time.monotonic()

    def watch(self, event: "openflan.CellEvent") -> None:
        """Say what an event means, if it is time to."""
        now = time.monotonic()
        if event.kind == "working":
            if now - self._last < _EVERY or event.event is None:
                return
            text = f"{event.cell}: {event.event.stage} {event.event.note}".rstrip()
        else:
            text = f"{event.cell} ..." if event.kind == "started" else _ended(event)
        self._last = now
        sys.stderr.write(f"{text}; {_count(event)}\n")
        sys.stderr.flush()


def _ended(event: "openflan.CellEvent") -> str:
    match event.kind:
        case "failed":
            return f"{event.cell}: failed: {event.message}"
        case "kept":
            return f"{event.cell}: already done"
        case _:
            return f"{event.cell}: done"


def _count(event: "openflan.CellEvent") -> str:
    failed = f", {event.failed} failed" if event.failed else ""
    left = event.left
    time_left = "" if left is None or event.through == event.cells else f", about {rough_time(left)} left"
    return f"{event.through} of {event.cells} done{failed}{time_left}"
