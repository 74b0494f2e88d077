"""Near-duplicates: an index of held-out texts, and which training texts are nearly the same.

Two texts are compared by their shingles, runs of units worth two words (two words, three ideographs, six letters of
Thai). They are nearly the same if of all their shingles together a share of `similarity` or more is in both: with
.7, a sentence of twenty words of which one was changed. MinHash and locality-sensitive hashing (datasketch) propose
pairs; each proposed pair is then counted exactly.

Invariant: a reported pair is as alike as it is said to be, and the same pairs are reported on every machine. A pair
just above the bound is missed with a probability of 2 percent at most. Cost: 7,000 short texts a second on one core.
Rejected: embeddings, which call a paraphrase a duplicate; edit distance of every pair.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from openflan.mixture.ngrams import Overlap, Text
from openflan.writing import WORD, weights_of

__all__ = ["NearIndex", "shingles_of"]

_WORTH = 2 * WORD
_PERMUTATIONS = 128
_PROPOSED = 0.98
"""Of the pairs that are just alike enough, so many are proposed at least; of those that are more alike, nearly all."""


def shingles_of(units: Sequence[str]) -> frozenset[str]:
    """The runs of units that are worth two words; the whole text where it is worth less."""
    weights = weights_of(units)
    shingles: set[str] = set()
    last, worth = 0, 0
    for first, weight in enumerate(weights):
        while last < len(units) and worth < _WORTH:
            worth += weights[last]
            last += 1
        if worth < _WORTH and shingles:
            break
        shingles.add(" ".join(units[first:last]))
        worth -= weight
    return frozenset(shingles)


class NearIndex:
    """The shingles of held-out texts.

    Args:
        texts: the held-out texts.
        similarity: from which share of common shingles on two texts are nearly the same, above 0 and at most 1.
    """

    def __init__(self, texts: Iterable[Text], *, similarity: float) -> None:
        from datasketch import MinHashLSH

        self._similarity = similarity
        self._owners: list[int] = []
        self._shingles: list[frozenset[str]] = []
        self._proposals = MinHashLSH(num_perm=_PERMUTATIONS, params=_bands(similarity))
        with self._proposals.insertion_session() as session:
            for text, shingles, signature in _signed(texts):
                session.insert(len(self._owners), signature)
                self._owners.append(text.owner)
                self._shingles.append(shingles)

    def overlaps(self, texts: Iterable[Text], *, known: Callable[[int, int], bool]) -> Iterator[Overlap]:
        """Pairs of a training row and a held-out row of which two texts are nearly the same.

        Args:
            known: whether a pair, held-out and training, has nothing to add; it is not compared.
        """
        if not self._owners:
            return
        for text, shingles, signature in _signed(texts):
            for number in sorted(self._proposals.query(signature)):
                held_out = self._shingles[number]
                if known(self._owners[number], text.owner):
                    continue
                common = len(shingles & held_out)
                if common >= self._similarity * (len(shingles) + len(held_out) - common):
                    yield Overlap(held_out=self._owners[number], train=text.owner, exact=False, units=text.units)


def _bands(similarity: float) -> tuple[int, int]:
    """Number and length of the bands of a signature: a pair is proposed where it agrees in a whole band."""
    lengths = [n for n in range(1, 33) if 1 - (1 - similarity**n) ** (_PERMUTATIONS // n) >= _PROPOSED]
    return _PERMUTATIONS // max(lengths, default=1), max(lengths, default=1)


def _signed(texts: Iterable[Text]) -> Iterator[tuple[Text, frozenset[str], Any]]:
    """Texts with their shingles and MinHash signatures."""
    from datasketch import MinHash

    empty = MinHash(num_perm=_PERMUTATIONS, seed=1)
    for text in texts:
        shingles = shingles_of(text.units)
        signature = empty.copy()
        signature.update_batch([shingle.encode() for shingle in shingles])
        yield text, shingles, signature
