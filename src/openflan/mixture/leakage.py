"""The leak check: no held-out item stands in the tuning set, or how many do and where.

Every training row is held against every row that a held-out task is measured on: field by field, so that templates,
option headers and boilerplate never count and a yes/no task is protected by its texts. A shared 13-gram is a leak, as
in the contamination analyses of GPT-3 and FLAN (Wei et al. 2022, appendix C), but measured on the *tuning* set; where a
script has no blanks, as many characters as say the same (mixture/ngrams.py).

    a text worth 13 words          by its n-grams: a run of 13 words that both have
    a shorter one                  exactly: as a whole, without case and punctuation
    a row without one of 4 words   exactly: all its texts together, with punctuation, signs and emoji
    a row without any text         not at all, and it is counted as such

    mode rows     training rows that overlap are dropped, and counted by which pair of tasks they cost
    mode strict   their whole task is dropped
    mode warn     nothing is dropped; dirty items are flagged, and results are told for clean ones too

A tuned task's own test rows are held against its own training rows in the same way; nothing is dropped for them, but
they are called fresh only where none is found.

Invariant: in mode rows or strict, a second check of what is left finds nothing. Cost: mixture/ngrams.py.
Rejected: checking rendered prompts, where two tasks' shared wording looks like a leak and a short label hides one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from openflan.mixture.certificate import (
    Compared,
    Hits,
    ItemCounts,
    LeakCertificate,
    LeakEdge,
    LeakKind,
    LeakMode,
    LeakPair,
    OverlapRule,
)
from openflan.mixture.holdout import Condemned
from openflan.mixture.ngrams import GramIndex, Overlap, Text, grams_of
from openflan.recipes.mixture_part import MixturePart
from openflan.tasks.catalog import Entry
from openflan.tasks.columns import strings_in
from openflan.tasks.sources import SourceRow, load_rows
from openflan.tasks.spec import TaskSpec
from openflan.writing import WORD, plain_text, units_of, weight_of

__all__ = ["RowTexts", "TaskRows", "check_leakage", "check_mixture", "texts_of"]

_WORDS = 13
"""What an n-gram is worth."""
_SHORT = 4
"""Words that a row's longest text must be worth to be compared by itself."""
_SIDE = 8
"""Words that its other texts must be worth: a question or an option of fewer is anybody's."""
_PAIRS = 20
"""Worst pairs that are shown."""
_SEVERITY: dict[LeakKind, int] = {"exact": 0, "ngram": 1, "near": 2}

TaskRows = Sequence[tuple[Entry, Sequence[SourceRow]]]


class RowTexts(NamedTuple):
    """The texts by which a row is known."""

    texts: list[tuple[list[str], int]]
    """Those that are compared by themselves: units, and what they are worth."""
    whole: tuple[str, ...]
    """All of them, where none is compared by itself; empty if there is none at all."""


def texts_of(spec: TaskSpec, row: SourceRow, *, side: int = _SIDE) -> RowTexts:
    """The texts by which a row is known: its columns, each text on its own, label and short ones left out.

    Args:
        side: words that all but the longest text must be worth. For training rows a few are enough, for a short text
            counts only where it is the whole of a held-out one.
    """
    label = spec.answer.field if spec.is_classification else ""
    names = [name for name in spec.columns or spec.fields if name != label and name in row.fields]
    strings = [text for name in names for text in strings_in(row.fields[name])]
    texts = [(units, weight_of(units)) for units in map(units_of, strings)]
    longest = max((weight for _, weight in texts), default=0)
    if longest < _SHORT * WORD:
        return RowTexts([], tuple(sorted(filter(None, map(plain_text, strings)))))
    least = side * WORD
    first = next(place for place, (_, weight) in enumerate(texts) if weight == longest)
    return RowTexts([text for place, text in enumerate(texts) if text[1] >= least or place == first], ())


def check_leakage(
    tuned: TaskRows,
    held_out: TaskRows,
    *,
    seen: TaskRows = (),
    mode: LeakMode,
    overlap: OverlapRule = "ngram",
    similarity: float = 0.7,
    lineage: Sequence[Condemned] = (),
) -> LeakCertificate:
    """Hold training rows against held-out rows, and against the tuned tasks' own test rows.

    Args:
        tuned: tasks to tune on, with their rows.
        held_out: tasks to measure, with their rows.
        seen: tuned tasks that are measured too, with their test rows.
        overlap: what counts: a shared n-gram, or nearly the same text as well.
        similarity: from which share of common word pairs on two texts are nearly the same.
        lineage: tasks that left before, for their lineage; only told.
    """
    near = similarity if overlap == "near_duplicates" else None
    measured = _Items(held_out, near)
    own = {entry.spec.name: _Items([(entry, rows)], near) for entry, rows in seen}
    leaks = _Leaks(measured)
    own_leaks = {name: _Leaks(items) for name, items in own.items()}
    for entry, rows in tuned:
        name = entry.spec.name
        sides = [side for side in (leaks, own_leaks.get(name)) if side is not None and side.items.rows]
        for side, hit in _hits(sides, entry, rows, near=near is not None):
            side.add(entry.spec.name, rows[hit.overlap.train].index, hit)
    dropped = leaks.rows if mode == "rows" else {}
    tasks_dropped = frozenset(leaks.rows) if mode == "strict" else frozenset()
    for name, side in own_leaks.items():
        side.forget(set(side.rows.get(name, ())) if name in tasks_dropped else dropped.get(name, set()))
    dirty = leaks.hit if mode == "warn" else set()
    return LeakCertificate(
        words=_WORDS,
        mode=mode,
        overlap=overlap,
        similarity=near,
        items=leaks.counts(dirty),
        edges=tuple(
            LeakEdge(task=task, held_out=other, items=len(items), rows=len(rows))
            for (task, other), (items, rows) in sorted(leaks.edges.items())
        ),
        lineage=tuple(condemned.entry.spec.name for condemned in lineage),
        dirty=leaks.places(dirty),
        seen={task: counts for side in own_leaks.values() for task, counts in side.counts(side.hit).items()},
        stale={task: places for side in own_leaks.values() for task, places in side.places(side.hit).items()},
        rows_dropped={task: frozenset(rows) for task, rows in dropped.items()},
        tasks_dropped=tasks_dropped,
        pairs=tuple(sorted(leaks.pairs, key=_worst)[:_PAIRS]),
    )


def check_mixture(
    part: MixturePart,
    tuned: TaskRows,
    measured: Sequence[Entry],
    seen: Sequence[Entry],
    *,
    data: Path | None,
    lineage: Sequence[Condemned],
) -> LeakCertificate:
    """Hold training rows against the rows that tasks are measured on, as a recipe says.

    Args:
        measured: held-out tasks.
        seen: tuned tasks that are measured too.

    Raises:
        UserError: rows of a task are at fault.
    """
    skips = part.faulty_rows == "skip"
    held_out, own = (
        [(entry, load_rows(entry, "test", data=data, faulty=set() if skips else None)) for entry in entries]
        for entries in (measured, seen)
    )
    return check_leakage(
        tuned,
        held_out,
        seen=own,
        mode=part.leakage,
        overlap=part.overlap,
        similarity=part.similarity,
        lineage=lineage,
    )


def _worst(pair: LeakPair) -> tuple[int, int, str, int]:
    return _SEVERITY[pair.kind], -len(pair.shared), pair.task, pair.row


class _Items:
    """Rows that are measured, as they are compared.

    Args:
        similarity: of near-duplicates; None where they don't count.
    """

    def __init__(self, rows: TaskRows, similarity: float | None) -> None:
        self.rows = [(entry.spec.name, row) for entry, of_task in rows for row in of_task]
        self.tasks = [entry.spec.name for entry, _ in rows]
        self.kinds: list[str] = []
        """How each is compared: `ngram`, `exactly` or `no text`."""
        self.wholes: dict[tuple[str, ...], list[int]] = {}
        texts: list[Text] = []
        for number, (entry, row) in enumerate((entry, row) for entry, of_task in rows for row in of_task):
            content = texts_of(entry.spec, row)
            texts += [Text(number, *text) for text in content.texts]
            if content.whole:
                self.wholes.setdefault(content.whole, []).append(number)
            long = any(weight >= _WORDS * WORD for _, weight in content.texts)
            self.kinds.append("ngram" if long else "exactly" if content.texts or content.whole else "no text")
        self.grams = GramIndex(texts, words=_WORDS)
        self.near = None
        if similarity is not None:
            from openflan.mixture.near_duplicates import NearIndex

            self.near = NearIndex(texts, similarity=similarity)


class _Hit(NamedTuple):
    overlap: Overlap
    kind: LeakKind


@dataclass(kw_only=False)
class _Leaks:
    """What of some measured rows stands in training rows."""

    items: _Items
    by_kind: dict[LeakKind, set[int]] = field(default_factory=lambda: {"exact": set(), "ngram": set(), "near": set()})
    edges: dict[tuple[str, str], tuple[set[int], set[int]]] = field(default_factory=dict)
    """By training and measured task: items, and training rows by their place in the source."""
    rows_of: dict[int, set[int]] = field(default_factory=dict)
    """By item, the training rows that hit it."""
    pairs: list[LeakPair] = field(default_factory=list)

    @property
    def hit(self) -> set[int]:
        """Items that some training row has."""
        return set().union(*self.by_kind.values())

    @property
    def rows(self) -> dict[str, set[int]]:
        """Training rows that hit an item, by task."""
        rows: dict[str, set[int]] = {}
        for (task, _), (_, of_edge) in self.edges.items():
            rows.setdefault(task, set()).update(of_edge)
        return rows

    def add(self, task: str, row: int, hit: _Hit) -> None:
        """Count that a training row hits an item."""
        number = hit.overlap.held_out
        other, item = self.items.rows[number]
        items, rows = self.edges.setdefault((task, other), (set(), set()))
        if number not in items and len(items) < _PAIRS:
            self.pairs.append(
                LeakPair(task=task, row=row, held_out=other, item=item.index, kind=hit.kind, shared=hit.overlap.shared)
            )
        items.add(number)
        rows.add(row)
        self.by_kind[hit.kind].add(number)
        self.rows_of.setdefault(number, set()).add(row)

    def known(self, train: Sequence[SourceRow], task: str) -> Callable[[int, int], bool]:
        """Whether an item and a training row, by its number, have nothing to add to each other."""

        def known(number: int, place: int) -> bool:
            items, rows = self.edges.get((task, self.items.rows[number][0]), ((), ()))
            return number in items and train[place].index in rows

        return known

    def forget(self, dropped: set[int]) -> None:
        """Leave out what training rows hit that are not tuned on."""
        gone = {number for number, rows in self.rows_of.items() if rows <= dropped}
        self.by_kind = {kind: numbers - gone for kind, numbers in self.by_kind.items()}

    def counts(self, dirty: set[int]) -> dict[str, ItemCounts]:
        """How the items of each task were compared, and what was found."""
        exact = self.by_kind["exact"]
        ngram = self.by_kind["ngram"] | exact
        counts: dict[str, ItemCounts] = {}
        for task in dict.fromkeys(self.items.tasks):
            numbers = [number for number, (name, _) in enumerate(self.items.rows) if name == task]
            kinds = [self.items.kinds[number] for number in numbers]
            if numbers:
                counts[task] = ItemCounts(
                    total=len(numbers),
                    compared=Compared(ngram=kinds.count("ngram"), exactly=kinds.count("exactly")),
                    not_comparable={"no text": kinds.count("no text")} if "no text" in kinds else {},
                    hits=Hits(
                        exact=len(exact.intersection(numbers)),
                        ngram=len(ngram.intersection(numbers)),
                        near=len((self.by_kind["near"] - ngram).intersection(numbers)),
                    ),
                    dirty=len(dirty.intersection(numbers)),
                )
        return counts

    def places(self, numbers: set[int]) -> dict[str, tuple[int, ...]]:
        """Items by task, as places in their source split."""
        places: dict[str, list[int]] = {task: [] for task in self.items.tasks}
        for number in sorted(numbers):
            task, row = self.items.rows[number]
            places[task].append(row.index)
        return {task: tuple(of_task) for task, of_task in places.items()}


def _hits(
    sides: Sequence[_Leaks], entry: Entry, rows: Sequence[SourceRow], *, near: bool
) -> Iterator[tuple[_Leaks, _Hit]]:
    """Pairs of measured rows and a task's training rows of which a text is in both."""
    if not sides:
        return
    wholes: list[tuple[int, tuple[str, ...]]] = []

    def texts() -> Iterator[Text]:
        for place, row in enumerate(rows):
            content = texts_of(entry.spec, row, side=_SHORT)
            for text in content.texts:
                yield Text(place, *text)
            if content.whole:
                wholes.append((place, content.whole))

    for grams in grams_of(texts(), words=_WORDS):
        for side in sides:
            for overlap in side.items.grams.overlaps(grams):
                yield side, _Hit(overlap, "exact" if overlap.exact else "ngram")
            if near and side.items.near is not None:
                known = side.known(rows, entry.spec.name)
                for overlap in side.items.near.overlaps(grams.texts, known=known):
                    yield side, _Hit(overlap, "near")
    for place, whole in wholes:
        for side in sides:
            for number in side.items.wholes.get(whole, ()):
                yield side, _Hit(Overlap(held_out=number, train=place, exact=True, units=[" / ".join(whole)]), "exact")
