"""Ranks: the processes of one run, under `torchrun` or `accelerate launch`, or just this one.

In training, every rank computes the same cut of a step into micro-batches and takes its share of them; all take
equally many, so that collective calls meet. Gradients are averaged over ranks by DDP or FSDP2, so each rank scales its
loss by their number and the sum is the mean over the target tokens of the whole step.

In evaluation they are a `Team`: each task's prompts are dealt to them, all templates of a row to one, for they share
their start. What each found is gathered in all, and the first writes it.

Invariant: which examples a step holds does not depend on the number of ranks, and a team's answers are those of one
process (float32 to rounding, for prompts meet in other batches; tests/evaluation/test_team.py). An error of one member
is the error of all, so that none waits for another. Cost: two exchanges of some hundred bytes a prompt and task.
Rejected: a sampler a rank, whose order changes with their number; tasks dealt whole, where the largest task sets the
time.
"""

import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from openflan.errors import UserError

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "ALONE",
    "Team",
    "begin",
    "deal",
    "everyones",
    "is_first",
    "rank",
    "spread",
    "wait",
    "whole_state",
    "world",
]

T = TypeVar("T")

Sharding = Literal["none", "full"]


def world() -> int:
    """Number of ranks."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """This process's number among them, from 0."""
    return int(os.environ.get("RANK", "0"))


def begin() -> None:
    """Let the ranks find each other, where there are several."""
    if world() > 1:
        import torch
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available())


def is_first() -> bool:
    """Whether this process writes files and talks to the user."""
    return rank() == 0


def wait() -> None:
    """Until every rank is here."""
    if world() > 1:
        import torch

        torch.distributed.barrier()


def everyones(value: Any) -> list[Any]:
    """What each rank has, in their order; values are small."""
    if world() == 1:
        return [value]
    import torch

    values: list[Any] = [None] * world()
    torch.distributed.all_gather_object(values, value)
    return values


def deal(sizes: Sequence[int], ranks: int) -> list[list[int]]:
    """Groups of a step dealt to ranks, each the most even share: the largest first, to whom has least.

    All ranks get equally many; -1 stands for a group that computes nothing.

    Args:
        sizes: padded tokens of each group.
    """
    if ranks == 1:
        return [list(range(len(sizes)))]
    dealt: list[list[int]] = [[] for _ in range(ranks)]
    load = [0] * ranks
    for number in sorted(range(len(sizes)), key=lambda n: (-sizes[n], n)):
        least = min(range(ranks), key=lambda r: (len(dealt[r]), load[r], r))
        dealt[least].append(number)
        load[least] += sizes[number]
    most = max(map(len, dealt))
    return [mine + [-1] * (most - len(mine)) for mine in dealt]


def spread(model: "nn.Module", accelerator: Any, sharding: Sharding) -> "nn.Module":
    """The model as ranks train it together: DDP, or FSDP2 where weights are sharded.

    Raises:
        UserError: the model's blocks are not known, so that it can't be sharded.
    """
    if world() == 1:
        return model
    if sharding == "none" and os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        wrapped: nn.Module = accelerator.prepare_model(model)
        return wrapped
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    blocks = set(getattr(model, "_no_split_modules", None) or ())
    if not blocks:
        how = "train it with training.sharding=none"
        raise UserError(f"{type(model).__name__} does not name its blocks", where="training.sharding: full", how=how)
    mesh = init_device_mesh(accelerator.device.type, (world(),))
    for module in list(model.modules()):
        if type(module).__name__ in blocks:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def whole_state(model: "nn.Module") -> dict[str, Any] | None:
    """All weights in one place, where ranks hold parts of them; None where the model has them itself."""
    state = model.state_dict()
    if not any(hasattr(value, "full_tensor") for value in state.values()):
        return None
    return {
        name: value.full_tensor().cpu() if hasattr(value, "full_tensor") else value for name, value in state.items()
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Team:
    """The processes of an evaluation."""

    size: int = 1
    place: int = 0
    """This process's number among them."""

    @classmethod
    def gathered(cls) -> "Team":
        """All processes that were started together, once they have found each other."""
        begin()
        return cls(size=world(), place=rank())

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
        dealt = deal([sum(sizes[number] for number in group) for group in groups], self.size)
        shares = [[number for place in mine if place >= 0 for number in groups[place]] for mine in dealt]
        results: dict[int, T] = {}
        for numbers, part in zip(shares, self._everyones(lambda: do(shares[self.place])), strict=True):
            results.update(zip(numbers, part, strict=True))
        return [results[number] for number in range(len(kin))]

    def _everyones(self, find: Callable[[], T]) -> list[T]:
        """What each process finds, in their order; the first error of any, in all."""
        mine: list[T] | UserError
        try:
            mine = [find()]
        except UserError as error:
            mine = error
        everyone: list[list[T] | UserError] = everyones(mine)
        for theirs in everyone:
            if isinstance(theirs, UserError):
                raise theirs
        return [one for theirs in everyone if not isinstance(theirs, UserError) for one in theirs]


ALONE = Team()
"""This process by itself, whatever started it."""
