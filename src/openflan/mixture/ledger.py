"""The ledger and the lock of a mixture: what was drawn, and what it was made from.

    ledger.json   by task: rows, rows dropped, rate; by seed: examples, tokens, epochs, prompts made, cut and skipped
    lock.json     the recipe's settings, sources, hashes of specs, templates, rows and tokenizer
    rows.npz      hashes of the rows that could be drawn, by task

Invariant: pure functions of recipe, rows and tokenizer; two mixtures of one lock are the same. Rejected: one file for
both: the ledger is for people, and changes where only the seed does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from openflan.errors import UserError
from openflan.prompts.engines import TokenEngine
from openflan.prompts.text_format import TextFormat
from openflan.records import FileRecord, Record, read_record, write_record

__all__ = [
    "Drawn",
    "Ledger",
    "LedgerTask",
    "LockedTask",
    "MixtureLock",
    "read_ledger",
    "read_lock",
    "read_row_hashes",
    "write_ledger",
    "write_lock",
    "write_row_hashes",
]

_HOW = "give a run folder or its mixture/ folder, or mix again"


class Drawn(Record):
    """What one seed draws of one task."""

    examples: int
    tokens: int
    """Input and target."""
    made: int
    """Prompts in the token store; pieces are made whole, so there are more than are drawn."""
    cut: int
    """Of those made, prompts that were too long."""
    skipped: int
    """Of those made, draws whose row could not be rendered."""


class LedgerTask(Record):
    """A tuned task; what differs from seed to seed is told by seed."""

    cluster: str
    spec: str
    """Hash of the task file's content."""
    licence: str | None
    commercial_use: bool | None
    """Whether the licence is known to allow it."""
    rows: int
    """Rows that could be drawn."""
    dropped: int
    """Rows that the leak check dropped."""
    broken: int = 0
    """Rows left out before because they break the task's contract (`mixture.faulty_rows: skip`)."""
    rate: float
    """Share of the examples."""
    drawn: dict[int, int]
    """Examples."""
    tokens: dict[int, int]
    epochs: dict[int, float]
    """How often a row is seen, in the mean."""
    cut: dict[int, int]
    skipped: dict[int, int]
    made: dict[int, int]


class Ledger(FileRecord):
    """What a mixture holds."""

    VERSION: ClassVar[int] = 1

    encoder: str
    """Hash of the text format."""
    held_out_clusters: tuple[str, ...]
    condemned: dict[str, str]
    """Tasks that left tuning for their lineage, with the corpus that they share."""
    steps: int
    tokens_per_batch: int
    left_out: tuple[str, ...]
    """Tasks of which the leak check left no row."""
    missing: tuple[str, ...] = ()
    """Tasks left out because their rows must be fetched by hand."""
    tokens_by: TokenEngine | None = None
    """What made the tokens; they are the same whatever it was."""
    origins: dict[str, str] = {}
    """By task, tuned or measured: where its rows were read (openflan.tasks.sources.origin)."""
    tasks: dict[str, LedgerTask]

    @property
    def tokens(self) -> int:
        """Tokens of all seeds."""
        return sum(sum(task.tokens.values()) for task in self.tasks.values())

    def __repr__(self) -> str:
        return f"Ledger({len(self.tasks)} tasks, {self.tokens:,} tokens)"


class LockedTask(Record):
    """What a task's part of a mixture was made from."""

    source: dict[str, Any]
    spec: str
    templates: tuple[str, ...]
    """Hash of each."""
    rate: float
    rows: int
    rows_hash: str


class MixtureLock(FileRecord):
    """Everything a mixture depends on, so that two of them can be compared and one made again."""

    VERSION: ClassVar[int] = 2

    key: str
    recipe: dict[str, Any]
    """Its settings of tasks, prompts, mixture and seeds."""
    text: TextFormat
    """As it was when the mixture was made; a chat template may say another date by now."""
    tokenizer: str
    """Hash of the tokenizer's files."""
    tasks: dict[str, LockedTask]

    def __repr__(self) -> str:
        return f"MixtureLock({self.key}, {len(self.tasks)} tasks)"


def read_ledger(mixture: Path) -> Ledger:
    """The ledger in a mixture folder.

    Raises:
        UserError: there is none, or it is damaged or of another version.
    """
    return read_record(mixture / "ledger.json", Ledger, what="mixture", how=_HOW)


def write_ledger(mixture: Path, ledger: Ledger) -> None:
    """Write the ledger into a mixture folder."""
    write_record(mixture / "ledger.json", ledger)


def read_lock(mixture: Path) -> MixtureLock:
    """The lock in a mixture folder.

    Raises:
        UserError: there is none, or it is damaged or of another version.
    """
    return read_record(mixture / "lock.json", MixtureLock, what="mixture", how=_HOW)


def write_lock(mixture: Path, lock: MixtureLock) -> None:
    """Write the lock into a mixture folder."""
    write_record(mixture / "lock.json", lock)


def read_row_hashes(mixture: Path) -> dict[str, NDArray[np.uint64]]:
    """By task, a 64-bit hash of what each row says that could be drawn.

    Raises:
        UserError: there are none.
    """
    try:
        with np.load(mixture / "rows.npz") as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError):
        raise UserError("no mixture", where=str(mixture / "rows.npz"), how=_HOW) from None


def write_row_hashes(mixture: Path, hashes: Mapping[str, NDArray[np.uint64]]) -> None:
    """Write them into a mixture folder."""
    np.savez(mixture / "rows.npz", allow_pickle=False, **hashes)
