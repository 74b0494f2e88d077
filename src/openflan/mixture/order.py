"""Order is arithmetic: position i of the training stream → (task, row, template), a pure function of (seed, i).

The stream is cut into rounds. In a round every task is drawn exactly as often as its rate says, in an order that a
keyed permutation gives; the k-th draw of a task takes the k-th row of that task's own permutation, a new one an
epoch, so rows come round once an epoch, up to the order within a round. A row's template comes from a hash.

Invariant: no state: any slice of the stream can be computed alone, by anyone, in any order. Cost: O(1) memory a
task, about a million positions a second. Rejected: a shuffle buffer or a random generator, whose state must be
saved, and drawing rows with replacement, which leaves a third of them unseen after an epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Draws", "StreamOrder", "hash_integers", "permute"]

Integers = NDArray[np.uint64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = 8
"""Four would do for large tasks; for a dozen rows they leave pairs of neighbours 10 % too frequent or too rare."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draws:
    """What stands at some positions of the stream; all arrays have one length."""

    task: NDArray[np.int64]
    """Index into the task names."""
    row: NDArray[np.int64]
    """Index into the task's usable rows."""
    epoch: NDArray[np.int64]
    """How often the row had been drawn before."""
    ticket: Integers
    """Hash that chooses among the row's templates."""


class StreamOrder:
    """The endless stream of a mixture.

    Args:
        draws: draws a round by task, in a fixed order of tasks (`rates.draws_per_round`).
        rows: usable rows by task.
    """

    def __init__(self, draws: Mapping[str, int], rows: Mapping[str, int], *, seed: int) -> None:
        self.tasks = tuple(draws)
        self._quota = np.array([draws[name] for name in self.tasks], dtype=np.int64)
        self._rows = np.array([rows[name] for name in self.tasks], dtype=np.int64)
        self._bounds = np.cumsum(self._quota)
        self._seed = seed

    def at(self, positions: NDArray[np.int64]) -> Draws:
        """What stands at the given positions (0-based)."""
        length = int(self._bounds[-1])
        turn, place = np.divmod(positions, length)
        slot = permute(place, length, hash_integers(self._seed, turn))
        task = np.searchsorted(self._bounds, slot, side="right")
        before = turn * self._quota[task] + slot - (self._bounds[task] - self._quota[task])
        epoch, step = np.divmod(before, self._rows[task])
        row = np.empty_like(step)
        for index in np.unique(task):
            mine = task == index
            row[mine] = permute(step[mine], int(self._rows[index]), hash_integers(self._seed, index + 1, epoch[mine]))
        ticket = hash_integers(self._seed, task, row, epoch)
        return Draws(task=task, row=row, epoch=epoch, ticket=ticket)


def hash_integers(*values: object) -> Integers:
    """Mix integers (arrays broadcast) into well-spread 64-bit hashes (the finaliser of SplitMix64)."""
    state: Integers = np.zeros((), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for value in values:
            state = state ^ np.asarray(value).astype(np.uint64)
            state = state + _GAMMA
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def permute(index: NDArray[np.int64], size: int, key: Integers) -> NDArray[np.int64]:
    """Where a keyed permutation of 0 … size-1 sends each index.

    A Feistel network over the next even power of two; results outside the range go round again.

    Args:
        key: one key, or one an index.
    """
    half = np.uint64(max(1, (max(size - 1, 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    keys = np.broadcast_to(key, index.shape)
    result = index.astype(np.uint64)
    active = np.ones(index.shape, dtype=bool)
    while active.any():
        left, right = result[active] >> half, result[active] & mask
        for number in range(_ROUNDS):
            left, right = right, left ^ (hash_integers(keys[active], number, right) & mask)
        result[active] = (left << half) | right
        active &= result >= np.uint64(size)
    return result.astype(np.int64)
