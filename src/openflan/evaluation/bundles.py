"""Questions whose prompts start alike, as one sequence: a trie of prompts with a trie of options below each.

The templates of a row mostly begin with the same passage, and the options of a prompt with the same words. What is
shared is computed once. A bundle is cut into runs: tokens of which each follows the one before; a run hangs below some
token of the bundle, sees what that token sees, and counts its positions on from there.

    prompts  A B C x   A B C y      run 0  A B C x   below nothing
    options  p q       p q          run 1  p         below x  (q is predicted after p, never fed)
                                    run 2  y         below C
                                    run 3  p         below y

Invariant: what a token sees, and its position, is what it would in a sequence of its own.
Cost: O(tokens) and O(tokens²) bits of mask. Rejected: bundles of everything that shares a few words, whose masks grow
faster than what they save; a key-value cache copied once a branch, which needs two passes and the model's own cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.trie import build_trie

__all__ = ["Bundle", "TokenRun", "bundle_questions"]

_SHARED = 8
"""Tokens that two prompts must share at their start to be worth one sequence."""
_SHARE = 0.15
"""And the share of the second one that they must be."""

Tokens = Sequence[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRun:
    """Tokens of which each follows the one before it."""

    start: int
    stop: int
    below: int
    """The token that the first follows; -1 where it follows none."""


@dataclass(kw_only=True, slots=True)
class Bundle:
    """One sequence for the model."""

    questions: list[int] = field(default_factory=list)
    """Numbers of the questions in it."""
    tokens: list[int] = field(default_factory=list)
    runs: list[TokenRun] = field(default_factory=list)
    predicted: list[list[list[int]]] = field(default_factory=list)
    """By question, option and token of it: the token of the bundle that predicts it."""

    @property
    def forks(self) -> bool:
        """Whether plain causal attention won't do."""
        return len(self.runs) > 1

    def positions(self) -> NDArray[np.int64]:
        """(T,) Position of every token."""
        places = np.zeros(len(self.tokens), dtype=np.int64)
        for run in self.runs:
            first = 0 if run.below < 0 else places[run.below] + 1
            places[run.start : run.stop] = first + np.arange(run.stop - run.start)
        return places

    def allowed(self, size: int) -> NDArray[np.bool_]:
        """(size, size) Whether a token sees another; padding sees what came before it."""
        seen = np.tri(size, dtype=bool)
        for run in self.runs[1:]:
            seen[run.start : run.stop, : run.start] = False
            if run.below >= 0:
                seen[run.start : run.stop, : run.below + 1] = seen[run.below, : run.below + 1]
        return seen

    def append(self, tokens: Tokens, below: int) -> None:
        """Hang a run of tokens below one of the bundle's."""
        if not tokens:
            return
        start = len(self.tokens)
        self.tokens += tokens
        if self.runs and below == start - 1:  # it goes on where the last one ended
            self.runs[-1] = TokenRun(start=self.runs[-1].start, stop=len(self.tokens), below=self.runs[-1].below)
        else:
            self.runs.append(TokenRun(start=start, stop=len(self.tokens), below=below))


def bundle_questions(
    prompts: Sequence[Tokens], options: Sequence[Sequence[Tokens]], *, longest: int | None
) -> list[Bundle]:
    """Every question in one bundle.

    Args:
        longest: tokens of a bundle of several questions; None keeps each question alone.
    """
    order = sorted(range(len(prompts)), key=lambda number: (tuple(prompts[number]), number))
    return list(_bundles(order, prompts, options, longest))


def _bundles(
    order: Sequence[int], prompts: Sequence[Tokens], options: Sequence[Sequence[Tokens]], longest: int | None
) -> Iterator[Bundle]:
    bundle = Bundle()
    before: list[int] = []
    path: list[int] = []
    """Where each token of the last prompt stands in the bundle."""
    for number in order:
        prompt = list(prompts[number])
        trie = build_trie(options[number])
        shared = _common(before, prompt) if bundle.questions else 0
        grown = len(bundle.tokens) + len(prompt) - shared + len(trie.tokens)
        joins = longest is not None and grown <= longest and shared >= max(_SHARED, _SHARE * len(prompt))
        if bundle.questions and not joins:
            yield bundle
            bundle, path, shared = Bundle(), [], 0
        below = path[shared - 1] if shared else -1
        first = len(bundle.tokens)
        bundle.append(prompt[shared:], below)
        path = [*path[:shared], *range(first, len(bundle.tokens))]
        nodes: list[int] = []
        for token, parent in zip(trie.tokens, trie.parents, strict=True):
            nodes.append(len(bundle.tokens))
            bundle.append([token], path[-1] if parent < 0 else nodes[parent])
        bundle.questions.append(number)
        bundle.predicted.append([[path[-1] if node < 0 else nodes[node] for node in way] for way in trie.paths])
        before = prompt
    if bundle.questions:
        yield bundle


def _common(one: Tokens, other: Tokens) -> int:
    """How many tokens two sequences share at their start."""
    size = min(len(one), len(other))
    if list(one[:size]) == list(other[:size]):
        return size
    differ = np.not_equal(one[:size], other[:size])
    return int(differ.argmax())
