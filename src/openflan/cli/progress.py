"""How work in progress looks: a live bar on a terminal, plain lines in a log, nothing with --quiet."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from openflan.runs.pipeline import Event

__all__ = ["watcher"]

_EVERY = 15.0
"""Seconds between two plain lines of one stage."""


@contextmanager
def watcher(*, quiet: bool) -> Iterator[Callable[[Event], None]]:
    """What to call with every event of the pipeline."""
    if quiet:
        yield lambda _event: None
    elif sys.stderr.isatty():
        with _bars() as watch:
            yield watch
    else:
        yield _Lines().watch


@contextmanager
def _bars() -> Iterator[Callable[[Event], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<22}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bars = {}
        began = {}

        def watch(event: Event) -> None:
            if event.kind == "started":
                bars[event.stage] = progress.add_task(event.stage, total=None, note="")
                began[event.stage] = time.monotonic()
            elif event.kind == "progress":
                note = _rate(event, time.monotonic() - began[event.stage])
                progress.update(bars[event.stage], completed=event.done, total=event.total, note=note)
            else:
                if event.stage in bars and event.kind != "note":
                    progress.remove_task(bars.pop(event.stage))
                progress.console.print(_sentence(event), highlight=False, markup=False)

        yield watch


class _Lines:
    """Plain log lines: start, now and then, end."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def watch(self, event: Event) -> None:
        """Say what an event means, if it is time to."""
        now = time.monotonic()
        if event.kind == "progress":
            if now - self._said.get(event.stage, 0.0) < _EVERY:
                return
            spent = now - self._began[event.stage]
            left = spent * (event.total - event.done) / max(1, event.done)
            count = f"{event.done:,} of {event.total:,} {event.unit}"
            text = f"{event.stage}: {count}, {_rate(event, spent)}, about {left:.0f} s left"
        else:
            text = _sentence(event)
            if event.kind == "started":
                self._began[event.stage] = now
        self._said[event.stage] = now
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _rate(event: Event, seconds: float) -> str:
    """How fast it goes: what the stage says itself, else what is done a second."""
    return event.note or f"{event.done / max(seconds, 1e-9):,.0f} {event.unit}/s"


def _sentence(event: Event) -> str:
    match event.kind:
        case "note":
            return f"{event.stage}: {event.note}"
        case "kept":
            return f"{event.stage}: already done"
        case "linked":
            return f"{event.stage}: taken from {event.note}"
        case "done":
            return f"{event.stage}: done{f' in {event.note}' if event.note else ''}"
        case _:
            return f"{event.stage} ..."
