"""Gradients of a step, micro-batch by micro-batch.

    Together    each micro-batch adds to the gradients that are there        devices, ranks, models of many weights
    InOrder     each has gradients of its own, summed in their order          a small model on CPU, in this process
    OnCores     the same, each made by whichever process is free (cores.py)   a small model on CPU, several cores

Invariant: `OnCores` gives the bits of `InOrder`, however many processes there are and whichever made what: one thread
computes a micro-batch, its dropout is seeded by its number, and sums are taken in the order of the numbers.
Cost: a copy of the weights a step, and of the gradients a micro-batch (2 ms each for 1.3 million weights).
Rejected: gradients averaged by gloo, for which each step waits for the slower process.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from openflan.cores import CorePool
from openflan.hashing import hash_integers
from openflan.mixture.store import TokenStore
from openflan.models.head import unwrapped
from openflan.models.word_tables import TableGradient, WordTables
from openflan.ranks import deal, rank, world
from openflan.training.loss import Example, laid_out, target_loss
from openflan.training.shape import Shape

__all__ = ["Cut", "Gradients", "InOrder", "OnCores", "Sharers", "Together", "few_weights"]

_FEW = 8_000_000
"""Trained weights up to which a micro-batch has gradients of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A step, cut into micro-batches."""

    number: int
    """Of the step, from 0."""
    seed: int
    prompts: Sequence[int]
    """Of the store."""
    examples: Sequence[Example]
    groups: Sequence[Sequence[int]]
    """Places in these of each micro-batch's examples."""

    @property
    def target_tokens(self) -> int:
        """Of the whole step."""
        return sum(len(ids) - start for ids, start in self.examples)

    @property
    def sizes(self) -> list[int]:
        """Padded tokens of each micro-batch."""
        return [len(group) * max(len(self.examples[member][0]) for member in group) for group in self.groups]


Losses = dict[int, float]
"""Summed loss by place of an example."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharers:
    """Processes that share the work of training a model."""

    pool: CorePool
    again: Callable[[], nn.Module]
    """Makes the model in one of them: a function of a module, with its arguments."""


class Gradients(Protocol):
    """Puts the gradients of a step's mean loss into a model's weights."""

    @property
    def of_tables(self) -> Sequence[TableGradient]:
        """Gradients that are not in their weights."""
        ...

    def of(self, cut: Cut, *, meanwhile: Callable[[], None]) -> Losses:
        """Losses of the examples that this process answers for.

        Args:
            meanwhile: what this process may do while others are at work; where none is, it is not called.
        """
        ...


def few_weights(model: nn.Module) -> bool:
    """Whether a model is on CPU and has so few trained weights that micro-batches have gradients of their own."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    plain = all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in trained)
    return plain and sum(weight.numel() for weight in trained) <= _FEW


class Together:
    """Adds up where the gradients are; several ranks take their share of the micro-batches, all equally many.

    Args:
        plain: blocks are not compiled, so that lookups in large tables can be caught (models/word_tables.py).
    """

    def __init__(self, model: nn.Module, shape: Shape, accelerator: Any, *, autocast: bool, plain: bool = True) -> None:
        self._model, self._shape, self._accelerator, self._autocast = model, shape, accelerator, autocast
        self._tables = WordTables(model) if plain and world() == 1 else None

    @property
    def of_tables(self) -> Sequence[TableGradient]:
        """As `Gradients.of_tables`."""
        return self._tables.gradients if self._tables is not None else ()

    def of(self, cut: Cut, *, meanwhile: Callable[[], None]) -> Losses:
        """As `Gradients.of`."""
        torch.manual_seed(_seed(cut.seed, cut.number, rank()))
        lengths = [len(ids) for ids, _ in cut.examples]
        mine = deal(cut.sizes, world())[rank()]
        if self._tables is not None:
            self._tables.begin(cut.target_tokens)
        losses: Losses = {}
        for place, group in enumerate(mine):
            members = cut.groups[group] if group >= 0 else [min(range(len(lengths)), key=lengths.__getitem__)]
            weight = world() / cut.target_tokens if group >= 0 else 0.0
            last = place == len(mine) - 1
            with nullcontext() if last or world() == 1 else self._accelerator.no_sync(self._model):
                group_losses = _backward(
                    self._model,
                    self._shape,
                    [cut.examples[member] for member in members],
                    weight=weight,
                    autocast=self._autocast,
                    backward=self._accelerator.backward,
                    tables=self._tables,
                )
            if group >= 0:
                losses.update(zip(members, group_losses, strict=True))
        if self._tables is not None:
            self._tables.finish()
        return losses


class InOrder:
    """Sums of micro-batches in their order, all made here."""

    def __init__(self, model: nn.Module, shape: Shape, *, autocast: bool) -> None:
        self._model, self._shape, self._autocast = model, shape, autocast
        self._weights = _trained(model)
        self.of_tables: Sequence[TableGradient] = ()

    def of(self, cut: Cut, *, meanwhile: Callable[[], None]) -> Losses:
        """As `Gradients.of`."""
        total = _Sum(self._weights)
        losses: Losses = {}
        for place, group in enumerate(cut.groups):
            torch.manual_seed(_seed(cut.seed, cut.number, place))
            group_losses = _backward(
                self._model,
                self._shape,
                [cut.examples[member] for member in group],
                weight=1 / cut.target_tokens,
                autocast=self._autocast,
            )
            losses.update(zip(group, group_losses, strict=True))
            total.add([weight.grad for weight in self._weights])
            for weight in self._weights:
                weight.grad = None
        total.hand_over()
        return losses


class OnCores:
    """Sums of micro-batches in their order, each made by a process that is free.

    Args:
        store: folder of the token store.
        prepare: does to a copy in one of them what was done to the model here: a function of a module, with arguments.
        plain: as for `Shape.of`.
    """

    def __init__(
        self,
        model: nn.Module,
        sharers: Sharers,
        *,
        store: Path,
        prepare: Callable[[nn.Module], None],
        autocast: bool,
        plain: bool = True,
    ) -> None:
        self._weights = _trained(model)
        self.of_tables: Sequence[TableGradient] = ()
        self._pool = sharers.pool
        self._places = 2 * sharers.pool.size
        size = sum(weight.numel() for weight in self._weights)
        self._memory = _Block(create=True, size=4 * size * (1 + self._places))
        rows = _rows(self._memory, size, 1 + self._places)
        self._sent, *self._grads = [_views(row, self._weights) for row in rows]
        begin = partial(
            _Copy, self._memory.name, self._places, sharers.again, store, prepare, autocast=autocast, plain=plain
        )
        self._job = partial(_micro_batch, self._memory.name, begin, autocast)

    def close(self) -> None:
        """Give the memory back."""
        self._sent, self._grads = [], []
        self._memory.unlink()

    def of(self, cut: Cut, *, meanwhile: Callable[[], None]) -> Losses:
        """As `Gradients.of`."""
        with torch.no_grad():
            torch._foreach_copy_(self._sent, self._weights)
        total = _Sum(self._weights)
        losses: Losses = {}
        jobs = [self._begin(cut, place) for place in range(min(self._places, len(cut.groups)))]
        meanwhile()
        for place, group in enumerate(cut.groups):
            group_losses, touched = self._pool.result(jobs[place])
            losses.update(zip(group, group_losses, strict=True))
            grads = self._grads[place % self._places]
            total.add([grad if there else None for grad, there in zip(grads, touched, strict=True)])
            if len(jobs) < len(cut.groups):
                jobs.append(self._begin(cut, len(jobs)))
        total.hand_over()
        return losses

    def _begin(self, cut: Cut, place: int) -> Any:
        prompts = [cut.prompts[member] for member in cut.groups[place]]
        seed = _seed(cut.seed, cut.number, place)
        return self._pool.do(self._job, prompts, seed, 1 / cut.target_tokens, place % self._places)


class _Block(SharedMemory):
    """Shared memory whose views may outlive it by a moment."""

    def __del__(self) -> None:
        with suppress(OSError, BufferError):
            self.close()


class _Sum:
    """Gradients added up."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self._weights = weights
        self._total: list[Tensor | None] = [None] * len(weights)

    def add(self, grads: Sequence[Tensor | None]) -> None:
        for place, grad in enumerate(grads):
            total = self._total[place]
            if grad is not None:
                self._total[place] = grad.clone() if total is None else total.add_(grad)

    def hand_over(self) -> None:
        for weight, grad in zip(self._weights, self._total, strict=True):
            weight.grad = grad


def _seed(seed: int, step: int, place: int) -> int:
    """Of a micro-batch's dropout."""
    return int(hash_integers(seed, step, place)) & 0xFFFFFFFF


def _trained(model: nn.Module) -> list[Tensor]:
    return [weight for weight in unwrapped(model).parameters() if weight.requires_grad]


def _backward(
    model: nn.Module,
    shape: Shape,
    examples: Sequence[Example],
    *,
    weight: float,
    autocast: bool,
    backward: Callable[[Tensor], None] = Tensor.backward,
    tables: WordTables | None = None,
) -> list[float]:
    """Gradients of some examples' summed loss times a weight; the summed loss of each."""
    device = unwrapped(model).device
    batch = shape.collate(examples, device)
    with laid_out(model, batch):
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            total, losses = target_loss(model, batch, shape.head, tables=tables, times=weight)
        backward(total * weight)
    each = torch.zeros(len(examples), device=device)
    each.index_add_(0, batch.members, losses)
    summed: list[float] = each.tolist()
    return summed


def _rows(memory: SharedMemory, size: int, count: int) -> list[Tensor]:
    whole = np.ndarray((count, size), dtype=np.float32, buffer=memory.buf)
    return list(torch.from_numpy(whole))


def _views(row: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """A row of numbers as tensors of the weights' shapes."""
    parts = torch.split(row, [weight.numel() for weight in weights])
    return [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]


class _Copy:
    """The model in a process of the pool: its weights are those that were sent."""

    def __init__(
        self,
        name: str,
        places: int,
        again: Callable[[], nn.Module],
        store: Path,
        prepare: Callable[[nn.Module], None],
        *,
        autocast: bool,
        plain: bool,
    ) -> None:
        self.model = again()
        self.store = TokenStore.open(store)
        self.shape = Shape.of(self.model, reduced=autocast, plain=plain)
        prepare(self.model)
        self.weights = _trained(self.model)
        self._memory = _Block(name=name)
        rows = _rows(self._memory, sum(weight.numel() for weight in self.weights), 1 + places)
        sent, *self.grads = [_views(row, self.weights) for row in rows]
        for weight, shared in zip(self.weights, sent, strict=True):
            weight.data = shared
        self.model.train()


_copies: dict[str, _Copy] = {}


def _micro_batch(
    name: str,
    begin: Callable[[], _Copy],
    autocast: bool,
    prompts: Sequence[int],
    seed: int,
    weight: float,
    place: int,
) -> tuple[list[float], list[bool]]:
    """In a process of the pool: gradients of a micro-batch into a place of the shared memory.

    Returns:
        The summed loss of each example, and which weights have gradients.
    """
    if name not in _copies:
        _copies.clear()
        _copies[name] = begin()
    copy = _copies[name]
    torch.manual_seed(seed)
    examples = [copy.shape.example(copy.store, prompt) for prompt in prompts]
    losses = _backward(copy.model, copy.shape, examples, weight=weight, autocast=autocast)
    grads = [one.grad for one in copy.weights]
    with torch.no_grad():
        for target, grad in zip(copy.grads[place], grads, strict=True):
            if grad is not None:
                target.copy_(grad)
    for one in copy.weights:
        one.grad = None
    return losses, [grad is not None for grad in grads]
