"""Workers: pieces of a token store made in this process, in several, or on a cluster.

An engine runs the same pure function over the same list of jobs; which one, and how many processes, changes nothing in
what is written. The calling process is one of the several: it has read the rows, and the others are sent those that
their pieces draw.

Invariant: 1, 2 or N processes write the same bytes. Cost: starting a process takes a second or two of a core, and
sending a piece's rows 15 to 60 ms, so several pay for a large store alone. Rejected: forking, which a tokenizer's own
threads do not survive; a caller that only waits, which starts one process more and sends all rows.
"""

import gc
import multiprocessing
import os
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import numpy as np

from openflan.cores import errors_of_processes
from openflan.errors import UserError
from openflan.mixture.pieces import PieceFacts, draws_of_piece, first_texts, write_piece
from openflan.prompts.encoding import EncoderRules, TextEncoder
from openflan.prompts.engines import EngineComparison
from openflan.prompts.examples import Count, ExampleMaker, ExampleRules, fitting_rows
from openflan.recipes.mixture_part import MixturePart
from openflan.recipes.recipe import Recipe
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow, load_rows
from openflan.tasks.splits import rows_to_draw

__all__ = ["Job", "MixWork", "PieceEngine", "PieceMaker", "SomeRows", "default_workers", "open_engine", "usable_rows"]

_KEPT = 3
"""Tasks whose rows a process keeps."""
_LARGE_STORE = 20_000_000
"""Tokens from which on starting other processes pays."""


@dataclass(frozen=True, kw_only=True)
class MixWork:
    """Everything a process needs to make any piece; small enough to be sent to it."""

    mixture: MixturePart
    entries: Mapping[str, Entry]
    data: Path | None
    encoder: EncoderRules
    errata: frozenset[str] = frozenset()
    """Switches that are on (openflan.tasks.errata)."""
    dropped: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Training rows that overlap with a held-out task, by task: places in the source split."""

    @property
    def examples(self) -> ExampleRules:
        """How examples are made of rows."""
        return ExampleRules(
            cyclic="cyclic_templates" in self.errata,
            self_exemplars="self_exemplars" in self.errata,
            skip_faulty=self.mixture.faulty_rows == "skip",
            templates=self.mixture.templates_per_task,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One piece to make."""

    task: str
    seed: int
    number: int
    path: Path
    rows: Sequence[SourceRow] | None = None
    """The task's usable rows, or those of them that this piece draws; loaded by whoever makes the piece where None."""
    fast: bool = False
    """Whether the faster token engine was found to make the same tokens."""

    def sent(self) -> "Job":
        """The same with the rows that the piece draws alone, for a process that has none."""
        if self.rows is None:
            return self
        rows = self.rows
        drawn = np.unique(draws_of_piece(self.task, len(rows), seed=self.seed, number=self.number).row).tolist()
        return replace(self, rows=SomeRows(len(rows), {row: rows[row] for row in drawn}))


class SomeRows(Sequence[SourceRow]):
    """Some of a task's rows under the numbers that they have among all: what one piece draws, sent to a process."""

    def __init__(self, count: int, rows: Mapping[int, SourceRow]) -> None:
        self._count = count
        self._rows = rows

    def __reduce__(self) -> tuple[Any, ...]:
        rows = self._rows.values()
        plain = ([row.index for row in rows], [row.fields for row in rows], [row.source for row in rows])
        return _some_rows, (self._count, list(self._rows), *plain)  # plain data travels three times as fast

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> SourceRow:  # type: ignore[override]
        return self._rows[number]


def _some_rows(
    count: int, numbers: list[int], places: list[int], fields: list[dict[str, Any]], sources: list[str]
) -> SomeRows:
    rows = (SourceRow(index=at, fields=of, source=by) for at, of, by in zip(places, fields, sources, strict=True))
    return SomeRows(count, dict(zip(numbers, rows, strict=True)))


def usable_rows(work: MixWork, task: str, faulty: set[int] | None = None) -> list[SourceRow]:
    """A task's training rows that a template fits, without those that the leak check dropped.

    Args:
        faulty: under `mixture.faulty_rows: skip`, places of rows that break the task's contract are put here.
    """
    skips = work.mixture.faulty_rows == "skip"
    faulty = None if not skips else set() if faulty is None else faulty
    entry = work.entries[task]
    most = work.mixture.most_rows(entry.called)
    rows = load_rows(entry, "train", data=work.data, limit=most, faulty=faulty)
    rows = rows[: rows_to_draw(len(rows), entry.spec, most=most, errata=work.errata)]
    dropped = work.dropped.get(task, frozenset())
    rows = [row for row in rows if row.index not in dropped] if dropped else rows
    return list(fitting_rows(entry, rows, templates=work.examples.templates))


class PieceMaker:
    """Makes pieces in one process."""

    def __init__(self, work: MixWork, encoder: TextEncoder | None = None) -> None:
        self._work = work
        self.encoder = encoder or TextEncoder(work.encoder)
        self._example_makers: OrderedDict[str, ExampleMaker] = OrderedDict()

    def make(self, job: Job) -> PieceFacts:
        """Make a piece and write it to its place."""
        self.encoder.use(fast=job.fast)
        return write_piece(
            job.path,
            self.examples_of(job.task) if job.rows is None else self.example_maker(job.task, job.rows),
            self.encoder,
            seed=job.seed,
            number=job.number,
        )

    def compare(self, job: Job) -> EngineComparison:
        """Tokenise a piece's first prompts by both token engines."""
        maker = self.examples_of(job.task) if job.rows is None else self.example_maker(job.task, job.rows)
        texts = first_texts(maker, self.encoder.separator, seed=job.seed, number=job.number)
        return self.encoder.compare_engines(texts)

    def examples_of(self, task: str) -> ExampleMaker:
        """The maker of a task's examples; its rows are loaded."""
        if task not in self._example_makers:
            self._example_makers[task] = self.example_maker(task, usable_rows(self._work, task))
            if len(self._example_makers) > _KEPT:
                self._example_makers.popitem(last=False)
        self._example_makers.move_to_end(task)
        return self._example_makers[task]

    def example_maker(self, task: str, rows: Sequence[SourceRow], *, count: Count | None = None) -> ExampleMaker:
        """The maker of a task's examples from given rows.

        Args:
            count: tokens of texts, where not the encoder counts them.
        """
        rules = self._work.encoder
        return ExampleMaker(
            self._work.entries[task],
            rows,
            rules.part,
            self._work.examples,
            count=count or self.encoder.lengths,
            start=rules.frame.around,
        )


def default_workers(recipe: Recipe) -> int:
    """Processes that pay for a recipe's token store: one a core of a large one, else this one."""
    part = recipe.training
    large = part.steps * part.tokens_per_batch * len(recipe.seeds) > _LARGE_STORE
    return (os.cpu_count() or 1) if large else 1


class PieceEngine(Protocol):
    """What makes pieces: one process, several, or a cluster."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        """Make pieces; results may come in any order.

        Raises:
            UserError: a row can't be rendered, or a process was killed.
        """
        ...

    def compare(self, jobs: Sequence[Job]) -> list[EngineComparison]:
        """Tokenise the first prompts of pieces by both token engines."""
        ...


@contextmanager
def open_engine(kind: str, work: MixWork, encoder: TextEncoder, *, workers: int) -> Iterator[PieceEngine]:
    """The engine of a name, with its processes as long as they are needed.

    Args:
        encoder: what encodes where pieces are made in this process.

    Raises:
        UserError: there is no engine of that name, or it is not installed.
    """
    if kind == "ray":
        from openflan.mixture.ray_engine import RayEngine

        with RayEngine(work, workers=workers) as engine:
            yield engine
    elif kind != "local":
        raise UserError(f"no engine '{kind}'", where="--engine", how="local or ray")
    elif workers <= 1:
        yield _ThisProcess(PieceMaker(work, encoder))
    else:
        with _Processes(PieceMaker(work, encoder), work, workers - 1) as processes:
            yield processes


class _ThisProcess:
    """This process."""

    def __init__(self, maker: PieceMaker) -> None:
        self._maker = maker

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        for job in jobs:
            yield job, self._maker.make(job)

    def compare(self, jobs: Sequence[Job]) -> list[EngineComparison]:
        return [self._maker.compare(job) for job in jobs]


class _Processes:
    """This process and some others."""

    def __init__(self, maker: PieceMaker, work: MixWork, others: int) -> None:
        settings = {name: os.environ[name] for name in ("HF_HUB_OFFLINE", "HF_HOME") if name in os.environ}
        os.environ.setdefault("RAYON_NUM_THREADS", "1")  # read when the token engine is first used here
        self._maker = maker
        self._others = others
        self._pool = ProcessPoolExecutor(
            max_workers=others,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(work, settings),
        )
        self._start = Thread(target=self._begin, daemon=True)

    def __enter__(self) -> "_Processes":
        self._start.start()  # processes load their libraries while rows are read here
        return self

    def _begin(self) -> None:
        """Start the processes; each is handed the vocabulary, and takes it when it has loaded its libraries."""
        for _ in range(self._others):
            self._pool.submit(int)

    def __exit__(self, *_: object) -> None:
        self._start.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        self._start.join()
        left, sent = deque(jobs), dict[Future[PieceFacts], Job]()
        while left or sent:
            ahead = 2 if len(left) > 2 * self._others else 1  # the next piece lies ready, but not when they get few
            while left and len(sent) < ahead * self._others:
                job = left.popleft()
                with errors_of_processes("a worker process", where="mixture"):
                    sent[self._pool.submit(_work, job.sent())] = job
            done = [future for future in sent if future.done()]
            for future in done:
                with errors_of_processes("a worker process", where="mixture"):
                    facts = future.result()
                yield sent.pop(future), facts
            if left and not done:
                job = left.popleft()
                yield job, self._maker.make(job)
            elif not done:
                wait(sent, return_when=FIRST_COMPLETED)

    def compare(self, jobs: Sequence[Job]) -> list[EngineComparison]:
        with errors_of_processes("a worker process", where="mixture"):
            self._start.join()
            found = self._pool.map(_compare, [job.sent() for job in jobs])
            self._maker.encoder.prepare()  # meanwhile
            return list(found)


_piece_maker: PieceMaker | None = None


def _begin(work: MixWork, settings: Mapping[str, str]) -> None:
    """Set up a worker process: one thread, for there are as many processes as are wanted."""
    global _piece_maker  # noqa: PLW0603 (a process pool hands its state to jobs in no other way)
    os.environ.update(settings)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    gc.disable()  # rows and prompts have no cycles
    import pyarrow  # noqa: F401 (needed by the first piece, loaded while there is none)

    _piece_maker = PieceMaker(work)
    _piece_maker.encoder.prepare()


def _work(job: Job) -> PieceFacts:
    assert _piece_maker is not None
    return _piece_maker.make(job)


def _compare(job: Job) -> EngineComparison:
    assert _piece_maker is not None
    return _piece_maker.compare(job)
