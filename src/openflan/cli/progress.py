"""How work in progress looks: a live bar on a terminal, plain lines in a log, nothing with --quiet."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openflan

__all__ = ["StageWatch", "rough_time", "watcher"]

_EVERY = 15.0
"""Seconds between two plain lines of one stage."""


class StageWatch:
    """What is told of work in progress, by the name of a stage; this one shows nothing of it."""

    left: float | None = None
    """Seconds until everything is done, where more than this stage is to be done and that can be told."""

    def __call__(self, event: "openflan.Event") -> None:
        """Take an event of a run."""
        stage = str(event.stage)
        match event.kind:
            case "started":
                self.started(stage)
            case "progress":
                self.left = event.left
                self.progress(stage, event.done, event.total, unit=event.unit, note=event.note)
            case "note":
                self.noted(stage, event.note)
            case "kept":
                self.ended(stage, "already done")
            case "linked":
                self.ended(stage, f"taken from {event.note}")
            case "done":
                self.ended(stage, f"done in {event.note}" if event.note else "done")

    def started(self, stage: str) -> None:
        """A stage begins."""

    def progress(self, stage: str, done: int, total: int, *, unit: str, note: str = "") -> None:
        """So much of it is done; the note says how fast, where the stage knows better than done a second."""

    def noted(self, stage: str, text: str) -> None:
        """Something to know about it."""

    def ended(self, stage: str, how: str = "done") -> None:
        """It is over."""


@contextmanager
def watcher(*, quiet: bool) -> Iterator[StageWatch]:
    """Where to tell how work goes."""
    if quiet:
        yield StageWatch()
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<22}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[note]}"),
        )
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            yield _Live(bars)
    else:
        yield _Lines()


class _Live(StageWatch):
    """A bar a stage."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}
        self._began: dict[str, float] = {}
        self._start = time.monotonic()
        self._all: Any = None
        """The bar of all stages together."""

    def started(self, stage: str) -> None:
        self._tasks[stage] = self._bars.add_task(stage, total=None, note="", left="")
        self._began[stage] = time.monotonic()

    def progress(self, stage: str, done: int, total: int, *, unit: str, note: str = "") -> None:
        if stage not in self._tasks:
            self.started(stage)
        spent = time.monotonic() - self._began[stage]
        note = note or _rate(done, unit, spent)
        if self.left is None:
            left = f"{rough_time(spent * (total - done) / max(1, done))} left"
            self._bars.update(self._tasks[stage], completed=done, total=total, note=note, left=left)
            return
        self._bars.update(self._tasks[stage], completed=done, total=total, note=note)
        if self._all is None:
            self._all = self._bars.add_task("everything", note="", left="")
        elapsed = time.monotonic() - self._start
        self._bars.update(self._all, completed=elapsed, total=elapsed + self.left, left=f"{rough_time(self.left)} left")

    def noted(self, stage: str, text: str) -> None:
        self._bars.console.print(f"{stage}: {text}", highlight=False, markup=False)

    def ended(self, stage: str, how: str = "done") -> None:
        if stage in self._tasks:
            self._bars.remove_task(self._tasks.pop(stage))
        self.noted(stage, how)


class _Lines(StageWatch):
    """Plain log lines: start, now and then, end."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def started(self, stage: str) -> None:
        self._began[stage] = time.monotonic()
        self._write(stage, f"{stage} ...")

    def progress(self, stage: str, done: int, total: int, *, unit: str, note: str = "") -> None:
        if stage not in self._began:
            self.started(stage)
        now = time.monotonic()
        if now - self._last[stage] < _EVERY:
            return
        spent = now - self._began[stage]
        rate = note or _rate(done, unit, spent)
        text = f"{stage}: {done:,} of {total:,} {unit}, {rate}"
        if self.left is None:
            self._write(stage, f"{text}, about {spent * (total - done) / max(1, done):.0f} s left")
        else:
            self._write(stage, f"{text}, everything in about {self.left:.0f} s")

    def noted(self, stage: str, text: str) -> None:
        self._write(stage, f"{stage}: {text}")

    def ended(self, stage: str, how: str = "done") -> None:
        self.noted(stage, how)

    def _write(self, stage: str, line: str) -> None:
        self._last[stage] = time.monotonic()
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _rate(done: int, unit: str, seconds: float) -> str:
    return f"{done / max(seconds, 1e-9):,.0f} {unit}/s"


def rough_time(seconds: float) -> str:
    """A time in the unit in which it is easily grasped."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:,.1f} h"
