"""How far work is, on disk for whoever looks: `progress.json` in the folder of a run, only while somebody works on it.

The pipeline's events become one small file, written at most once a second and whole at every moment. It goes when the
work is done; where a fault ended it, it stays and says so. A reader can tell a process that works from one that was
killed: the file names process and machine, and a process is known by its number and when it began.

Invariant: nothing that a run computes depends on it, and no fault in writing it ends a run. Cost: 0.1 ms a second.
Rejected: a log of events, which grows and has to be read from its start.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Literal

from openflan.errors import UserError, interrupts_shown
from openflan.records import FileRecord, Record, read_record
from openflan.runs.stages import RunPlaces, Stage

__all__ = ["ProgressFile", "RunProgress", "StageProgress", "Worker", "kept_progress", "read_progress", "write_progress"]

_EVERY = 1.0
"""Seconds between two writings."""
_SILENT = 900.0
"""Seconds without a word after which work on another machine counts as ended."""


class Worker(Record):
    """The process that works."""

    machine: str
    process: int
    began: float
    """When it began, by its system's clock."""

    @classmethod
    def here(cls) -> "Worker":
        """This process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, process: int) -> "Worker":
        """A process of this machine."""
        return cls(machine=platform.node(), process=process, began=_began(process) or 0.0)

    def works(self, *, heard: float) -> bool:
        """Whether it is still there.

        Args:
            heard: when it was last heard of; that decides where it is on another machine.
        """
        if self.machine != platform.node():
            return time.time() - heard < _SILENT
        return _began(self.process) == self.began


class StageProgress(Record):
    """How far a stage is."""

    place: str
    """As results name it: `mixture`, `training/seed-0`, `evaluation/untuned` …"""
    state: Literal["waiting", "working", "done"] = "waiting"
    done: int = 0
    """Of `total`, in `unit`: tokens, steps, prompts; 0 where that is not known."""
    total: int = 0
    unit: str = ""
    note: str = ""
    """What the stage last said of itself."""


class RunProgress(FileRecord):
    """`progress.json`."""

    VERSION: ClassVar[int] = 1

    worker: Worker
    began: float
    """Seconds since 1970."""
    updated: float
    """The same, of this writing."""
    stages: list[StageProgress]
    """All that were asked for, in order."""
    left: float | None = None
    """Seconds until everything is done, where that can be told."""
    failed: str = ""
    """What ended the work; empty while it goes on."""


def read_progress(folder: Path) -> RunProgress | None:
    """How far work on a run is; None where nobody works on it and no fault ended the work."""
    path = RunPlaces(folder).progress
    try:
        return read_record(path, RunProgress, what="progress of a run", how="it is written anew by the next call")
    except UserError:
        return None


def write_progress(path: Path, record: FileRecord) -> None:
    """Write such a file so that a reader sees the old content or the new; a fault of the disk is passed over."""
    partial = path.with_name(f".{path.name}.partial")
    with suppress(OSError):
        partial.write_text(json.dumps({"version": record.VERSION, **record.model_dump(mode="json")}), encoding="utf-8")
        partial.replace(path)


class ProgressFile:
    """The file of one call of the pipeline.

    Args:
        folder: of the run.
        stages: those that are asked for.
        watch: what is told of every event, too.
    """

    def __init__(self, folder: Path, stages: Sequence[Stage], watch: Callable[[Any], None]) -> None:
        self._path = RunPlaces(folder).progress
        self._watch = watch
        self._worker = Worker.here()
        self._began = time.time()
        self._stages = {stage.place: StageProgress(place=stage.place) for stage in stages}
        self._left: float | None = None
        self._last = 0.0
        self._write()

    def tell(self, event: Any) -> None:
        """Take an event in, and pass it on."""
        place = event.stage.place
        before = self._stages.get(place, StageProgress(place=place))
        first = not before.done
        match event.kind:
            case "started":
                now: dict[str, Any] = {"state": "working"}
            case "progress":
                now = {name: getattr(event, name) for name in ("done", "total", "unit", "note")} | {"state": "working"}
            case "done" | "kept" | "linked":
                now = {"state": "done"}
            case _:
                now = {}
        self._stages[place] = before.model_copy(update=now)
        self._left = event.left
        if first or event.kind != "progress" or time.monotonic() - self._last > _EVERY:
            self._write()
        self._watch(event)

    def fail(self, reason: str) -> None:
        """Work ended by a fault."""
        self._write(failed=" ".join(reason.split())[:2_000])

    def remove(self) -> None:
        """Nobody works any more."""
        with suppress(OSError):
            self._path.unlink()

    def _write(self, failed: str = "") -> None:
        self._last = time.monotonic()
        now = RunProgress(
            worker=self._worker,
            began=self._began,
            updated=time.time(),
            stages=list(self._stages.values()),
            left=None if failed else self._left,
            failed=failed,
        )
        write_progress(self._path, now)


@contextmanager
def kept_progress(
    folder: Path, stages: Sequence[Stage], watch: Callable[[Any], None], *, writes: bool = True
) -> Iterator[Callable[[Any], None]]:
    """What to tell events while work goes on in a run's folder.

    Args:
        watch: what is told of every event, too.
        writes: whether this process is the one that writes.
    """
    if not writes:
        yield watch
        return
    file = ProgressFile(folder, stages, watch)
    try:
        with interrupts_shown():
            yield file.tell
    except Exception as error:
        file.fail(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
        raise
    except BaseException:
        file.remove()
        raise
    file.remove()


def _began(process: int) -> float | None:
    """When a process of this machine began; None where there is none of that number."""
    import psutil

    try:
        handle = psutil.Process(process)
        return None if handle.status() == psutil.STATUS_ZOMBIE else round(float(handle.create_time()), 2)
    except psutil.Error:
        return None
