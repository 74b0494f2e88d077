"""A mixture made by this process and some others, on the same machine.

    this process     reads tasks ─► leak check ─► makes pieces, of tasks that it has read ─► packs
    another process  loads libraries ─► reads tasks ─► makes pieces, of tasks that it has read, then of rows it is sent

Tasks are read, and pieces made, by whoever is free, the largest first. A task's rows stay with the process that read
them; this one is sent all of a task's where it must look at them itself, the others what their pieces draw.

Invariant: as many processes as may be write the same bytes. Cost: starting a process takes a second of its core, and
sending a task's rows half of what reading them takes, so several pay for a large store alone.
Rejected: forking, which a tokenizer's own threads do not survive; a caller that only waits, which starts one process
more; a caller that reads all rows, which leaves the others without work for a fifth of the time.
"""

import gc
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.cores import CorePool
from openflan.mixture.pieces import PieceFacts
from openflan.mixture.workers import Job, MixWork, PieceMaker, SomeRows, UsableRows, read_rows
from openflan.prompts.engines import EngineComparison
from openflan.tasks.sources import SourceRow, source_bytes

__all__ = ["Processes"]


class Processes:
    """This process and some others; use it as a context.

    Args:
        maker: makes pieces here.
    """

    def __init__(self, maker: PieceMaker, others: int) -> None:
        os.environ.setdefault("RAYON_NUM_THREADS", "1")  # read when the token engine is first used here
        self._work = maker.work
        self._maker = maker
        self._others = [_Other(maker.work) for _ in range(others)]
        self._open = ExitStack()

    def __enter__(self) -> "Processes":
        for other in self._others:
            self._open.enter_context(other.pool)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(*error)  # type: ignore[arg-type]

    def read(self, tasks: Sequence[str]) -> dict[str, UsableRows]:
        """The tasks' usable rows, read by whoever is free."""
        self._maker.encoder.prepare()  # as the others do before they read
        left = sorted(tasks, key=lambda task: source_bytes(self._work.entries[task], "train", data=self._work.data))
        found: dict[str, UsableRows] = {}
        reading: dict[Future[Any], tuple[str, _Other]] = {}
        while left or reading:
            busy = [other for _, other in reading.values()]
            for other in self._others:
                if left and other not in busy:
                    task = left.pop()
                    reading[other.pool.do(_read, task)] = task, other
            if left:
                task = left.pop()
                found[task] = read_rows(self._work, task)
            else:
                wait(reading, return_when=FIRST_COMPLETED)
            for future in [future for future in reading if future.done()]:
                task, other = reading.pop(future)
                places, hashes, faulty = other.pool.result(future)
                rows = _RowsElsewhere(len(places), partial(other.rows, task))
                found[task] = UsableRows(rows=rows, places=places, hashes=hashes, faulty=faulty)
                other.has[task] = len(places)
        return {task: found[task] for task in tasks}

    def compare(self, jobs: Sequence[Job]) -> list[EngineComparison]:
        """Tokenise the first prompts of pieces by both token engines, elsewhere."""
        found = [(other, other.pool.do(_compare, other.sent(job))) for job, other in zip(jobs, cycle(self._others))]
        return [other.pool.result(future) for other, future in found]

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        """Make pieces; each process those of its own tasks first, the others from now on."""
        left, sent = list(jobs), dict[Future[PieceFacts], tuple[Job, _Other]]()
        self._hand_out(left, sent)
        return self._made(left, sent)

    def _hand_out(self, left: list[Job], sent: dict[Future[PieceFacts], tuple[Job, "_Other"]]) -> None:
        """Send jobs to the processes that have few."""
        ahead = 2 if len(left) > 2 * len(self._others) else 1  # the next lies ready, but not when they get few
        for other in self._others:
            while left and sum(at is other for _, at in sent.values()) < ahead:
                job = _next(left, other.has)
                sent[other.pool.do(_work, other.sent(job))] = job, other

    def _made(
        self, left: list[Job], sent: dict[Future[PieceFacts], tuple[Job, "_Other"]]
    ) -> Iterator[tuple[Job, PieceFacts]]:
        elsewhere = {task for other in self._others for task in other.has}
        here = {job.task for job in left} - elsewhere
        while left or sent:
            self._hand_out(left, sent)
            done = [future for future in sent if future.done()]
            for future in done:
                job, other = sent.pop(future)
                yield job, other.pool.result(future)
            if left and not done:
                job = _next(left, here)
                yield job, self._maker.make(job)
            elif not done:
                wait(sent, return_when=FIRST_COMPLETED)


def _next(left: list[Job], tasks: Collection[str]) -> Job:
    """Take the first job of some tasks; where there is none, the first of all."""
    return left.pop(next((place for place, job in enumerate(left) if job.task in tasks), 0))


class _RowsElsewhere(Sequence[SourceRow]):
    """A task's rows in another process, sent when they are first looked at here."""

    def __init__(self, count: int, send: Callable[[], Sequence[SourceRow]]) -> None:
        self._count = count
        self._send = send

    @cached_property
    def _rows(self) -> Sequence[SourceRow]:
        return self._send()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> SourceRow:  # type: ignore[override]
        return self._rows[number]


class _Other:
    """Another process."""

    def __init__(self, work: MixWork) -> None:
        self.pool = CorePool(1, ready=_load_libraries)
        self.pool.do(_begin, work)
        self.has: dict[str, int] = {}
        """Tasks whose rows it has, and how many."""

    def rows(self, task: str) -> Sequence[SourceRow]:
        """The rows of a task that it has."""
        sent = self.pool.result(self.pool.do(_rows, task))
        return [sent[number] for number in range(len(sent))]

    def sent(self, job: Job) -> Job:
        """A job as this process needs it: without rows where it has them, else with those that the piece draws."""
        if job.task not in self.has or job.rows is None:
            return job.sent()
        if len(job.rows) != self.has[job.task]:
            self.pool.do(_keep, job.task, np.array([row.index for row in job.rows]))
            self.has[job.task] = len(job.rows)
        return replace(job, rows=None)


_piece_maker: PieceMaker | None = None


def _load_libraries() -> None:
    import pyarrow  # noqa: F401 (needed by the first piece, loaded while there is none)

    os.environ["RAYON_NUM_THREADS"] = "1"
    gc.disable()  # rows and prompts have no cycles


def _begin(work: MixWork) -> None:
    """Hand a process what it needs for any task, and have it read the vocabulary."""
    global _piece_maker  # noqa: PLW0603 (a process pool hands its state to jobs in no other way)
    _piece_maker = PieceMaker(work)
    _piece_maker.encoder.prepare(both=True)


def _maker() -> PieceMaker:
    assert _piece_maker is not None
    return _piece_maker


def _read(task: str) -> tuple[NDArray[np.int64], NDArray[np.uint64], frozenset[int]]:
    """Read a task's rows and tell all but the rows."""
    usable = read_rows(_maker().work, task)
    _maker().rows[task] = usable.rows
    return usable.places, usable.hashes, usable.faulty


def _rows(task: str) -> Sequence[SourceRow]:
    rows = _maker().rows[task]
    return SomeRows(len(rows), dict(enumerate(rows)))


def _keep(task: str, places: NDArray[np.int64]) -> None:
    """Of a task's rows keep those that the leak check left."""
    left, rows = set(places.tolist()), _maker().rows
    rows[task] = [row for row in rows[task] if row.index in left]


def _compare(job: Job) -> EngineComparison:
    return _maker().compare(job)


def _work(job: Job) -> PieceFacts:
    return _maker().make(job)
