"""The rows behind a leak certificate's pairs, side by side, with what they share marked.

Invariant: writes nothing; rows are the recipe's own, read again. Cost: both tasks' rows as far as those that are asked
for. Rejected: texts kept in the certificate, which then would hold the held-out rows that nobody may publish.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from openflan.mixture.certificate import LeakPair
from openflan.runs.asked_rows import rows_of
from openflan.runs.plan import resolve
from openflan.runs.stored import StoredRun
from openflan.writing import joined, plain_text, units_of

__all__ = ["LeakTexts", "MarkedText", "leak_texts"]

_PIECE = re.compile(r"[^\W_]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkedText:
    """A text of a row, and what of it another row has too."""

    field: str
    """Its column, dotted where it stands deeper."""
    text: str
    marks: tuple[tuple[int, int], ...] = ()
    """Where the shared parts begin and end, as places in the text."""

    @property
    def parts(self) -> tuple[tuple[str, bool], ...]:
        """The text in pieces, each with whether it is shared."""
        cuts = [0, *(place for mark in self.marks for place in mark), len(self.text)]
        pieces = [(self.text[a:b], bool(n % 2)) for n, (a, b) in enumerate(itertools.pairwise(cuts))]
        return tuple(piece for piece in pieces if piece[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class LeakTexts:
    """A training row beside the held-out item that it shares a text with."""

    pair: LeakPair
    trained: tuple[MarkedText, ...]
    """The training row's texts."""
    measured: tuple[MarkedText, ...]
    """The held-out item's."""


def leak_texts(run: str | Path, pairs: Sequence[LeakPair]) -> tuple[LeakTexts, ...]:
    """The rows of some pairs of a run's leak certificate.

    Args:
        run: the run's folder.
        pairs: of its `LeakCertificate.pairs`; those of the same two tasks are read together.

    Raises:
        UserError: it is no run's folder, or a pair's rows are not at hand or no longer there.
    """
    names = resolve(StoredRun.open(Path(run)).recipe)
    trained = rows_of(names, "train", [(pair.task, pair.row) for pair in pairs])
    measured = rows_of(names, "test", [(pair.held_out, pair.item) for pair in pairs])
    return tuple(
        _side_by_side(pair, trained[pair.task, pair.row], measured[pair.held_out, pair.item]) for pair in pairs
    )


def _side_by_side(pair: LeakPair, trained: Mapping[str, Any], measured: Mapping[str, Any]) -> LeakTexts:
    """Both rows' texts; what the certificate names is marked as far as the texts go on alike."""
    left, right = list(_texts(trained, "")), list(_texts(measured, ""))
    alike = [pair.shared]
    alike += [_longest(a, b) for _, a in left if _marks(a, pair.shared) for _, b in right if _marks(b, pair.shared)]
    shared = max(alike, key=lambda text: len(units_of(text)))
    return LeakTexts(pair=pair, trained=_marked(left, shared, pair), measured=_marked(right, shared, pair))


def _marked(texts: Sequence[tuple[str, str]], shared: str, pair: LeakPair) -> tuple[MarkedText, ...]:
    """Texts with the shared words marked; where not all of them are there, those that the certificate names."""
    return tuple(
        MarkedText(field=name, text=text, marks=_marks(text, shared) or _marks(text, pair.shared))
        for name, text in texts
    )


def _longest(one: str, other: str) -> str:
    """The longest run of units that two texts have in common."""
    left, right = units_of(one), units_of(other)
    match = SequenceMatcher(None, left, right, autojunk=False).find_longest_match()
    return joined(left[match.a : match.a + match.size])


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Every text of a row with the place where it stands."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from _texts(below, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for number, below in enumerate(value):
            yield from _texts(below, f"{name}[{number}]")


def _marks(text: str, shared: str) -> tuple[tuple[int, int], ...]:
    """Where a run of units stands in a text; the whole of a text that is shared by its signs.

    "The cat sat, the dog ran." has "cat sat the dog" at its fifth character.
    """
    wanted = units_of(shared)
    if not wanted or plain_text(text) in shared.split(" / "):
        return ((0, len(text)),) if text and plain_text(text) in shared.split(" / ") else ()
    units = [unit for piece in _PIECE.finditer(text) for unit in _units(piece)]
    marks: list[tuple[int, int]] = []
    for place in range(len(units) - len(wanted) + 1):
        if [unit for unit, _, _ in units[place : place + len(wanted)]] == wanted:
            start, end = units[place][1], units[place + len(wanted) - 1][2]
            if not marks or start >= marks[-1][1]:
                marks.append((start, end))
    return tuple(marks)


def _units(piece: re.Match[str]) -> Iterator[tuple[str, int, int]]:
    """A piece's units, each with its place: the word, or its characters where they are units by themselves."""
    if len(whole := units_of(piece[0])) == 1:
        yield whole[0], piece.start(), piece.end()
        return
    for offset, character in enumerate(piece[0]):
        for unit in units_of(character):
            yield unit, piece.start() + offset, piece.start() + offset + 1
