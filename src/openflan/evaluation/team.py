"""Several processes that answer one evaluation together, under `torchrun`, or just this one.

Each task's prompts are dealt to the processes, all templates of a row to one, for they share their start. What the
processes found is gathered in all of them, and the first writes it.

Invariant: every process has the same answers, and they are those of one process (float32 to rounding, for prompts meet
in other batches; tests/evaluation/test_team.py). An error of one process is the error of all, so that none waits for
another. Cost: two exchanges of some hundred bytes a prompt and task. Rejected: tasks dealt whole, where the largest
task sets the time; answers written by every process and joined from disk.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from openflan.errors import UserError
from openflan.training import ranks

__all__ = ["ALONE", "Team"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Team:
    """The processes of an evaluation."""

    size: int = 1
    place: int = 0
    """This process's number among them."""

    @classmethod
    def gathered(cls) -> "Team":
        """All processes that were started together, once they have found each other."""
        ranks.begin()
        return cls(size=ranks.world(), place=ranks.rank())

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.place == 0

    def told(self, find: Callable[[], T]) -> T:
        """What the first process finds.

        Raises:
            UserError: what the first process raised.
        """
        return find() if self.size == 1 else self._everyones(lambda: find() if self.leads else None)[0]  # type: ignore[return-value]

    def shared(
        self, kin: Sequence[Hashable], sizes: Sequence[int], do: Callable[[Sequence[int]], Sequence[T]]
    ) -> list[T]:
        """Results of all items, each found by one process.

        Args:
            kin: items of the same kin stay together.
            sizes: what each item costs.
            do: finds the results of some items, given their numbers.

        Raises:
            UserError: what any process raised.
        """
        if self.size == 1:
            return list(do(range(len(kin))))
        families: dict[Hashable, list[int]] = {}
        for number, name in enumerate(kin):
            families.setdefault(name, []).append(number)
        groups = list(families.values())
        dealt = ranks.deal([sum(sizes[number] for number in group) for group in groups], self.size)
        shares = [[number for place in mine if place >= 0 for number in groups[place]] for mine in dealt]
        found: dict[int, T] = {}
        for numbers, part in zip(shares, self._everyones(lambda: do(shares[self.place])), strict=True):
            found.update(zip(numbers, part, strict=True))
        return [found[number] for number in range(len(kin))]

    def _everyones(self, find: Callable[[], T]) -> list[T]:
        """What each process finds, in their order; the first error of any, in all."""
        mine: list[T] | UserError
        try:
            mine = [find()]
        except UserError as error:
            mine = error
        everyone: list[list[T] | UserError] = ranks.everyones(mine)
        for found in everyone:
            if isinstance(found, UserError):
                raise found
        return [one for found in everyone if not isinstance(found, UserError) for one in found]


ALONE = Team()
"""This process by itself, whatever started it."""
