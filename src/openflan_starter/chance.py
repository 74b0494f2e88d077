"""Chance that is the same on every machine, and the rule that keeps evaluation text out of the prose.

Every piece of content (a fact about a person, a review, a sum, a sentence of the toy language) has a key. A
stable hash of the key puts it into exactly one *domain*: `train` (pretraining prose and tuning rows), `probe`,
`validation` or `test`. Whoever makes text for a domain draws content until its key falls there, so evaluation
content is in no other text by construction, and no list of reserved things has to be kept.

Invariant: `domain_of` and `Chance` depend on nothing but their arguments (no PYTHONHASHSEED, no platform).
Cost: one CRC-32 a key, about 0.3 µs; a test fact takes 16 draws on average.
Rejected: reserving entities (names) instead of facts: an unseen name has an untrained embedding, so it measures
the tokenizer's luck and not reading.
"""

import random
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar
from zlib import crc32

__all__ = ["DOMAINS", "Chance", "Domain", "domain_of", "until"]

Domain = Literal["train", "probe", "validation", "test"]
DOMAINS: tuple[Domain, ...] = ("train", "probe", "validation", "test")

_CLASSES = 32
_RESERVED: dict[int, Domain] = {0: "test", 1: "test", 2: "test", 3: "validation", 4: "probe"}

T = TypeVar("T")


def domain_of(*key: str) -> Domain:
    """The one domain in which the content with this key may be written."""
    return _RESERVED.get(crc32("|".join(key).encode()) % _CLASSES, "train")


class Chance:
    """Draws that are a pure function of the words it is made from.

    `random.Random` seeded by a string hashes it with SHA-512, which is stable across Python versions; only
    `random()` is used, since the other methods may change between versions.
    """

    __slots__ = ("unit",)

    def __init__(self, *seed: object) -> None:
        self.unit: Callable[[], float] = random.Random("/".join(str(part) for part in seed)).random

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1."""
        return int(self.unit() * n)

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self.unit() * len(items))]

    def maybe(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def some(self, items: Sequence[T], n: int) -> list[T]:
        """Different items, n of them, in random order."""
        pool = list(items)
        for i in range(n):
            j = i + int(self.unit() * (len(pool) - i))
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:n]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All the items in random order."""
        return self.some(items, len(items))


def until(domain: Domain, make: Callable[[], tuple[str, T]], tries: int = 4_000) -> T:
    """Draw until the text of what was drawn falls in the domain.

    Args:
        make: draws something; returns its key text and the thing.
    """
    for _ in range(tries):
        text, thing = make()
        if domain_of("text", text.lower()) == domain:
            return thing
    raise AssertionError(f"nothing in domain {domain} after {tries} draws, last {text!r}")
