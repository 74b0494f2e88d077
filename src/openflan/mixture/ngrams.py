"""N-grams of words: an index of held-out texts, and what of it stands in training texts.

Texts are compared as words, without case and punctuation. A text of n words or more is all its n-grams; a shorter one
is one gram of its own. Grams are 64-bit hashes in numpy arrays: a bitmap throws out nearly all of a training text's
grams, a sorted lookup the rest, and every hit that is left is held against the words themselves.

Invariant: a reported hit is a real one, and none is missed. Cost: about a million short texts a minute on one core, and
100 MB beside the held-out texts. Rejected: MinHash, which estimates; a Python set of tuples, ten times the memory.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Hit", "NgramIndex", "Text", "words_of"]

_WORD = re.compile(r"[^\W_]+")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_BITS = 26
_CHUNK = 20_000
"""Training texts that are looked at together."""


def words_of(text: str) -> list[str]:
    """A text as it is compared: its words in small letters, without punctuation."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True, slots=True)
class Text:
    """One field of one row."""

    owner: int
    """Number of the row."""
    words: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A held-out text and a training text that share a gram."""

    held: int
    """Owner of the held-out text."""
    train: int
    exact: bool
    """Whether the two texts are the same from end to end."""
    shared: str
    """The words that they share."""


class NgramIndex:
    """The grams of held-out texts.

    Args:
        texts: the held-out texts.
        n: words of a gram.
    """

    def __init__(self, texts: Sequence[Text], *, n: int = 13) -> None:
        self._n = n
        self._texts = list(texts)
        self._hashes: dict[str, int] = {}
        self._lengths = sorted({len(text.words) for text in self._texts if len(text.words) < n} | {n})
        grams: list[NDArray[np.uint64]] = []
        places: list[NDArray[np.int64]] = []
        for start in range(0, len(self._texts), _CHUNK):
            for gram, text, _ in self._grams(self._texts[start : start + _CHUNK]):
                grams.append(gram)
                places.append(text + start)
        gram = np.concatenate([np.zeros(0, dtype=np.uint64), *grams])
        place = np.concatenate([np.zeros(0, dtype=np.int64), *places])
        order = np.argsort(gram, kind="stable")
        self._gram, self._place = gram[order], place[order]
        self._bitmap = np.zeros(1 << _BITS, dtype=bool)
        self._bitmap[gram >> np.uint64(64 - _BITS)] = True

    def hits(self, texts: Iterable[Text]) -> Iterator[Hit]:
        """Every pair of a training row and a held-out row whose texts share a gram; each pair once."""
        for chunk in _chunks(texts, _CHUNK):
            seen: set[tuple[int, int]] = set()
            for gram, place, first in self._grams(chunk):
                likely = self._bitmap[gram >> np.uint64(64 - _BITS)]
                if not likely.any():
                    continue
                some, where, begin = gram[likely], place[likely], first[likely]
                left, right = np.searchsorted(self._gram, some), np.searchsorted(self._gram, some, side="right")
                for spot in np.flatnonzero(right > left).tolist():
                    train = chunk[int(where[spot])]
                    for number in dict.fromkeys(self._place[left[spot] : right[spot]].tolist()):
                        held_out = self._texts[number]
                        if (train.owner, held_out.owner) in seen:
                            continue
                        hit = self._compare(held_out, train, int(begin[spot]))
                        if hit is not None:
                            seen.add((train.owner, held_out.owner))
                            yield hit

    def _compare(self, held_out: Text, train: Text, first: int) -> Hit | None:
        """The hit that two texts make, if the words agree and not only their hashes."""
        size = min(self._n, len(held_out.words))
        shared = train.words[first : first + size]
        joined = " ".join(shared)
        if f" {joined} " not in f" {' '.join(held_out.words)} ":
            return None
        return Hit(held=held_out.owner, train=train.owner, exact=held_out.words == train.words, shared=joined)

    def _grams(
        self, texts: Sequence[Text]
    ) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]]:
        """Grams of some texts by length: hash, which text, and at which of its words the gram begins.

        Texts of n words or more give all their n-grams; shorter ones are compared with held-out texts of their own
        length alone, as one gram.
        """
        sizes = np.array([len(text.words) for text in texts], dtype=np.int64)
        flat = self._words([word for text in texts for word in text.words])
        starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
        for length in self._lengths:
            chosen = np.flatnonzero(sizes >= self._n if length == self._n else sizes == length)
            if not len(chosen):
                continue
            many = sizes[chosen] - length + 1
            text = np.repeat(chosen, many)
            first = np.arange(int(many.sum()), dtype=np.int64) - np.repeat(np.cumsum(many) - many, many)
            at = starts[text] + first
            gram = np.full(len(at), length, dtype=np.uint64)
            with np.errstate(over="ignore"):
                for step in range(length):
                    gram = gram * _FACTOR + flat[at + step]
                gram ^= gram >> np.uint64(31)
                gram *= _FACTOR
            yield gram, text, first

    def _words(self, words: list[str]) -> NDArray[np.uint64]:
        known = self._hashes
        for word in set(words) - known.keys():
            encoded = word.encode(errors="surrogatepass")
            known[word] = int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")
        return np.fromiter((known[word] for word in words), dtype=np.uint64, count=len(words))


def _chunks(texts: Iterable[Text], size: int) -> Iterator[list[Text]]:
    chunk: list[Text] = []
    for text in texts:
        chunk.append(text)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
