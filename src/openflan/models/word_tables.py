"""Gradients of a large vocabulary's table, kept as what they are products of.

The table of 262 thousand words is most of a small model. Autograd makes a whole gradient of it for each use in each
micro-batch (the head's, the embedding's), 671 MB each time. But a step of N target tokens and T tokens has one of low
rank, and few words are looked up:

    G (V, H)  =  Σ grads (n, V)ᵀ × states (n, H)  +  rows of the words looked up        the head's, the embedding's

So the grads are kept, N·V numbers in place of H·V, the norm comes from products of N by N, and the optimizer asks for
some words' gradient at a time (training/table_steps.py). A step of more than H / 2 targets has a whole gradient, to
which all uses add: a rule of the step alone, so that a run that goes on makes the same bits.

Legend: grads are those of the logits; N target tokens of a step, n of some of them, V vocabulary, H width.
Invariant: the gradient is autograd's to float rounding, whichever uses are caught: what is not goes autograd's way and
is taken over. For one process with plain float32 weights on CPU; devices make such passes in a millisecond, and ranks
wait for what autograd tells them. Rejected: sparse gradients, which the head's are not; logits made again for each
part, two more products for memory that grads hardly take.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from openflan.models.head import word_weights

__all__ = ["TableGradient", "WordTables", "add_product"]

_LARGE = 1 << 24
"""Numbers from which on a table is worth it (64 MB)."""
_PART = 1 << 21
"""Numbers of a part of a table (8 MB)."""


def add_product(total: Tensor, grads: Tensor, states: Tensor, times: float = 1.0) -> None:
    """Add times · grads (n, V)ᵀ × states (n, H) to a gradient (V, H); in place where they are of one type."""
    if grads.dtype == total.dtype:
        total.addmm_(grads.T, states, alpha=times)
    else:
        total.add_(grads.T @ states, alpha=times)


class TableGradient:
    """The gradient of one table in one step.

    Args:
        weight: the table (V, H).
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self._space = torch.empty(0, len(weight))
        self._whole: Tensor | None = None
        self._clear()

    def _clear(self) -> None:
        self._products: list[tuple[Tensor, Tensor]] = []
        self._lookups: list[tuple[Tensor, Tensor]] = []
        self.weight.grad = None

    def begin(self, targets: int) -> None:
        """No gradient yet, of a step of so many target tokens."""
        self._clear()
        if 2 * targets <= self.weight.shape[1]:
            self._whole = None
        elif self._whole is None:
            self._whole = torch.zeros_like(self.weight)
        else:
            self._whole.zero_()

    def space(self, count: int) -> Tensor:
        """(count, V) numbers in which the next grads may be made; the same each time until some are kept.

        There is room for all of a step from the first time on, of which the system gives what is written to.
        """
        used = sum(len(grads) for grads, _ in self._products)
        if len(self._space) < used + count:
            self._space = torch.empty(max(used + count, self.weight.shape[1] // 2), len(self.weight))
        return self._space[used : used + count]

    def add_product(self, grads: Tensor, states: Tensor, times: float) -> None:
        """Add times · grads (n, V)ᵀ × states (n, H)."""
        if self._whole is None:
            self._products.append((grads, states.float() * times))
        else:
            add_product(self._whole, grads, states, times)

    def add_rows(self, ids: Tensor, rows: Tensor) -> None:
        """Add to the words (n,) these (n, H)."""
        if self._whole is None:
            self._lookups.append((ids, rows.float()))
        else:
            self._whole.index_add_(0, ids, rows.to(self._whole.dtype))

    def finish(self) -> None:
        """After the last micro-batch: each word's row once, and what went autograd's way is taken over."""
        if (other := self.weight.grad) is not None:
            self._whole = other if self._whole is None else self._whole.add_(other)
            self.weight.grad = None
        if self._lookups:
            ids, places = torch.unique(torch.cat([ids for ids, _ in self._lookups]), return_inverse=True)
            rows = self.weight.new_zeros(len(ids), self.weight.shape[1])
            rows.index_add_(0, places, torch.cat([rows for _, rows in self._lookups]))
            self._lookups = [(ids, rows)]

    def parts(self) -> Iterator[tuple[slice, Tensor]]:
        """Some words and their gradient (n, H), one after the other; each may be written over."""
        size = max(1, _PART // self.weight.shape[1])
        space = torch.empty(size, self.weight.shape[1])
        for start in range(0, len(self.weight), size):
            words = slice(start, min(start + size, len(self.weight)))
            yield words, self._part(words, space[: words.stop - start])

    def _part(self, words: slice, part: Tensor) -> Tensor:
        if self._whole is None:
            part.zero_()
        else:
            part.copy_(self._whole[words])
        for grads, states in self._products:
            add_product(part, grads[:, words], states.to(grads.dtype))
        for ids, rows in self._lookups:
            a, b = torch.searchsorted(ids, torch.tensor([words.start, words.stop])).tolist()
            part.index_add_(0, ids[a:b] - words.start, rows[a:b])
        return part

    def scale(self, times: float) -> None:
        """Multiply by a number."""
        if self._whole is not None:
            self._whole.mul_(times)
        for _, rows in (*self._products, *self._lookups):
            rows.mul_(times)

    def square(self, by_word: Tensor | None = None, by_column: Tensor | None = None) -> float:
        """Sum of all squares, where wanted each times a word's (V,) and a column's (H,) weight."""
        if self._whole is not None:
            weights = self.weight.new_ones(len(self.weight)) if by_word is None else by_word
            return sum(_square(part, weights[words], by_column) for words, part in self.parts())
        total = 0.0
        if self._products:
            states = torch.cat([states for _, states in self._products])
            near = (states if by_column is None else states * by_column) @ states.T
            alike = torch.zeros_like(near, dtype=torch.float64)
            size = max(1, _PART // len(states))
            for start in range(0, len(self.weight), size):
                some = torch.cat([grads[:, start : start + size] for grads, _ in self._products]).float()
                alike += (some if by_word is None else some * by_word[start : start + size]) @ some.T
            total += float((alike * near).sum())
        for ids, rows in self._lookups:
            mine = None if by_word is None else by_word[ids]
            total += _square(rows, mine, by_column)
            if self._products:
                some = torch.cat([grads[:, ids] for grads, _ in self._products]).float()
                cross = (some.T @ states).mul_(rows)
                total += 2 * float(_weighed(cross, mine, by_column).sum(dtype=torch.float64))
        return 0.0 if total < 0 else total  # rounding; NaN stays


def _square(rows: Tensor, by_word: Tensor | None, by_column: Tensor | None) -> float:
    return float(_weighed(rows.square(), by_word, by_column).sum(dtype=torch.float64))


def _weighed(rows: Tensor, by_word: Tensor | None, by_column: Tensor | None) -> Tensor:
    if by_word is not None:
        rows = rows * by_word.unsqueeze(1)
    return rows if by_column is None else rows * by_column


class WordTables:
    """The large tables of a model that is trained, with their gradients.

    Args:
        model: its tied embedding and head, or each of its own.
        large: numbers from which on a table counts.
    """

    def __init__(self, model: Any, *, large: int | None = None) -> None:
        least = _LARGE if large is None else large
        self._gradients = {id(weight): TableGradient(weight) for weight in word_weights(model) if _plain(weight, least)}

    @property
    def gradients(self) -> list[TableGradient]:
        """Those of the last step."""
        return list(self._gradients.values())

    def begin(self, targets: int) -> None:
        """Before the first micro-batch of a step of so many target tokens."""
        for gradient in self._gradients.values():
            gradient.begin(targets)

    def finish(self) -> None:
        """After the last one."""
        for gradient in self._gradients.values():
            gradient.finish()

    def of(self, weight: Tensor) -> TableGradient | None:
        """Where a weight's gradient is to be added; None where autograd adds it."""
        return self._gradients.get(id(weight))

    @contextmanager
    def caught(self) -> Iterator[None]:
        """While a model goes forward: its lookups in these tables add their gradients themselves."""
        if not self._gradients:
            yield
            return
        with _Lookups(self._gradients):
            yield


def _plain(weight: Tensor, large: int) -> bool:
    kind = type(weight) is nn.Parameter and weight.device.type == "cpu" and weight.dtype == torch.float32
    return kind and weight.requires_grad and weight.numel() >= large


class _Lookups(TorchFunctionMode):
    """Takes the place of the embedding of known tables."""

    def __init__(self, gradients: dict[int, TableGradient]) -> None:
        super().__init__()
        self._gradients = gradients

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        if func is torch.nn.functional.embedding:
            names = ("input", "weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")
            given = {**dict(zip(names, args, strict=False)), **named}
            gradient = self._gradients.get(id(given["weight"]))
            other = [given.get(name) for name in ("max_norm", "scale_grad_by_freq", "sparse")]
            if gradient is not None and not any(other):
                return _Lookup.apply(given["weight"], given["input"], given.get("padding_idx"), gradient)  # type: ignore[no-untyped-call]
        return func(*args, **named)


class _Lookup(torch.autograd.Function):
    """Rows of a table; their gradients go straight to the table's."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, padding: int | None, gradient: TableGradient) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.padding, ctx.gradient, ctx.words = padding, gradient, len(weight)
        return weight.detach()[ids]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None, None]:
        (ids,) = ctx.saved_tensors
        rows, flat = grad.reshape(-1, grad.shape[-1]), ids.flatten()
        if ctx.padding is not None:
            real = flat != ctx.padding % ctx.words
            rows, flat = rows[real], flat[real]
        ctx.gradient.add_rows(flat, rows)
        return None, None, None, None
