"""Order is arithmetic: position i of the training stream → (task, row, template), a pure function of (seed, i).

The stream is cut into rounds, in which every task is drawn exactly as often as its rate says, and a round into blocks
of about a thousand positions, over which each task's draws are spread evenly; in a block a keyed permutation deals
them out. The k-th draw of a task takes the k-th row of that task's own permutation, a new one an epoch, so rows come
round once an epoch, up to the order within a block. A hash, the draw's ticket, chooses the rest: template, style,
solved examples.

Invariant: no state: any slice of the stream can be computed alone, by anyone, in any order; and a task's own sequence
of draws is the same in every mixture it is part of, so all hold-outs share what was rendered once. Cost: O(1) memory
a task, about a million positions a second. Rejected: a shuffle buffer or a random generator, whose state must be
saved, and drawing rows with replacement, which leaves a third of them unseen after an epoch.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openflan.hashing import Integers, hash_integers, permute

__all__ = ["DrawnRows", "Draws", "StreamOrder", "TaskOrder"]

_BLOCK = 1_024
"""Positions of a block, about; a round of fewer is one block."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnRows:
    """What some draws of one task take; all arrays have one length."""

    row: NDArray[np.int64]
    """Index into the task's usable rows."""
    epoch: NDArray[np.int64]
    """How often the row had been drawn before."""
    ticket: Integers
    """Hash that chooses template, style and solved examples."""


class TaskOrder:
    """The endless sequence of one task's draws.

    Args:
        name: the task's name; the sequence depends on nothing else but rows and seed.
        rows: usable rows.
    """

    def __init__(self, name: str, rows: int, *, seed: int) -> None:
        self._rows = rows
        self._key = np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))
        self._seed = seed

    def at(self, draws: NDArray[np.int64]) -> DrawnRows:
        """What the task's draws of the given numbers (0-based) take."""
        epoch, step = np.divmod(draws, self._rows)
        row = permute(step, self._rows, hash_integers(self._seed, self._key, epoch))
        return DrawnRows(row=row, epoch=epoch, ticket=hash_integers(self._seed, self._key, row, epoch))


@dataclass(frozen=True, kw_only=True, slots=True)
class Draws:
    """What stands at some positions of the stream; both arrays have one length."""

    task: NDArray[np.int64]
    """Index into the task names."""
    draw: NDArray[np.int64]
    """Which draw of the task it is, from 0."""


class StreamOrder:
    """The endless stream of a mixture.

    Args:
        draws: draws a round by task, in a fixed order of tasks (`rates.draws_per_round`).
    """

    def __init__(self, draws: Mapping[str, int], *, seed: int) -> None:
        self.tasks = tuple(draws)
        self._quota = np.array([draws[name] for name in self.tasks], dtype=np.int64)
        self._length = int(self._quota.sum())
        self._blocks = max(1, self._length // _BLOCK)
        self._starts = self._before(np.arange(self._blocks + 1)).sum(axis=1)
        self._seed = seed

    def _before(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """(blocks, tasks) Draws of each task in the blocks of a round before each: its share, rounded up."""
        draws: NDArray[np.int64] = -(-self._quota * blocks[:, None] // self._blocks)
        return draws

    def at(self, positions: NDArray[np.int64]) -> Draws:
        """What stands at the given positions (0-based)."""
        turn, place = np.divmod(positions, self._length)
        block = np.searchsorted(self._starts, place, side="right") - 1
        blocks, number = np.unique(block, return_inverse=True)
        before = self._before(blocks)
        counts = self._before(blocks + 1) - before
        key, size = hash_integers(self._seed, turn * self._blocks + block), counts.sum(axis=1)[number]
        slot = np.empty_like(positions)
        for one in np.unique(size).tolist():  # blocks have about one size
            mine = size == one
            slot[mine] = permute((place - self._starts[block])[mine], one, key[mine])
        ends = counts.cumsum(axis=1)
        bounds = (self._starts[blocks][:, None] + ends).ravel()
        task = np.searchsorted(bounds, self._starts[block] + slot, side="right") - number * len(self.tasks)
        draw = turn * self._quota[task] + (before - ends + counts)[number, task] + slot
        return Draws(task=task, draw=draw)

    def draws_needed(self, positions: int) -> NDArray[np.int64]:
        """(tasks,) How many draws of each task the first positions of the stream reach into.

        Within a block draws come in any order, so a task may need a few more draws than it has had.
        """
        turns, rest = divmod(positions, self._length)
        block = int(np.searchsorted(self._starts, rest, side="right")) - 1
        needed: NDArray[np.int64] = turns * self._quota + self._before(np.array([block]))[0]
        started = self.at(np.arange(turns * self._length + int(self._starts[block]), positions, dtype=np.int64))
        np.maximum.at(needed, started.task, started.draw + 1)
        return needed
