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
    "Compared",
    "Hits",
    "ItemCounts",
    "LeakCertificate",
    "LeakEdge",
    "LeakKind",
    "LeakMode",
    "LeakPair",
    "OverlapRule",
    "Status",
    "read_certificate",
    "write_certificate",
]

_NAMED = 3
"""Tasks that a sentence names."""
_HOW = "mix again: a mixture without its leak certificate is not trained on"

LeakMode = Literal["rows", "strict", "warn"]
LeakKind = Literal["exact", "ngram", "near"]
OverlapRule = Literal["ngram", "near_duplicates"]
Status = Literal["clean", "leaking", "nothing compared"]


class Compared(Record):
    """How items were compared."""

    ngram: int
    """By n-grams: those with a text worth 13 words."""
    exactly: int
    """As a whole, for all their texts are shorter."""


class Hits(Record):
    """What training rows have of them."""

    exact: int
    """A text from end to end."""
    ngram: int
    """An n-gram, or a shorter text as a whole; the exact ones are among them."""
    near: int
    """Nothing of these, but nearly the same text."""


class ItemCounts(Record):
    """The measured items of a task."""

    total: int
    compared: Compared
    not_comparable: dict[str, int]
    """Items that nothing could be held against, by the reason."""
    hits: Hits
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
    kind: LeakKind
    shared: str
    """What they share."""


class LeakCertificate(FileRecord):
    """What the check found and what it cost."""

    VERSION: ClassVar[int] = 2

    words: int
    """What an n-gram is worth: of scripts without blanks, as many characters as say the same."""
    mode: LeakMode
    overlap: OverlapRule
    similarity: float | None
    """From which share of common word pairs on texts are nearly the same; None where only n-grams count."""
    items: dict[str, ItemCounts]
    """By held-out task."""
    edges: tuple[LeakEdge, ...]
    lineage: tuple[str, ...] = ()
    """Tasks that the hold-out had dropped before, for their lineage."""
    dirty: dict[str, tuple[int, ...]]
    """By held-out task: places in the source split of the items that are in the tuning set."""
    seen: dict[str, ItemCounts]
    """By tuned task that is measured too: its test rows held against its own training rows."""
    stale: dict[str, tuple[int, ...]]
    """By tuned task: places in the source split of the test rows that its own training rows have."""
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
    def status(self) -> Status:
        """Whether any held-out item that could be compared is in the tuning set."""
        if any(self.dirty.values()):
            return "leaking"
        return "clean" if self.compared else "nothing compared"

    @property
    def clean(self) -> bool:
        """Whether items were compared, and none of those is in the tuning set."""
        return self.status == "clean"

    @property
    def total(self) -> int:
        """Held-out items."""
        return sum(counts.total for counts in self.items.values())

    @property
    def compared(self) -> int:
        """Held-out items that could be compared."""
        return sum(_compared(counts) for counts in self.items.values())

    @property
    def rest(self) -> str:
        """Which held-out items could not be compared, in words; empty if there is none."""
        return _rest(self.items)

    @property
    def fresh(self) -> bool:
        """Whether the tuned tasks' test rows were all compared, and none stands in its own training rows."""
        compared = sum(_compared(counts) for counts in self.seen.values())
        return compared > 0 and compared == sum(counts.total for counts in self.seen.values()) and not self.stale_rows

    @property
    def stale_rows(self) -> int:
        """Test rows of tuned tasks that their own training rows have."""
        return sum(map(len, self.stale.values()))

    @property
    def measured_in_tuning(self) -> dict[str, tuple[int, ...]]:
        """By measured task, held out or tuned: places of the items that are in the tuning set."""
        return {**self.dirty, **self.stale}

    @property
    def verdict(self) -> str:
        """The finding in words; what could not be compared is told with its share."""
        if not self.total:
            return "No held-out item was there to be checked."
        if not self.compared:
            return f"Nothing was compared: {self.rest}."
        hit = sum(counts.hits.ngram + counts.hits.near for counts in self.items.values())
        all_of = f"{self.compared:,} held-out items" if self.compared == self.total else (
            f"the {self.compared:,} held-out items that could be compared"
        )  # fmt: skip
        dropped = sum(map(len, self.rows_dropped.values()))
        cost = f"{dropped:,} training rows were dropped for it"
        if self.tasks_dropped:
            cost = f"{', '.join(sorted(self.tasks_dropped))} was dropped for it"
        if not hit:
            sentence = f"Clean: none of {all_of} shares a text with the tuning set."
        elif self.clean:
            sentence = f"Clean: {hit:,} of {all_of} shared a text with training rows; {cost}."
        else:
            sentence = f"Leaking: {hit:,} of {all_of} share a text with the tuning set."
        return f"{sentence} Not compared: {self.rest}." if self.rest else sentence

    @property
    def freshness(self) -> str:
        """The finding on the tuned tasks' own test rows in words; empty where none is measured."""
        total = sum(counts.total for counts in self.seen.values())
        if not total:
            return ""
        rest = _rest(self.seen)
        if self.stale_rows:
            worst = sorted(((len(places), task) for task, places in self.stale.items() if places), reverse=True)
            named = ", ".join(f"{task} {count:,} of {self.seen[task].total:,}" for count, task in worst[:_NAMED])
            more = f" and {len(worst) - _NAMED} others" if len(worst) > _NAMED else ""
            sentence = (
                f"Not fresh: {self.stale_rows:,} of {total:,} test rows of tuned tasks share a text with their own"
                f" task's training rows ({named}{more})."
            )
        elif self.fresh:
            return f"Fresh: none of {total:,} test rows of tuned tasks shares a text with its own task's training rows."
        else:
            sentence = "Of the test rows of tuned tasks that could be compared, none shares a text with training rows."
        return f"{sentence} Not compared: {rest}." if rest else sentence

    def rows_left(self, rows: Mapping[str, Sequence[SourceRow]]) -> dict[str, Sequence[SourceRow]]:
        """The training rows that are tuned on, by task; a task of which none is left is not among them."""
        by_task = {
            name: [row for row in of_task if row.index not in dropped] if dropped else of_task
            for name, of_task in rows.items()
            for dropped in [self.rows_dropped.get(name)]
            if name not in self.tasks_dropped
        }
        return {name: of_task for name, of_task in by_task.items() if of_task}

    def __repr__(self) -> str:
        return f"LeakCertificate({self.verdict})"


def _compared(counts: ItemCounts) -> int:
    return counts.compared.ngram + counts.compared.exactly


def _rest(items: Mapping[str, ItemCounts]) -> str:
    """Items that could not be compared, with their share, reasons and tasks."""
    total = sum(counts.total for counts in items.values())
    reasons: dict[str, int] = {}
    for counts in items.values():
        for reason, count in counts.not_comparable.items():
            reasons[reason] = reasons.get(reason, 0) + count
    rest = sum(reasons.values())
    if not rest:
        return ""
    tasks = [task for task, counts in items.items() if counts.not_comparable]
    named = ", ".join(tasks[:_NAMED]) + (f" and {len(tasks) - _NAMED} others" if len(tasks) > _NAMED else "")
    why = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(reasons.items()))
    return f"{rest:,} of {total:,} items ({rest / total:.1%}; {why}) of {named}"


def write_certificate(mixture: Path, certificate: LeakCertificate, *, key: str) -> None:
    """Write the certificate of the mixture with a key into its folder."""
    content = {
        "version": certificate.VERSION,
        "mixture": key,
        "clean": certificate.clean,
        "verdict": certificate.verdict,
        "fresh": certificate.fresh,
        "freshness": certificate.freshness,
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
