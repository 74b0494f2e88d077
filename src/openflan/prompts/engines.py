"""Engines: what makes tokens behind the one encoder: `tokenizers`, or `fastokens` where that makes the same ones.

`tokenizers` is what models are published with, and says what is right. `fastokens` (`openflan[fast]`) reads the same
vocabulary and is five to sixteen times as fast. It is used for many texts only, and only after a sample of these very
texts became the same tokens both ways; a vocabulary that it refuses, or one difference, and `tokenizers` makes them
all. A text that holds a special token's literal ("</s>" in a row) is left to `tokenizers` in any case.

Invariant: which engine made them changes no token. Cost: reading the vocabulary a second time, half a second for 50,000
words. Where it refuses a vocabulary's normalizer, `tokenizers` normalizes the texts, which is a quarter of its work.
Rejected: kitoken, whose patterns are near those of the vocabulary but not the same: 271 of 690,488 real texts
differ ("\\n's" in Byte-level BPE), too few for a sample to find.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as Plain

from openflan.records import Record

__all__ = [
    "EngineComparison",
    "FastEngine",
    "FoundEngine",
    "TokenEngine",
    "TokenRuns",
    "find_engine",
    "joined",
    "pick_engine",
]


_PLAIN = f"tokenizers {version('tokenizers')}"


class TokenEngine(Record):
    """What made the tokens of a mixture."""

    name: str
    """Library and version."""
    compared: int = 0
    """Texts of the mixture that both engines encoded first."""
    note: str = ""
    """Why it is `tokenizers` although the faster one is installed."""

    @property
    def fast(self) -> bool:
        """Whether it is the faster one."""
        return self.name != _PLAIN


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineComparison:
    """Some texts encoded by both engines."""

    name: str
    """The faster one's library and version; empty where none is installed."""
    texts: int = 0
    differ: int = 0
    """Texts that it makes other tokens of."""
    refused: str = ""
    """Why it can't read the vocabulary."""


def pick_engine(comparisons: Sequence[EngineComparison]) -> TokenEngine:
    """The faster engine, if there is one and no text became other tokens."""
    texts, differ = sum(one.texts for one in comparisons), sum(one.differ for one in comparisons)
    name, refused = (comparisons[0].name, comparisons[0].refused) if comparisons else ("", "")
    note = refused
    if differ:
        note = f"{name} makes other tokens of {differ:,} of {texts:,} texts, so tokenizers makes them all"
    if name and not note:
        return TokenEngine(name=name, compared=texts)
    return TokenEngine(name=_PLAIN, compared=texts, note=note)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TokenRuns:
    """Tokens of texts, end to end."""

    ids: NDArray[np.int32]
    first: NDArray[np.int64]
    """Where each text starts among them; one more entry than texts."""

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]]) -> "TokenRuns":
        """Tokens that lie in a list a text."""
        ids = np.array([token for ids in texts for token in ids], dtype=np.int32)
        return cls(ids=ids, first=_first(len(ids) for ids in texts))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Tokens of each text."""
        return np.diff(self.first)

    def one(self, text: int) -> list[int]:
        """Tokens of one text."""
        tokens: list[int] = self.ids[self.first[text] : self.first[text + 1]].tolist()
        return tokens

    def lists(self) -> list[list[int]]:
        """A list a text."""
        ids, first = self.ids.tolist(), self.first.tolist()
        return [ids[start:stop] for start, stop in pairwise(first)]

    def replaced(self, texts: Mapping[int, Sequence[int]]) -> "TokenRuns":
        """The same with other tokens for some of the texts."""
        if not texts:
            return self
        parts = np.split(self.ids, self.first[1:-1])
        for place, ids in texts.items():
            parts[place] = np.array(ids, dtype=np.int32)
        return TokenRuns(ids=np.concatenate(parts), first=_first(len(part) for part in parts))

    def clipped(self, most: int) -> "TokenRuns":
        """The same with so many tokens a text at most, the first ones."""
        if (self.sizes <= most).all():
            return self
        return self.replaced({place: self.one(place)[:most] for place in np.flatnonzero(self.sizes > most).tolist()})


def joined(columns: Sequence[tuple[TokenRuns, NDArray[np.int64]]]) -> TokenRuns:
    """Texts that are put together of others.

    Args:
        columns: what stands first in each, what stands second, ...: some texts, and which of them it is.
    """
    before = np.cumsum([0, *(len(runs.ids) for runs, _ in columns)])
    starts = np.stack([base + runs.first[which] for base, (runs, which) in zip(before, columns, strict=False)], axis=1)
    sizes = np.stack([runs.sizes[which] for runs, which in columns], axis=1)
    flat = sizes.ravel()
    places = np.repeat(starts.ravel() - (np.cumsum(flat) - flat), flat)
    places += np.arange(len(places))
    source = np.concatenate([runs.ids for runs, _ in columns])
    return TokenRuns(ids=source[places], first=_first(sizes.sum(axis=1)))


def _first(sizes: Iterable[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *sizes], dtype=np.int64)


class FastEngine:
    """`fastokens` with one vocabulary.

    Args:
        normalize: what is done to a text first, where the library can't do it itself.
    """

    def __init__(self, tokenizer: Any, *, normalize: Callable[[str], str] | None = None) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._normalize = normalize
        self._literals = tuple(token["content"] for token in tokenizer.added_tokens() if token["special"])
        self._starts = tuple({literal[:1] for literal in self._literals})

    def runs(self, texts: Sequence[str]) -> tuple[TokenRuns, list[int]]:
        """Tokens of texts alone: nothing before, nothing after; and which texts are to be encoded by `tokenizers`, as
        they hold a special token's literal."""
        plain = list(texts) if self._normalize is None else [self._normalize(text) for text in texts]
        ids, first = self._tokenizer.encode_batch_flat(plain, False, True)
        unsafe = self._unsafe(texts) if self._normalize is None else {*self._unsafe(texts), *self._unsafe(plain)}
        return TokenRuns(ids=np.frombuffer(ids, np.int32), first=np.frombuffer(first, np.int64)), sorted(unsafe)

    def _unsafe(self, texts: Sequence[str]) -> list[int]:
        """Places of the texts that hold a special token's literal."""
        together = "\0".join(texts)
        if not any(start in together for start in self._starts):  # one character is found faster than several
            return []
        return [
            place
            for place, text in enumerate(texts)
            if any(start in text for start in self._starts) and any(literal in text for literal in self._literals)
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundEngine:
    """The faster engine with a vocabulary, or why there is none."""

    engine: FastEngine | None = None
    name: str = ""
    """Library and version, where it is installed."""
    refused: str = ""


def find_engine(vocabulary: str) -> FoundEngine:
    """The faster engine, if it is installed and can read a vocabulary."""
    try:
        from fastokens import Tokenizer
    except ImportError:
        return FoundEngine()
    os.environ["FASTOKENS_BPE_THREADS"] = "1"  # its others wait spinning, and a fork of the process has none of them
    name = f"fastokens {version('fastokens')}"
    try:
        return FoundEngine(engine=FastEngine(Tokenizer.from_json_str(vocabulary)), name=name)
    except ValueError as error:
        refused = f"{name} can't read the vocabulary: {error}"
    rest, normalize = _normalizer_apart(vocabulary)
    if normalize is None:
        return FoundEngine(name=name, refused=refused)
    try:
        engine = FastEngine(Tokenizer.from_json_str(rest), normalize=normalize)
    except ValueError:
        return FoundEngine(name=name, refused=refused)
    return FoundEngine(engine=engine, name=name)


def _normalizer_apart(vocabulary: str) -> tuple[str, Callable[[str], str] | None]:
    """A vocabulary without its normalizer, and that; None where there is none, or tokens are looked for behind it."""
    rules = json.loads(vocabulary)
    if not rules.get("normalizer") or any(token.get("normalized") for token in rules.get("added_tokens") or ()):
        return vocabulary, None
    nothing = {"type": "BPE", "vocab": {}, "merges": []}
    alone = {"version": rules.get("version"), "normalizer": rules["normalizer"], "model": nothing, "added_tokens": []}
    normalizer = Plain.from_str(json.dumps(alone)).normalizer
    return json.dumps({**rules, "normalizer": None}), normalizer.normalize_str
