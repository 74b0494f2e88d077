"""How much of a study is done, what is left by the pace so far, and both on disk while it works.

    runs/study-<name>-<hash>/progress.json    only while somebody works on the study

Invariant: cells count by what they weigh, so that the time left is of all of them. Rejected: each cell's own time left,
which says nothing of the cells after it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from openflan.errors import UserError
from openflan.records import FileRecord, Record, read_record
from openflan.runs.pipeline import Event
from openflan.runs.progress import Worker, write_progress
from openflan.runs.stages import Stage, StageKind

__all__ = ["CellEvent", "CellProgress", "GridProgress", "StudyProgress", "kept_grid", "read_grid"]

_FILE = "progress.json"
_EVERY = 1.0
"""Seconds between two writings."""
_TUNING = 0.7
"""Of a cell's time, what goes into tuning; the rest into answers. Only for the display."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellEvent:
    """Something a user may want to see while a study works."""

    cell: str
    kind: Literal["started", "working", "done", "kept", "failed"]
    message: str = ""
    event: Event | None = None
    """What the cell's pipeline says; not where it runs on another machine."""
    cells: int = 0
    """How many there are."""
    through: int = 0
    """How many are through, those that failed too."""
    failed: int = 0
    share: float = 0.0
    """Of the whole, 0 to 1, what is done."""
    left: float | None = None
    """Seconds left by the pace so far, where that can be told."""


class CellProgress(Record):
    """How a cell of a study at work stands."""

    name: str
    run: str = ""
    """Name of its run folder; empty where that is not known yet."""
    state: Literal["waiting", "working", "done", "failed"] = "waiting"
    message: str = ""
    """Why it failed."""


class StudyProgress(FileRecord):
    """`progress.json` of a study."""

    VERSION: ClassVar[int] = 1

    title: str
    worker: Worker
    updated: float
    """Seconds since 1970."""
    cells: list[CellProgress]
    share: float
    """Of the whole, 0 to 1, what is done."""
    left: float | None


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
        self._stages: dict[str, dict[Stage, float]] = {}
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

    def tell(self, event: CellEvent) -> None:
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

    def _work(self, cell: str, event: Event) -> None:
        stages = self._stages.setdefault(cell, {})
        if event.kind == "progress":
            stages[event.stage] = event.done / max(1, event.total)
        elif event.kind in ("done", "kept", "linked"):
            stages[event.stage] = 1.0

    def _share(self, cell: str) -> float:
        """Of a cell, what is done."""
        share = 0.0
        for stage, part in self._stages[cell].items():
            if stage.kind is StageKind.TRAINING:
                share += part * _TUNING / self._seeds
            elif stage.kind is StageKind.EVALUATION:
                share += part * (1 - _TUNING) / (self._seeds + 1)
        return min(1.0, share)


def read_grid(folder: Path) -> StudyProgress | None:
    """How far work on a study is; None where nobody works on it."""
    try:
        how = "it is written anew by the next call"
        progress = read_record(folder / _FILE, StudyProgress, what="progress of a study", how=how)
    except UserError:
        return None
    return progress if progress.worker.works(heard=progress.updated) else None


@contextmanager
def kept_grid(
    folder: Path,
    title: str,
    runs: Mapping[str, str],
    progress: GridProgress,
    watch: Callable[[CellEvent], None],
) -> Iterator[Callable[[CellEvent], None]]:
    """What to tell events while a study works.

    Args:
        folder: of the study.
        runs: name of the run folder by cell, empty where it is not known yet; all cells in order.
        watch: what is told of every event, with how all of it stands.
    """
    cells = {name: CellProgress(name=name, run=run) for name, run in runs.items()}
    worker, last = Worker.here(), 0.0
    path = folder / _FILE

    def write() -> None:
        record = StudyProgress(
            title=title,
            worker=worker,
            updated=time.time(),
            cells=list(cells.values()),
            share=progress.done,
            left=progress.left,
        )
        write_progress(path, record)

    def tell(event: CellEvent) -> None:
        nonlocal last
        progress.tell(event)
        states: dict[str, Literal["working", "done", "failed"]] = {"failed": "failed", "done": "done", "kept": "done"}
        changed = {"state": states.get(event.kind, "working"), "message": event.message}
        cells[event.cell] = cells[event.cell].model_copy(update=changed)
        if event.kind != "working" or time.monotonic() - last > _EVERY:
            write()
            last = time.monotonic()
        watch(
            replace(
                event,
                cells=progress.cells,
                through=progress.through,
                failed=progress.failed,
                share=progress.done,
                left=progress.left,
            )
        )

    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    write()
    try:
        yield tell
    finally:
        with suppress(OSError):
            path.unlink()
