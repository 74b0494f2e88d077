"""Workers: pieces of a token store made in this process, in several, or on a cluster.

An engine runs the same pure function over the same list of jobs; which one, and how many processes, changes nothing in
what is written. A process loads a task's rows when it first gets a job of that task and keeps the last few tasks.

Invariant: 1, 2 or N processes write the same bytes. Cost: starting a process takes a second or two, which
pays from some 20 million tokens on. Rejected: forking, which a tokenizer's own threads do not survive.
"""

import gc
import multiprocessing
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from openflan.errors import UserError
from openflan.mixture.pieces import PieceFacts, write_piece
from openflan.prompts.encoding import EncoderRules, TextEncoder
from openflan.prompts.examples import Count, ExampleMaker, ExampleRules
from openflan.recipes.parts import MixturePart
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow, load_rows

__all__ = ["Engine", "Job", "Kitchen", "MixWork", "SomeRows", "example_rules", "open_engine", "usable_rows"]

_KEPT = 3
"""Tasks whose rows a process keeps."""


@dataclass(frozen=True, kw_only=True)
class MixWork:
    """Everything a process needs to make any piece; small enough to be sent to it."""

    mixture: MixturePart
    entries: Mapping[str, Entry]
    data: Path | None
    encoder: EncoderRules
    examples: ExampleRules = field(default_factory=ExampleRules)
    drop_remainder: bool = False
    """Rows after the last whole multiple of the number of templates are left out, as in the released code."""
    dropped: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Training rows that overlap with a held-out task, by task: places in the source split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One piece to make."""

    task: str
    seed: int
    number: int
    path: Path
    rows: Sequence[SourceRow] | None = None
    """The task's usable rows, or those of them that this piece draws; loaded by whoever makes the piece where None."""


class SomeRows(Sequence[SourceRow]):
    """Some of a task's rows under the numbers that they have among all: what one piece draws, sent to a process."""

    def __init__(self, count: int, held: Mapping[int, SourceRow]) -> None:
        self._count = count
        self._held = held

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> SourceRow:  # type: ignore[override]
        return self._held[number]


def usable_rows(work: MixWork, task: str) -> list[SourceRow]:
    """A task's training rows, without those that the leak check dropped."""
    rows = load_rows(work.entries[task], "train", data=work.data, limit=work.mixture.rows_per_task)
    if work.drop_remainder:
        rows = rows[: len(rows) - len(rows) % len(work.entries[task].spec.templates)]
    gone = work.dropped.get(task, frozenset())
    return [row for row in rows if row.index not in gone] if gone else rows


class Kitchen:
    """Where one process makes pieces."""

    def __init__(self, work: MixWork) -> None:
        self._work = work
        self.encoder = TextEncoder(work.encoder)
        self._makers: OrderedDict[str, ExampleMaker] = OrderedDict()

    def make(self, job: Job) -> PieceFacts:
        """Make a piece and write it to its place."""
        return write_piece(
            job.path,
            self.maker(job.task) if job.rows is None else self.maker_of(job.task, job.rows),
            self.encoder,
            seed=job.seed,
            number=job.number,
        )

    def maker(self, task: str) -> ExampleMaker:
        """The maker of a task's examples; its rows are loaded."""
        if task not in self._makers:
            self._makers[task] = self.maker_of(task, usable_rows(self._work, task))
            if len(self._makers) > _KEPT:
                self._makers.popitem(last=False)
        self._makers.move_to_end(task)
        return self._makers[task]

    def maker_of(self, task: str, rows: Sequence[SourceRow], *, count: Count | None = None) -> ExampleMaker:
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


def example_rules(errata: frozenset[str], part: MixturePart) -> ExampleRules:
    """How examples are made under the errata that are on."""
    return ExampleRules(
        cyclic="cyclic_templates" in errata,
        self_exemplars="self_exemplars" in errata,
        skip_faulty=part.faulty_rows == "skip",
        templates=part.templates_per_task,
    )


class Engine(Protocol):
    """What makes pieces: one process, several, or a cluster."""

    here: bool
    """Whether it works in this process, with the rows that lie in memory."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        """Make pieces; results may come in any order.

        Raises:
            UserError: a row can't be rendered, or a process was killed.
        """
        ...


@contextmanager
def open_engine(kind: str, work: MixWork, *, workers: int) -> Iterator[Engine]:
    """The engine of a name, with its processes as long as they are needed.

    Raises:
        UserError: there is no engine of that name, or it is not installed.
    """
    if kind == "ray":
        from openflan.mixture.scale import RayEngine

        with RayEngine(work, workers=workers) as engine:
            yield engine
    elif kind != "local":
        raise UserError(f"no engine '{kind}'", where="--engine", how="local or ray")
    elif workers <= 1:
        yield _Here(Kitchen(work))
    else:
        with _Processes(work, workers) as processes:
            yield processes


class _Here:
    """This process."""

    here = True

    def __init__(self, kitchen: Kitchen) -> None:
        self._kitchen = kitchen

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        for job in jobs:
            yield job, self._kitchen.make(job)


class _Processes:
    """Several processes."""

    here = False

    def __init__(self, work: MixWork, workers: int) -> None:
        settings = {name: os.environ[name] for name in ("HF_HUB_OFFLINE", "HF_HOME") if name in os.environ}
        self._workers = workers
        self._pool = ProcessPoolExecutor(
            max_workers=workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(work, settings),
        )

    def __enter__(self) -> "_Processes":
        for _ in range(self._workers):
            self._pool.submit(int)  # starts a process, which loads its libraries while rows are read here
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        try:
            yield from zip(jobs, self._pool.map(_work, jobs), strict=True)
        except BrokenProcessPool:
            how = "call it again: it goes on from the last whole piece"
            raise UserError("a worker process was killed", where="mixture", how=how) from None


_kitchen: Kitchen | None = None


def _begin(work: MixWork, settings: Mapping[str, str]) -> None:
    """Set up a worker process: one thread, for there are as many processes as are wanted."""
    global _kitchen  # noqa: PLW0603 (a process pool hands its state to jobs in no other way)
    os.environ.update(settings)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    gc.disable()  # rows and prompts have no cycles
    import pyarrow  # noqa: F401 (needed by the first piece, loaded while there is none)

    _kitchen = Kitchen(work)


def _work(job: Job) -> PieceFacts:
    assert _kitchen is not None
    return _kitchen.make(job)
