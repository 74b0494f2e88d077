"""N-grams: an index of held-out texts, and what of it stands in training texts.

Texts are compared as units (openflan/writing.py): words, or characters where a script has no blanks. A gram is a run
of units that says as much as 13 words: 13 words, 20 ideographs or 39 letters of Thai, or a mixture of them. A text that
says as much is all its grams; a shorter one is compared as a whole. Grams are 64-bit hashes in numpy arrays: a bitmap
throws out nearly all of a training text's grams, a sorted lookup the rest, and every hit that is left is held against
the units themselves.

    units    w w w 字 字 w w …           hash of units i to j = (prefix[j] - prefix[i]) / factor^i   (modulo 2^64)
    grams    └──────────┘                 j: the first place where the weights since i reach those of 13 words
               └───────────┘

Invariant: a reported hit is a real one, and every run of units that two texts share, worth 13 words, is found. Cost:
a million short texts a minute on one core, half of it to find the words; 100 MB beside the held-out texts.
Rejected: a fixed number of characters for every script, of which 13 are three words of Thai; Python sets of tuples, ten
times the memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from openflan.writing import WORD, joined, weights_of

__all__ = ["GramIndex", "Grams", "Overlap", "Text", "grams_of"]

_FACTOR = 0x9E3779B97F4A7C15
_INVERSE = pow(_FACTOR, -1, 1 << 64)
_WHOLE = np.uint64(0xA5A5A5A5A5A5A5A5)
"""Keeps the hash of a whole text apart from that of a gram."""
_UNITS = 1 << 18
"""Units that are looked at together."""
_SPARSE = 5
"""The bitmap has 2^5 places a gram, so that one other gram in 32 passes it."""


class Text(NamedTuple):
    """One field of one row."""

    owner: int
    """Number of the row."""
    units: list[str]
    weight: int
    """How much it says: of its units together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """A held-out text and a training text that share a gram."""

    held_out: int
    """Owner of the held-out text."""
    train: int
    exact: bool
    """Whether the two texts are the same from end to end."""
    units: Sequence[str]
    """Of the training text, what they share."""

    @property
    def shared(self) -> str:
        """What they share, to be read."""
        return joined(self.units)


@dataclass(frozen=True, kw_only=True)
class Grams:
    """The grams of some texts, in their order; arrays have one length."""

    texts: Sequence[Text]
    hash: NDArray[np.uint64]
    text: NDArray[np.int64]
    """Which text."""
    first: NDArray[np.int64]
    """Its unit at which the gram begins."""
    last: NDArray[np.int64]
    """The one after its last."""


def grams_of(texts: Iterable[Text], *, words: int = 13) -> Iterator[Grams]:
    """The grams of texts, a few at a time.

    Args:
        words: what a gram is worth.
    """
    for chunk in _chunks(texts):
        yield _grams(chunk, words * WORD)


def _chunks(texts: Iterable[Text]) -> Iterator[list[Text]]:
    chunk: list[Text] = []
    units = 0
    for text in texts:
        chunk.append(text)
        units += len(text.units)
        if units >= _UNITS:
            yield chunk
            chunk, units = [], 0
    if chunk:
        yield chunk


def _grams(texts: Sequence[Text], worth: int) -> Grams:
    sizes = np.array([len(text.units) for text in texts], dtype=np.int64)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    total = int(ends[-1])
    hashes = np.fromiter(map(hash, chain.from_iterable(text.units for text in texts)), dtype=np.int64, count=total)
    powers, inverses = _powers(max(_UNITS, total).bit_length())
    prefix = np.zeros(total + 1, dtype=np.uint64)
    np.cumsum(hashes.view(np.uint64) * powers[:total], out=prefix[1:])
    owner = np.repeat(np.arange(len(texts)), sizes)
    first = np.arange(total)
    if all(text.weight == WORD * len(text.units) for text in texts):
        last = first + worth // WORD
    else:
        weights = np.fromiter(chain.from_iterable(weights_of(text.units) for text in texts), np.int64, total)
        sums = np.concatenate([[0], np.cumsum(weights)])
        last = np.searchsorted(sums, sums[first] + worth)
    inside = last <= ends[owner]
    whole = np.array([0 < text.weight < worth for text in texts], dtype=bool)
    gram_first = np.concatenate([first[inside], starts[whole]])
    gram_last = np.concatenate([last[inside], ends[whole]])
    gram_text = np.concatenate([owner[inside], np.flatnonzero(whole)])
    with np.errstate(over="ignore"):
        gram = (prefix[gram_last] - prefix[gram_first]) * inverses[gram_first]
        gram[len(gram) - int(whole.sum()) :] ^= _WHOLE
        gram ^= gram >> np.uint64(31)
        gram *= np.uint64(_FACTOR)
    return Grams(
        texts=texts, hash=gram, text=gram_text, first=gram_first - starts[gram_text], last=gram_last - starts[gram_text]
    )


@cache
def _powers(bits: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The first 2^bits powers of the factor, and of its inverse."""
    tables = []
    for base in (_FACTOR, _INVERSE):
        table = np.full(1 << bits, base, dtype=np.uint64)
        table[0] = 1
        tables.append(np.cumprod(table))
    return tables[0], tables[1]


class GramIndex:
    """The grams of held-out texts.

    Args:
        texts: the held-out texts.
        words: what a gram is worth.
    """

    def __init__(self, texts: Iterable[Text], *, words: int = 13) -> None:
        self._texts: list[Text] = []
        hashes: list[NDArray[np.uint64]] = [np.zeros(0, dtype=np.uint64)]
        places: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        for grams in grams_of(texts, words=words):
            hashes.append(grams.hash)
            places.append(grams.text + len(self._texts))
            self._texts += grams.texts
        gram, place = np.concatenate(hashes), np.concatenate(places)
        order = np.argsort(gram, kind="stable")
        self._gram, self._place = gram[order], place[order]
        bits = max(10, min(28, len(gram).bit_length() + _SPARSE))
        self._shift = np.uint64(64 - bits)
        self._bitmap = np.zeros(1 << bits, dtype=bool)
        self._bitmap[gram >> self._shift] = True

    def overlaps(self, grams: Grams) -> Iterator[Overlap]:
        """Every pair of a training row and a held-out row of which two texts share a gram; each pair once."""
        spots = np.flatnonzero(self._bitmap[grams.hash >> self._shift])
        left = np.searchsorted(self._gram, grams.hash[spots])
        right = np.searchsorted(self._gram, grams.hash[spots], side="right")
        seen: set[tuple[int, int]] = set()
        for which in np.flatnonzero(right > left).tolist():
            spot = int(spots[which])
            train = grams.texts[int(grams.text[spot])]
            for number in dict.fromkeys(self._place[left[which] : right[which]].tolist()):
                held_out = self._texts[number]
                if (train.owner, held_out.owner) in seen:
                    continue
                overlap = _compare(held_out, train, int(grams.first[spot]), int(grams.last[spot]))
                if overlap is not None:
                    seen.add((train.owner, held_out.owner))
                    yield overlap


def _compare(held_out: Text, train: Text, first: int, last: int) -> Overlap | None:
    """What two texts share, if the units agree and not only their hashes."""
    shared = train.units[first:last]
    exact = held_out.units == train.units
    if not exact and f" {' '.join(shared)} " not in f" {' '.join(held_out.units)} ":
        return None
    return Overlap(held_out=held_out.owner, train=train.owner, exact=exact, units=shared)
