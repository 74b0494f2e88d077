"""The token store: the prompts of a mixture, rendered and tokenised once, on disk.

    mixture/   an ordinary `datasets` folder: `datasets.load_from_disk` opens it
        <task>-s0-003-1a2b….arrow   pieces of each task's draws (mixture/pieces.py), shared with sibling runs by links
        lengths.npy                 tokens of each prompt, in the order of the pieces
        order/seed-0.npz            which prompts each optimizer step holds
        ledger.json lock.json leakage.json   what was drawn; what it was made from; what leaked
        rows.npz                    hashes of the rows that could be drawn, by task

Invariant: the store is a pure function of recipe, rows and tokenizer, whatever the number of processes and however
often it was killed on the way. Cost: the tokenizer's plus a fifth; memory grows with the rows, not with the prompts.
Rejected: rendering while training, which nobody can look at and which pays the cost once a seed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import openflan
from openflan.errors import UserError
from openflan.mixture.ledger import Drawn
from openflan.mixture.order import StreamOrder
from openflan.mixture.packing import SPARE, PackedSteps, pack_steps
from openflan.mixture.pieces import (
    COLUMNS,
    PieceFacts,
    StoredPrompt,
    bounds,
    pieces_covering,
    read_facts,
)
from openflan.mixture.workers import Job, MixWork, PieceEngine, UsableRows
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.engines import TokenEngine, pick_engine
from openflan.stage import (
    FORMAT,
    ReportDone,
    fingerprint_of,
    fingerprint_of_integers,
    hash_file,
    link_or_copy,
    read_manifest,
    write_atomically,
)

__all__ = ["StoreMaker", "StoreSteps", "TokenStore"]

_CHUNK = 1 << 16
"""Positions of the stream that are looked at together."""


@dataclass(kw_only=True)
class StoreMaker:
    """Writes the token store of one mixture.

    Args:
        rows: usable training rows by task, in the order of the draws.
        draws: draws a round by task (`rates.draws_per_round`).
        siblings: folders of other stores whose pieces may be linked.
        engine: what makes the pieces.
    """

    folder: Path
    work: MixWork
    encoder: TextEncoder
    rows: Mapping[str, UsableRows]
    draws: Mapping[str, int]
    siblings: Sequence[Path]
    engine: PieceEngine
    report: ReportDone

    def __post_init__(self) -> None:
        self._fast = False
        self._keys = {
            name: fingerprint_of(
                [
                    [FORMAT, openflan.__version__, asdict(self.work.examples)],
                    self.work.entries[name].spec.fingerprint,
                    fingerprint_of_integers(usable.hashes, usable.places),
                    self.encoder.fingerprint,
                    self.work.encoder.part.counted("mixture"),
                ]
            )[:12]
            for name, usable in self.rows.items()
        }
        self._there = {path.name: path for folder in self.siblings for path in sorted(folder.glob("*.arrow"))}
        self._pieces: dict[tuple[int, str], list[tuple[Path, PieceFacts, NDArray[np.int32]]]] = {}
        self._tokens = 0

    def pick_token_engine(self) -> TokenEngine:
        """Have the tokens made by the faster engine, where it makes the same ones of the first prompts of each task."""
        picked = pick_engine([usable.compared for usable in self.rows.values() if usable.compared is not None])
        self._fast = picked.fast
        return picked

    def write(self, *, seeds: Sequence[int], steps: int, capacity: int) -> dict[str, dict[int, Drawn]]:
        """Make the pieces that every seed needs, pack them into steps and write it all.

        Returns:
            What was drawn, by task and seed.

        Raises:
            UserError: rows or templates of a task are at fault.
        """
        packed = {seed: self._pack(seed, steps, capacity, wanted=len(seeds) * steps * capacity) for seed in seeds}
        offsets = self._offsets(seeds)
        (self.folder / "order").mkdir(parents=True, exist_ok=True)
        drawn: dict[str, dict[int, Drawn]] = {name: {} for name in self.draws}
        for seed, (place, packing) in packed.items():
            prompt = offsets[seed][0] + place
            np.savez(
                self.folder / "order" / f"seed-{seed}.npz",
                prompt=prompt,
                position=packing.position,
                first=packing.first,
            )
            self._count(seed, prompt, offsets[seed], drawn)
        self._finish(seeds)
        return drawn

    def _pack(self, seed: int, steps: int, capacity: int, *, wanted: int) -> tuple[NDArray[np.int64], PackedSteps]:
        """Enough of a seed's stream to fill its steps: the places among the seed's prompts, and the steps."""
        order = StreamOrder(self.draws, seed=seed)
        names = order.tasks
        self._take(self._begin(seed, dict.fromkeys(names, 1)), wanted)
        quota = np.array([self.draws[name] for name in names], dtype=np.float64)
        mean = np.array([np.mean(self._lengths(seed, name)) for name in names])
        if not mean.any():
            raise UserError("every row is faulty", where="mixture.faulty_rows: skip", how="mend the templates or rows")
        each = float((quota * mean).sum() / quota.sum())
        positions = int(steps * capacity * SPARE / each) + 1
        while True:
            needed = order.draws_needed(positions)
            making = self._begin(seed, {n: int(k) for n, k in zip(names, needed, strict=True)})
            places = self._places(seed, order, positions)  # meanwhile, where other processes make them
            self._take(making, wanted)
            lengths = np.concatenate([self._lengths(seed, name) for name in names])
            chunks = (lengths[places[start : start + _CHUNK]].tolist() for start in range(0, positions, _CHUNK))
            packed = pack_steps(chain.from_iterable(chunks), capacity, steps=steps)
            if packed is not None:
                return places[packed.position], packed
            positions += max(int(positions * 0.02), int(2 * capacity / each) + 1)

    def _begin(self, seed: int, needed: Mapping[str, int]) -> Iterator[tuple[Job, PieceFacts]]:
        """Begin to make the pieces which hold so many draws of each task and are not there."""
        jobs: list[Job] = []
        for name, draws in needed.items():
            pieces = self._pieces.setdefault((seed, name), [])
            for number in range(len(pieces), pieces_covering(draws)):
                path = self.folder / f"{name}-s{seed}-{number:04}-{self._keys[name]}.arrow"
                if not path.exists() and path.name in self._there:
                    link_or_copy(str(self._there[path.name]), str(path))
                if not (path.exists() and self._keep(seed, name, path)):
                    jobs.append(self._job(name, seed, number, path))
                    pieces.append((path, PieceFacts(tokens=0, cut=0, skipped=0), np.zeros(0, dtype=np.int32)))
        jobs = [replace(job, work=self._expected(job)) for job in jobs]
        jobs.sort(key=lambda job: job.work, reverse=True)  # the longest first, so that all processes end together
        return self.engine.run(jobs)

    def _take(self, making: Iterator[tuple[Job, PieceFacts]], wanted: int) -> None:
        """Take the pieces as they are made."""
        for job, _ in making:
            facts, lengths = read_facts(job.path)
            self._pieces[job.seed, job.task][job.number] = (job.path, facts, lengths)
            self._tokens += facts.tokens
            self.report(min(self._tokens, wanted), wanted)

    def _expected(self, job: Job) -> float:
        """Tokens that a piece will have, by the pieces of its task that are there."""
        first, last = bounds(job.number)
        tokens = [facts.tokens for _, facts, _ in self._pieces[job.seed, job.task] if facts.tokens]
        prompts = sum(len(lengths) for _, facts, lengths in self._pieces[job.seed, job.task] if facts.tokens)
        return (last - first) * (sum(tokens) / prompts if prompts else 1.0)

    def _job(self, name: str, seed: int, number: int, path: Path) -> Job:
        """A piece to make, with the task's rows, so that no process has to read them again."""
        return Job(task=name, seed=seed, number=number, path=path, rows=self.rows[name].rows, fast=self._fast)

    def _keep(self, seed: int, name: str, path: Path) -> bool:
        """Take a piece that an earlier call left; one that is damaged is made again."""
        try:
            facts, lengths = read_facts(path)
        except UserError:
            path.unlink()
            return False
        self._pieces[seed, name].append((path, facts, lengths))
        self._tokens += facts.tokens
        return True

    def _lengths(self, seed: int, name: str) -> NDArray[np.int32]:
        return np.concatenate([lengths for _, _, lengths in self._pieces[seed, name]])

    def _places(self, seed: int, order: StreamOrder, positions: int) -> NDArray[np.int64]:
        """Which of a seed's prompts, its tasks end to end, stands at each of the stream's first positions."""
        first = np.cumsum([0, *(bounds(len(self._pieces[seed, name]) - 1)[1] for name in order.tasks)])
        places = np.empty(positions, dtype=np.int64)
        for start in range(0, positions, _CHUNK):
            draws = order.at(np.arange(start, min(start + _CHUNK, positions), dtype=np.int64))
            places[start : start + _CHUNK] = first[draws.task] + draws.draw
        return places

    def _offsets(self, seeds: Sequence[int]) -> dict[int, NDArray[np.int64]]:
        """Number of each task's first prompt in the whole store, by seed."""
        offsets: dict[int, NDArray[np.int64]] = {}
        total = 0
        for seed in seeds:
            here = []
            for name in self.draws:
                here.append(total)
                total += sum(len(lengths) for _, _, lengths in self._pieces[seed, name])
            offsets[seed] = np.array(here, dtype=np.int64)
        return offsets

    def _count(
        self, seed: int, prompt: NDArray[np.int64], offsets: NDArray[np.int64], drawn: dict[str, dict[int, Drawn]]
    ) -> None:
        """Add what a seed draws of each task."""
        for name, start in zip(self.draws, offsets.tolist(), strict=True):
            lengths = self._lengths(seed, name)
            mine = prompt[(prompt >= start) & (prompt < start + len(lengths))] - start
            facts = [facts for _, facts, _ in self._pieces[seed, name]]
            drawn[name][seed] = Drawn(
                examples=len(mine),
                tokens=int(lengths[mine].sum()),
                made=len(lengths),
                cut=sum(one.cut for one in facts),
                skipped=sum(one.skipped for one in facts),
            )

    def _finish(self, seeds: Sequence[int]) -> None:
        """Write what `datasets` wants to know, and the lengths; remove pieces that nothing asks for."""
        pieces = [piece for seed in seeds for name in self.draws for piece in self._pieces[seed, name]]
        names = [path.name for path, _, _ in pieces]
        for path in [*self.folder.glob("*.arrow"), *self.folder.glob(".*.arrow.*")]:
            if path.name not in set(names):
                path.unlink()
        np.save(self.folder / "lengths.npy", np.concatenate([lengths for _, _, lengths in pieces]))
        state: dict[str, Any] = {
            "_data_files": [{"filename": name} for name in names],
            "_fingerprint": fingerprint_of(names),
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        }
        info = {"features": {name: _feature(kind) for name, kind in COLUMNS.items()}}
        write_atomically(self.folder / "state.json", json.dumps(state, indent=1))
        write_atomically(self.folder / "dataset_info.json", json.dumps(info, indent=1))


def _feature(kind: Any) -> dict[str, Any]:
    """A column as `datasets` describes it."""
    if isinstance(kind, tuple):
        return {"feature": _feature(kind[1]), "_type": "List"}
    return {"dtype": kind, "_type": "Value"}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StoreSteps(Sequence[NDArray[np.int64]]):
    """The steps of a seed, each the numbers of its prompts."""

    prompt: NDArray[np.int64]
    first: NDArray[np.int64]
    """Where each step starts in `prompt`; one more entry than steps."""

    def __len__(self) -> int:
        return len(self.first) - 1

    def __getitem__(self, step: Any) -> Any:
        if isinstance(step, slice):
            return [self[number] for number in range(*step.indices(len(self)))]
        if not -len(self) <= step < len(self):
            raise IndexError(step)
        at = step % len(self)
        return self.prompt[self.first[at] : self.first[at + 1]]


@dataclass(frozen=True, kw_only=True)
class TokenStore:
    """A written store, memory-mapped."""

    folder: Path
    pieces: list[Any]
    """Arrow tables, one a piece."""
    starts: NDArray[np.int64]
    """Number of each piece's first prompt; one more entry than pieces."""
    lengths: NDArray[np.int32]
    """Tokens of each prompt, input and target."""

    @classmethod
    def open(cls, folder: Path, *, check: bool = False) -> "TokenStore":
        """Open the store that `StoreMaker` left in a folder.

        Args:
            check: hold every file to its hash in the manifest.

        Raises:
            UserError: there is no store, it has no leak certificate of its own, or a file is damaged.
        """
        import pyarrow as pa

        if not (folder / "state.json").is_file():
            raise UserError("no token store", where=str(folder), how="make it with `openflan mix`")
        if check:
            check_files(folder)
        names = json.loads((folder / "state.json").read_text(encoding="utf-8"))["_data_files"]
        pieces = []
        for name in names:
            path = folder / name["filename"]
            try:
                pieces.append(pa.ipc.open_stream(pa.memory_map(str(path))).read_all().combine_chunks())
            except (pa.ArrowInvalid, OSError):
                raise UserError("a damaged piece of a token store", where=str(path), how="mix again") from None
        starts = np.cumsum([0, *(table.num_rows for table in pieces)]).astype(np.int64)
        return cls(folder=folder, pieces=pieces, starts=starts, lengths=np.load(folder / "lengths.npy"))

    def steps(self, seed: int) -> "StoreSteps":
        """Prompt numbers that each optimizer step of a seed holds."""
        with np.load(self.folder / "order" / f"seed-{seed}.npz") as order:
            return StoreSteps(prompt=order["prompt"], first=order["first"])

    def tokens(self, number: int) -> NDArray[np.int32]:
        """Token ids of a prompt, input and target."""
        ids: NDArray[np.int32] = self._cell(number, "input_ids").values.to_numpy()
        return ids

    def target_start(self, number: int) -> int:
        """How many tokens of a prompt are input."""
        return int(self._cell(number, "target_start").as_py())

    def task(self, number: int) -> str:
        """Task of a prompt."""
        return str(self._cell(number, "task").as_py())

    def prompt(self, number: int) -> StoredPrompt:
        """Everything that is stored of a prompt."""
        return StoredPrompt.of({name: self._cell(number, name).as_py() for name in COLUMNS})

    def _cell(self, number: int, column: str) -> Any:
        piece = int(np.searchsorted(self.starts, number, side="right")) - 1
        return self.pieces[piece].column(column)[int(number - self.starts[piece])]


def check_files(folder: Path) -> None:
    """Hold every file of a store to its hash.

    Raises:
        UserError: a file is missing or was changed; it is named.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise UserError("no whole token store", where=str(folder), how="make it with `openflan mix`")
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file() or hash_file(path) != expected:
            what = "is missing" if not path.is_file() else "is damaged: its hash is not the manifest's"
            raise UserError(what, where=str(path), how=f"delete {folder} and mix again")
