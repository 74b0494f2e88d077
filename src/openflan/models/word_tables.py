"""Gradients of a large vocabulary's table, added where they are.

The table of 262 thousand words is most of a small model. Autograd makes a whole one for each use of it in each
micro-batch (the head's, the embedding's), scales it, adds both and adds that to what is there: some eight passes over
671 MB, a fifth of a step on CPU. Here the head adds its product and the embedding the rows of its words to the one
gradient that stays from step to step.

Invariant: the gradients are autograd's to float rounding, whichever uses are caught: what is not goes autograd's way
into the same gradient. For one process with plain float32 weights on CPU; devices make these passes in a millisecond,
and ranks wait for what autograd tells them. Rejected: sparse gradients, which the head's are not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from openflan.models.head import unwrapped

__all__ = ["WordTables"]

_LARGE = 1 << 24
"""Numbers from which on a table is worth it (64 MB)."""


class WordTables:
    """The large tables of a model that is trained, with their gradients.

    Args:
        model: its tied embedding and head, or each of its own.
        large: numbers from which on a table counts.
    """

    def __init__(self, model: Any, *, large: int = _LARGE) -> None:
        inner = unwrapped(model)
        parts = [part for part in (inner.get_input_embeddings(), inner.get_output_embeddings()) if part is not None]
        weights = {id(part.weight): part.weight for part in parts if hasattr(part, "weight")}
        self._weights: list[Tensor] = [weight for weight in weights.values() if _plain(weight, large)]
        self._slopes: dict[int, Tensor] = {}

    def begin(self) -> None:
        """Before the first micro-batch of a step: no gradient yet."""
        for weight in self._weights:
            slope = self._slopes.setdefault(id(weight), torch.empty(0))
            if slope.shape != weight.shape:
                slope = self._slopes[id(weight)] = torch.zeros_like(weight)
            weight.grad = slope.zero_()

    def of(self, weight: Tensor) -> Tensor | None:
        """Where a weight's gradient is to be added; None where autograd adds it."""
        return self._slopes.get(id(weight))

    @contextmanager
    def caught(self) -> Iterator[None]:
        """While a model goes forward: its lookups in these tables add their gradients themselves."""
        if not self._slopes:
            yield
            return
        with _Lookups(self._slopes):
            yield


def _plain(weight: Tensor, large: int) -> bool:
    kind = type(weight) is nn.Parameter and weight.device.type == "cpu" and weight.dtype == torch.float32
    return kind and weight.requires_grad and weight.numel() >= large


class _Lookups(TorchFunctionMode):
    """Takes the place of the embedding of known tables."""

    def __init__(self, slopes: dict[int, Tensor]) -> None:
        super().__init__()
        self._slopes = slopes

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        if func is torch.nn.functional.embedding:
            names = ("input", "weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")
            given = {**dict(zip(names, args, strict=False)), **named}
            slope = self._slopes.get(id(given["weight"]))
            other = [given.get(name) for name in ("max_norm", "scale_grad_by_freq", "sparse")]
            if slope is not None and not any(other):
                return _Lookup.apply(given["weight"], given["input"], given.get("padding_idx"), slope)  # type: ignore[no-untyped-call]
        return func(*args, **named)


class _Lookup(torch.autograd.Function):
    """Rows of a table; their gradients go straight to the table's."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, padding: int | None, slope: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.padding, ctx.slope, ctx.words = padding, slope, len(weight)
        return weight.detach()[ids]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None, None]:
        (ids,) = ctx.saved_tensors
        rows, flat = grad.reshape(-1, grad.shape[-1]), ids.flatten()
        if ctx.padding is not None:
            real = flat != ctx.padding % ctx.words
            rows, flat = rows[real], flat[real]
        ctx.slope.index_add_(0, flat, rows.to(ctx.slope.dtype))
        return None, None, None, None
