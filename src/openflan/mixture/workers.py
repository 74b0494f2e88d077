"""Workers: rows read and pieces of a token store made in this process, in several, or on a cluster.

An engine runs the same pure functions over the same lists of tasks and jobs; which one, and how many processes, changes
nothing in what is written.

Invariant: 1, 2 or N processes write the same bytes. Cost: the tokenizer's plus rendering; what several processes cost
beside it stands in mixture/processes.py.
"""

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

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

__all__ = [
    "Job",
    "MixWork",
    "PieceEngine",
    "PieceMaker",
    "SomeRows",
    "UsableRows",
    "default_workers",
    "open_engine",
    "usable_rows",
]

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
    work: float = 1.0
    """Tokens that it will have, about."""

    def sent(self) -> "Job":
        """The same with the rows that the piece draws alone, for a process that has none."""
        if self.rows is None:
            return self
        rows = self.rows
        drawn = np.unique(draws_of_piece(self.task, len(rows), seed=self.seed, number=self.number).row).tolist()
        return replace(self, rows=SomeRows(len(rows), {row: rows[row] for row in drawn}))


class SomeRows(Sequence[SourceRow]):
    """Some of a task's rows, or all, under the numbers that they have among all: as they are sent to a process."""

    def __init__(self, count: int, rows: Mapping[int, SourceRow]) -> None:
        self._count = count
        self._rows = rows

    def __reduce__(self) -> tuple[Any, ...]:
        rows = self._rows.values()
        plain = ([row.index for row in rows], [row.fields for row in rows], [row.source for row in rows])
        return _some_rows, (self._count, list(self._rows), *plain)  # plain data travels three times as fast

    @classmethod
    def all_of(cls, rows: Sequence[SourceRow]) -> "SomeRows":
        """All rows of a task."""
        return cls(len(rows), dict(enumerate(rows)))

    @property
    def present(self) -> list[SourceRow]:
        """Those that there are, by their numbers."""
        return list(self._rows.values())

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> SourceRow:  # type: ignore[override]
        return self._rows[number]


def _some_rows(
    count: int, numbers: list[int], places: list[int], fields: list[dict[str, Any]], sources: list[str]
) -> SomeRows:
    rows = (SourceRow(index=at, fields=of, source=by) for at, of, by in zip(places, fields, sources, strict=True))
    return SomeRows(count, dict(zip(numbers, rows, strict=True)))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class UsableRows:
    """A task's training rows that can be drawn; all but `faulty` have one length."""

    rows: Sequence[SourceRow]
    places: NDArray[np.int64]
    """In the source split."""
    hashes: NDArray[np.uint64]
    """Of what each says."""
    faulty: frozenset[int]
    """Under `mixture.faulty_rows: skip`, places of rows that break the task's contract and are left out."""
    compared: EngineComparison | None = None
    """The first prompts of them all tokenised by both token engines; None until they are."""

    def only(self, rows: Sequence[SourceRow]) -> "UsableRows":
        """Some of them, in the same order."""
        if len(rows) == len(self.rows):
            return self
        left = np.isin(self.places, [row.index for row in rows])
        return replace(self, rows=rows, places=self.places[left], hashes=self.hashes[left])


def _plain_bytes(fields: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # integers of over 64 bits
        return json.dumps(fields, ensure_ascii=False, default=str).encode(errors="surrogatepass")


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
        self.work = work
        self.encoder = encoder or TextEncoder(work.encoder)
        self._example_makers: OrderedDict[str, ExampleMaker] = OrderedDict()
        self.rows: dict[str, list[SourceRow]] = {}
        """Usable rows of tasks that need not be read again."""

    def read(self, task: str) -> UsableRows:
        """A task's usable rows and what is to be known of them.

        Raises:
            UserError: as `load_rows`.
        """
        usable, texts = self.read_alone(task)
        return replace(usable, compared=self.encoder.compare_engines(texts))

    def read_alone(self, task: str) -> tuple[UsableRows, list[str]]:
        """The same without the comparison of token engines, and the texts that both are to encode for it."""
        faulty: set[int] = set()
        rows = usable_rows(self.work, task, faulty)
        digests = b"".join(hashlib.blake2b(_plain_bytes(row.fields), digest_size=8).digest() for row in rows)
        lenient = replace(self.work.examples, skip_faulty=True)  # the leak check may drop a row that is at fault
        usable = UsableRows(
            rows=rows,
            places=np.array([row.index for row in rows], dtype=np.int64),
            hashes=np.frombuffer(digests, dtype="<u8"),
            faulty=frozenset(faulty),
        )
        return usable, first_texts(self.example_maker(task, rows, rules=lenient), self.encoder.separator)

    def make(self, job: Job) -> PieceFacts:
        """Make a piece and write it to its place."""
        self.encoder.use(fast=job.fast)
        return write_piece(
            job.path,
            self._makes(job),
            self.encoder,
            seed=job.seed,
            number=job.number,
        )

    def _makes(self, job: Job) -> ExampleMaker:
        return self.examples_of(job.task) if job.rows is None else self.example_maker(job.task, job.rows)

    def examples_of(self, task: str) -> ExampleMaker:
        """The maker of a task's examples; its rows are loaded."""
        if task not in self._example_makers:
            rows = self.rows[task] if task in self.rows else usable_rows(self.work, task)
            self._example_makers[task] = self.example_maker(task, rows)
            if len(self._example_makers) > _KEPT:
                self._example_makers.popitem(last=False)
        self._example_makers.move_to_end(task)
        return self._example_makers[task]

    def example_maker(
        self,
        task: str,
        rows: Sequence[SourceRow],
        *,
        rules: ExampleRules | None = None,
        count: Count | None = None,
    ) -> ExampleMaker:
        """The maker of a task's examples from given rows.

        Args:
            rules: where not the mixture's.
            count: tokens of texts, where not the encoder counts them.
        """
        return ExampleMaker(
            self.work.entries[task],
            rows,
            self.encoder.part,
            rules or self.work.examples,
            count=count or self.encoder.lengths,
            start=self.encoder.frame.around,
        )


def default_workers(recipe: Recipe) -> int:
    """Processes that pay for a recipe's token store: one a core of a large one, else this one."""
    part = recipe.training
    large = part.steps * part.tokens_per_batch * len(recipe.seeds) > _LARGE_STORE
    return (os.cpu_count() or 1) if large else 1


class PieceEngine(Protocol):
    """What reads rows and makes pieces: one process, several, or a cluster."""

    def read(self, tasks: Sequence[str]) -> dict[str, UsableRows]:
        """The tasks' usable rows.

        Raises:
            UserError: rows of a task are at fault, or a process was killed.
        """
        ...

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        """Make pieces, other processes from now on; results may come in any order.

        Raises:
            UserError: a row can't be rendered, or a process was killed.
        """
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
        from openflan.mixture.processes import Processes

        with Processes(PieceMaker(work, encoder), workers - 1) as processes:
            yield processes


class _ThisProcess:
    """This process."""

    def __init__(self, maker: PieceMaker) -> None:
        self._maker = maker

    def read(self, tasks: Sequence[str]) -> dict[str, UsableRows]:
        return {task: self._maker.read(task) for task in tasks}

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        for job in jobs:
            yield job, self._maker.make(job)
