"""A mixture made by this process and some others, on the same machine.

    this process     reads tasks ─► leak check ─► makes pieces, of tasks that it has read ─► packs
    another process  loads libraries ─► reads tasks ─► makes pieces, of tasks that it has read, then of rows it is sent

Tasks are read, and pieces made, by whoever is free, the largest first. A task's rows stay with the process that read
them. Another is sent what a piece draws, and all rows once it was sent as many; this one is sent all where the leak
check looks at them. The token engines are compared by the others, on texts of every task, so that this one need not
read a vocabulary twice.

Invariant: as many processes as may be write the same bytes. Cost: starting a process takes a second of its core, and
sending a task's rows half of what reading them takes, so several pay for a large store alone.
Rejected: forking, which a tokenizer's own threads do not survive; a caller that only waits, which starts one process
more; a caller that reads all rows, which leaves the others without work for a fifth of the time.
"""

import gc
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from openflan.cores import CorePool
from openflan.mixture.pieces import PieceFacts
from openflan.mixture.workers import Job, MixWork, PieceMaker, SomeRows, UsableRows
from openflan.prompts.engines import EngineComparison
from openflan.tasks.sources import SourceRow, source_bytes

__all__ = ["Processes"]

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 4_096
"""Rows of a whole task that are sent at once: what is sent takes as much memory again while it is on its way."""


class Processes:
    """This process and some others; use it as a context.

    Args:
        maker: makes pieces here.
    """

    def __init__(self, maker: PieceMaker, others: int) -> None:
        os.environ.setdefault("RAYON_NUM_THREADS", "1")  # of `tokenizers`, read when it first encodes here
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
        """The tasks' usable rows, the largest task's read here, while others may have to start, the rest by whoever is
        free."""
        sizes = {task: source_bytes(self._work.entries[task], "train", data=self._work.data) for task in tasks}
        largest_first = sorted(tasks, key=lambda task: -sizes[task])
        comparisons: dict[str, Callable[[], EngineComparison]] = {}

        def read(task: str) -> UsableRows:
            usable, texts = self._maker.read_alone(task)
            comparisons[task] = self._others[len(comparisons) % len(self._others)].compare(texts)
            return usable

        rest = self._shared(largest_first[1:], read, _Other.read, work=sizes.__getitem__)
        self._maker.encoder.load_fast_engine()
        usable = {task: read(task) for task in largest_first[:1]} | dict(rest)
        for task, comparison in comparisons.items():
            usable[task] = replace(usable[task], compared=comparison())
        return {task: usable[task] for task in tasks}

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        """Make pieces, the longest first; each process those of its own tasks first, the others from now on.

        This one begins with the task whose pieces are shortest: what the others are then sent are long ones, and few.
        They end their own with the longest, beside which the rows of the first one that is sent are on their way. What
        is shorter than its task's longest this one leaves for the end, so that all end together.
        """
        own = {other: set(other.has) for other in self._others}
        elsewhere = set().union(*own.values())
        place = {job.path: place for place, job in enumerate(jobs)}
        longest = {job.task: job.work for job in reversed(jobs)}

        def short(job: Job) -> bool:
            return job.work < longest[job.task]

        def there_first(other: _Other, job: Job) -> tuple[bool, int]:
            return (False, -place[job.path]) if job.task in own[other] else (True, short(job))

        return self._shared(
            jobs,
            self._make,
            _Other.make,
            here_first=lambda job: (short(job), job.task in elsewhere, longest[job.task]),
            there_first=there_first,
            work=lambda job: job.work,
            ready=2,
        )

    def _make(self, job: Job) -> PieceFacts:
        """Make a piece here; where another process has the task's rows, it sends those that the piece draws."""
        if isinstance(job.rows, _RowsElsewhere) and not job.rows.are_here:
            job = next(other for other in self._others if job.task in other.has).drawn(job)
        return self._maker.make(job)

    def _shared(
        self,
        items: Sequence[T],
        here: Callable[[T], R],
        there: "Callable[[_Other, T], R]",
        *,
        work: Callable[[T], float],
        ready: int = 1,
        here_first: Callable[[T], Any] = lambda _item: 0,
        there_first: "Callable[[_Other, T], Any]" = lambda _other, _item: 0,
    ) -> Iterator[tuple[T, R]]:
        """Have items done by whoever is free, the others from now on, the first ones first; in any order.

        Others are asked by threads, for this process is busy too, with an item that may take longer than several there.
        Another's next item, and what it needs, lies ready where both are no more than its share of what is left.

        Args:
            work: how long an item takes, in any unit.
            ready: how many items another may have, the one that it is at included.
            here_first: what this process takes them by, the least first.
            there_first: what another does.
        """
        left, done = _Left(items, work), SimpleQueue[tuple[T, R] | Exception]()
        requests: dict[_Other, list[T]] = {other: [] for other in self._others}
        here_now: list[T] = []

        def take_for(other: _Other) -> T | None:
            there_now = sum(map(work, requests[other]))
            half_done = sum(map(work, here_now)) / 2
            share = (left.work + half_done + there_now) / (1 + len(self._others))
            item = left.take(partial(there_first, other), most=share - there_now if requests[other] else None)
            if item is not None:
                requests[other].append(item)
            return item

        def ask(other: _Other, item: T) -> None:
            following: T | None = item
            try:
                while following is not None:
                    done.put((following, there(other, following)))
                    requests[other].remove(following)
                    following = take_for(other)
            except Exception as error:  # raised where the items are taken
                done.put(error)

        for _ in range(ready):
            for other in self._others:
                if (item := take_for(other)) is not None:
                    threading.Thread(target=ask, args=(other, item), daemon=True).start()

        def take() -> Iterator[tuple[T, R]]:
            for _ in items:
                if done.empty() and (item := left.take(here_first)) is not None:
                    here_now[:] = [item]
                    yield item, here(item)
                    here_now.clear()
                    continue
                result = done.get()
                if isinstance(result, Exception):
                    raise result
                yield result

        return take()


class _Left(Generic[T]):
    """Items that are left, of which several threads take the next one."""

    def __init__(self, items: Sequence[T], work: Callable[[T], float]) -> None:
        self._items = list(items)
        self._work = work
        self._lock = threading.Lock()

    @property
    def work(self) -> float:
        """Of all of them."""
        with self._lock:
            return sum(map(self._work, self._items))

    def take(self, key: Callable[[T], Any], *, most: float | None = None) -> T | None:
        """Take the item of the least key, of several the first.

        Args:
            most: work that it may be.
        """
        with self._lock:
            fitting = [place for place, item in enumerate(self._items) if most is None or self._work(item) <= most]
            if not fitting:
                return None
            return self._items.pop(min(fitting, key=lambda place: key(self._items[place])))


class _RowsElsewhere(Sequence[SourceRow]):
    """A task's rows in another process, sent when they are first looked at here."""

    def __init__(self, count: int, send: Callable[[], Sequence[SourceRow]]) -> None:
        self._count = count
        self._send = send

    @cached_property
    def _rows(self) -> Sequence[SourceRow]:
        return self._send()

    @property
    def are_here(self) -> bool:
        """Whether they were sent."""
        return "_rows" in vars(self)

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
        self._sent: Counter[str] = Counter()
        """Rows of other tasks that it was sent, a piece's at a time."""
        self._sending = threading.Lock()
        """Held by the one of its threads that finds out what a job is to be sent, so that nothing is sent twice."""

    def read(self, task: str) -> UsableRows:
        """Have a task read; its rows stay there."""
        usable = self.pool.result(self.pool.do(_read, task))
        self.has[task] = len(usable.places)
        return replace(usable, rows=_RowsElsewhere(len(usable.places), partial(self.rows, task)))

    def compare(self, texts: list[str]) -> Callable[[], EngineComparison]:
        """Have the token engines compared on some texts; the result is waited for when it is asked for."""
        return partial(self.pool.result, self.pool.do(_compare, texts))

    def make(self, job: Job) -> PieceFacts:
        """Have a piece made."""
        return self.pool.result(self.pool.do(_work, self.sent(job)))

    def rows(self, task: str) -> Sequence[SourceRow]:
        """The rows of a task that it has."""
        parts = [self.pool.do(_rows, task, start, start + _AT_ONCE) for start in range(0, self.has[task], _AT_ONCE)]
        return [row for part in parts for row in self.pool.result(part).present]

    def drawn(self, job: Job) -> Job:
        """A job with the rows that it draws, which this process has."""
        return replace(job, rows=self.pool.result(self.pool.do(_drawn, replace(job, rows=None))))

    def sent(self, job: Job) -> Job:
        """A job as this process needs it: without rows where it has them, else with those that the piece draws.

        Where as many were sent as there are, all of them are, once: pieces of later epochs draw the same rows again.
        """
        if job.rows is None:
            return job
        with self._sending:
            if job.task not in self.has:
                part = job.sent()
                assert isinstance(part.rows, SomeRows)
                self._sent[job.task] += len(part.rows.present)
                if self._sent[job.task] <= len(job.rows):
                    return part
                for start in range(0, len(job.rows), _AT_ONCE):
                    self.pool.do(_take, job.task, SomeRows.all_of(job.rows[start : start + _AT_ONCE]))
                self.has[job.task] = len(job.rows)
            if len(job.rows) != self.has[job.task]:
                self.pool.do(_keep, job.task, np.array([row.index for row in job.rows]))
                self.has[job.task] = len(job.rows)
        return replace(job, rows=None)


_piece_maker: PieceMaker | None = None


def _load_libraries() -> None:
    import pyarrow  # noqa: F401 (needed by the first piece, loaded while there is none)


def _begin(work: MixWork) -> None:
    """Hand a process what it needs for any task."""
    global _piece_maker  # noqa: PLW0603 (a process pool hands its state to jobs in no other way)
    _piece_maker = PieceMaker(work)
    gc.disable()  # rows and prompts have no cycles


def _maker() -> PieceMaker:
    assert _piece_maker is not None
    return _piece_maker


def _read(task: str) -> UsableRows:
    """Read a task's rows and tell all but the rows."""
    usable = _maker().read(task)
    _maker().rows[task] = list(usable.rows)
    return replace(usable, rows=())


def _compare(texts: list[str]) -> EngineComparison:
    return _maker().encoder.compare_engines(texts)


def _rows(task: str, start: int, stop: int) -> SomeRows:
    return SomeRows.all_of(_maker().rows[task][start:stop])


def _drawn(job: Job) -> Sequence[SourceRow]:
    """The rows that a piece draws."""
    sent = replace(job, rows=_maker().rows[job.task]).sent()
    assert sent.rows is not None
    return sent.rows


def _take(task: str, rows: SomeRows) -> None:
    """Keep some more rows of a task that another process has read."""
    _maker().rows.setdefault(task, []).extend(rows.present)


def _keep(task: str, places: NDArray[np.int64]) -> None:
    """Of a task's rows keep those that the leak check left."""
    left, rows = set(places.tolist()), _maker().rows
    rows[task] = [row for row in rows[task] if row.index in left]


def _work(job: Job) -> PieceFacts:
    return _maker().make(job)
