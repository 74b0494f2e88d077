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
        self._starts = np.array([int(self._before(block).sum()) for block in range(self._blocks + 1)], dtype=np.int64)
        self._seed = seed

    def _before(self, block: int) -> NDArray[np.int64]:
        """(tasks,) Draws of each task in the blocks of a round before one: its share, rounded up."""
        draws: NDArray[np.int64] = -(-self._quota * block // self._blocks)
        return draws

    def at(self, positions: NDArray[np.int64]) -> Draws:
        """What stands at the given positions (0-based)."""
        turn, place = np.divmod(positions, self._length)
        if self._blocks == 1:
            return self._deal(turn, place, block=0, key=hash_integers(self._seed, turn))
        block = np.searchsorted(self._starts, place, side="right") - 1
        where = turn * self._blocks + block
        task, draw = np.empty_like(positions), np.empty_like(positions)
        for number in np.unique(where):
            mine = where == number
            key = hash_integers(self._seed, number)
            dealt = self._deal(turn[mine], place[mine], block=int(number) % self._blocks, key=key)
            task[mine], draw[mine] = dealt.task, dealt.draw
        return Draws(task=task, draw=draw)

    def _deal(self, turn: NDArray[np.int64], place: NDArray[np.int64], *, block: int, key: Integers) -> Draws:
        """What stands at some places of a block, in one round or in many."""
        start, stop = int(self._starts[block]), int(self._starts[block + 1])
        before = self._before(block)
        counts = self._before(block + 1) - before
        slot = permute(place - start, stop - start, key)
        bounds = np.cumsum(counts)
        task = np.searchsorted(bounds, slot, side="right")
        return Draws(task=task, draw=turn * self._quota[task] + before[task] + slot - (bounds - counts)[task])

    def draws_needed(self, positions: int) -> NDArray[np.int64]:
        """(tasks,) How many draws of each task the first positions of the stream reach into.

        Within a block draws come in any order, so a task may need a few more draws than it has had.
        """
        turns, rest = divmod(positions, self._length)
        block = int(np.searchsorted(self._starts, rest, side="right")) - 1
        needed = turns * self._quota + self._before(block)
        started = self.at(np.arange(turns * self._length + int(self._starts[block]), positions, dtype=np.int64))
        np.maximum.at(needed, started.task, started.draw + 1)
        return needed
