"""The leak certificate as it lies in a mixture: what the check found, and what it cost (`leakage.json`).

It is sealed: it names the mixture it belongs to and the hash of its own content, so that one that was changed by hand,
or carried over from another mixture, is refused.

Invariant: write, then read back: equal. Training refuses a mixture without one.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, ValidationError, field_serializer

from openflan.errors import UserError
from openflan.records import FileRecord, Record
from openflan.stage import fingerprint_of, write_atomically
from openflan.tasks.sources import SourceRow

__all__ = [
    "ItemCounts",
    "LeakCertificate",
    "LeakEdge",
    "LeakMode",
    "LeakPair",
    "read_certificate",
    "write_certificate",
]

_HOW = "mix again: a mixture without its leak certificate is not trained on"

LeakMode = Literal["rows", "strict", "warn"]


class ItemCounts(Record):
    """A held-out task's items."""

    total: int
    exact: int
    """Those with a text that a training row has from end to end."""
    ngram: int
    """Those that share an n-gram with a training row, or a shorter text as a whole."""
    dirty: int
    """Those that are still in the tuning set."""


class LeakEdge(Record):
    """What a pair of tasks has in common."""

    task: str
    held_out: str
    items: int
    """Held-out items hit."""
    rows: int
    """Training rows that hit them."""


class LeakPair(Record):
    """One hit: a training row and a held-out item."""

    task: str
    row: int
    held_out: str
    item: int
    exact: bool
    shared: str
    """The words that they share."""


class LeakCertificate(FileRecord):
    """What the check found and what it cost."""

    VERSION: ClassVar[int] = 1

    n: int
    """Words of an n-gram."""
    mode: LeakMode
    items: dict[str, ItemCounts]
    """By held-out task."""
    edges: tuple[LeakEdge, ...]
    lineage: tuple[str, ...] = ()
    """Tasks that the hold-out had dropped before, for their lineage."""
    dirty: dict[str, tuple[int, ...]]
    """By held-out task: places in the source split of the items that are in the tuning set."""
    rows_dropped: dict[str, frozenset[int]] = Field(default_factory=dict)
    """By training task: places in the source split."""
    tasks_dropped: frozenset[str] = frozenset()
    pairs: tuple[LeakPair, ...]
    """A few of the hits."""

    @field_serializer("rows_dropped")
    def _sorted_rows(self, rows: Mapping[str, frozenset[int]]) -> dict[str, list[int]]:
        return {task: sorted(places) for task, places in rows.items()}

    @field_serializer("tasks_dropped")
    def _sorted_tasks(self, tasks: frozenset[str]) -> list[str]:
        return sorted(tasks)

    @property
    def clean(self) -> bool:
        """Whether no held-out item is in the tuning set."""
        return not any(self.dirty.values())

    @property
    def total(self) -> int:
        """Held-out items."""
        return sum(counts.total for counts in self.items.values())

    @property
    def verdict(self) -> str:
        """The finding in words."""
        hit = sum(counts.ngram for counts in self.items.values())
        dropped = sum(map(len, self.rows_dropped.values()))
        if not self.total:
            return "No held-out item was there to be checked."
        if not hit:
            return f"Clean: none of {self.total:,} held-out items shares a text with the tuning set."
        cost = f"{dropped:,} training rows were dropped for it"
        if self.tasks_dropped:
            cost = f"{', '.join(sorted(self.tasks_dropped))} was dropped for it"
        if self.clean:
            return f"Clean: {hit:,} of {self.total:,} held-out items shared a text with training rows; {cost}."
        return f"Leaking: {hit:,} of {self.total:,} held-out items share a text with the tuning set."

    def rows_left(self, rows: Mapping[str, Sequence[SourceRow]]) -> dict[str, list[SourceRow]]:
        """The training rows that are tuned on, by task; a task of which none is left is not among them."""
        kept = {
            name: [row for row in of_task if row.index not in self.rows_dropped.get(name, frozenset())]
            for name, of_task in rows.items()
            if name not in self.tasks_dropped
        }
        return {name: of_task for name, of_task in kept.items() if of_task}


def write_certificate(mixture: Path, certificate: LeakCertificate, *, key: str) -> None:
    """Write the certificate of the mixture with a key into its folder."""
    content = {
        "version": certificate.VERSION,
        "mixture": key,
        "clean": certificate.clean,
        "verdict": certificate.verdict,
        **certificate.model_dump(mode="json"),
    }
    sealed = {"hash": fingerprint_of(content), **content}
    write_atomically(mixture / "leakage.json", json.dumps(sealed, indent=1, ensure_ascii=False))


def read_certificate(mixture: Path, *, key: str | None = None) -> LeakCertificate:
    """The certificate in a mixture folder.

    Args:
        key: the mixture that it must be the certificate of.

    Raises:
        UserError: there is none, it was changed by hand, is of another version, or belongs to another mixture.
    """
    path = mixture / "leakage.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seal = content.pop("hash")
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, AttributeError):
        raise UserError("no leak certificate", where=str(path), how=_HOW) from None
    if seal != fingerprint_of(content):
        raise UserError("the leak certificate was changed after it was made", where=str(path), how=_HOW)
    if content.pop("version", None) != LeakCertificate.VERSION:
        raise UserError("the leak certificate of another version of openflan", where=str(path), how=_HOW)
    if content.pop("mixture") != key and key is not None:
        raise UserError("the leak certificate of another mixture", where=str(path), how=_HOW)
    fields = {name: value for name, value in content.items() if name in LeakCertificate.model_fields}
    try:
        return LeakCertificate.model_validate_json(json.dumps(fields))
    except ValidationError:
        raise UserError("a damaged leak certificate", where=str(path), how=_HOW) from None
