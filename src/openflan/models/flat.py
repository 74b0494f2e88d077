"""Examples end to end in one row, each attending to itself alone: no padding, and no mask over the row.

    ids        a a a b b c c c c        borders 0 3 5 9
    positions  0 1 2 0 1 0 1 2 3        attention within [0,3) [3,5) [5,9)

On CUDA torch's variable-length kernel does a row at once in bfloat16; elsewhere, and where a family bends its scores
(Gemma 2), each example goes through on its own. The kernel is registered with transformers, so every family that lets
its attention be chosen can take it; `can_be_flat` tries, and others are trained in padded batches.

Invariant: equal to each example alone. Cost on CPU: a call an example and layer, which padded batches of like lengths
save (training/stepping.py chooses). Rejected: a block mask over the row, quadratic in its length.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from inspect import signature
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from openflan.models.attention import BORDERS, FLAT, obeys_mask
from openflan.models.head import logits_at, unwrapped, word_weights
from openflan.models.lean import lean

__all__ = ["can_be_flat", "flat_row"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Borders:
    """Where the examples of a row begin and end; made once a row, for every layer that asks would wait for the copy."""

    places: tuple[int, ...]
    on_device: Tensor
    longest: int

    @classmethod
    def of(cls, places: Sequence[int], device: torch.device) -> "_Borders":
        return cls(
            places=tuple(places),
            on_device=torch.tensor(places, dtype=torch.int32).to(device),
            longest=max(b - a for a, b in pairwise(places)),
        )


@contextmanager
def flat_row(model: Any, borders: Sequence[int]) -> Iterator[None]:
    """While a row goes forward and back.

    Args:
        model: whose modules know the borders meanwhile.
        borders: where examples begin, and the end of the last.
    """
    _register()
    inner = unwrapped(model)
    modules = list(inner.modules())
    marks = _Borders.of(borders, model.device)
    for module in modules:
        vars(module)[BORDERS] = marks
    try:
        with lean(inner) if model.device.type == "cpu" else nullcontext():
            yield
    finally:
        for module in modules:
            vars(module).pop(BORDERS)


def can_be_flat(model: Any, *, reduced: bool = False) -> bool:
    """Whether a model computes examples end to end as it does each alone, and its gradients; tried on a few tokens.

    Args:
        model: a transformers model, which is left as it was.
        reduced: it is to be trained in bfloat16, by another kernel, which is tried too.
    """
    if model.config.is_encoder_decoder or not getattr(model, "_supports_attention_backend", False):
        return False
    if not obeys_mask(model, 1):
        return False
    lengths, borders = (3, 7, 2), [0, 3, 10, 12]
    words = min(int(model.config.get_text_config().vocab_size), 1_000)
    examples = [torch.arange(1, size + 1, device=model.device) * (7 + size) % words for size in lengths]
    was_training = model.training
    every = [parameter for parameter in model.parameters() if parameter.requires_grad]
    tables = set(map(id, word_weights(model)))
    trained = [parameter for parameter in every if id(parameter) not in tables]
    model.eval()
    try:
        for parameter in every:  # words are looked up, and told, one by one in any layout
            parameter.requires_grad = id(parameter) not in tables
        with torch.enable_grad():
            alone = torch.cat([logits_at(model, _all_of(ids), input_ids=ids.unsqueeze(0)) for ids in examples])
            ids = torch.cat(examples)
            places = torch.cat([torch.arange(size, device=model.device) for size in lengths]).unsqueeze(0)
            with flat_row(model, borders):
                row = logits_at(model, _all_of(ids), input_ids=ids.unsqueeze(0), position_ids=places)
            if not torch.allclose(row, alone, rtol=1e-3, atol=1e-3):
                return False
            if trained and not _same_gradients(model, trained, alone, row, borders):
                return False
            return not reduced or _nearly(model, trained, ids, places, borders, alone.detach())
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        return False
    finally:
        for parameter in every:
            parameter.grad = None
            parameter.requires_grad = True
        model.train(was_training)


def _same_gradients(model: Any, trained: Sequence[Tensor], alone: Tensor, row: Tensor, borders: Sequence[int]) -> bool:
    """Whether both have the same gradients: the second's are taken off the first's, so that one set of them is kept."""
    weights = torch.linspace(-1, 1, alone.numel(), device=alone.device).view_as(alone).sin()
    torch.autograd.backward((alone.log_softmax(-1) * weights).sum())
    sizes = [None if p.grad is None else float(p.grad.norm()) for p in trained]
    with flat_row(model, borders):  # blocks that are computed again see it too
        torch.autograd.backward((row.log_softmax(-1) * -weights).sum())
    rests = [None if p.grad is None else float(p.grad.norm()) for p in trained]
    whole = max((size for size in sizes if size is not None), default=0.0)
    return all(
        rest is None if size is None else rest is not None and rest <= 1e-2 * size + 1e-5 * whole
        for size, rest in zip(sizes, rests, strict=True)
    )


def _nearly(
    model: Any, trained: Sequence[Tensor], ids: Tensor, places: Tensor, borders: Sequence[int], alone: Tensor
) -> bool:
    """Whether the row goes through in bfloat16, forward and back, and comes near what it is in float32.

    A kernel that can't take the model's heads says so here, not at the first step; how near is a matter of rounding.
    """
    with torch.autocast(model.device.type, torch.bfloat16), flat_row(model, borders):
        row = logits_at(model, _all_of(ids), input_ids=ids.unsqueeze(0), position_ids=places)
        if trained:
            torch.autograd.backward(row.log_softmax(-1).mean())
    return bool(row.isfinite().all()) and bool((row - alone).norm() <= 0.1 * alone.norm())


def _all_of(ids: Tensor) -> tuple[Tensor, Tensor]:
    return torch.zeros_like(ids), torch.arange(len(ids), device=ids.device)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of one row, (1, heads, T, size) to (1, T, heads, size)."""
    borders: _Borders = vars(module)[BORDERS]
    kind = query.device.type
    if torch.is_autocast_enabled(kind):  # rotated queries and keys come in float32
        query, key, value = (side.to(torch.get_autocast_dtype(kind)) for side in (query, key, value))
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    window = sliding_window if sliding_window is not None else getattr(module, "sliding_window", None)
    plain = softcap is None and dropout == 0 and query.dtype in (torch.bfloat16, torch.float16)
    if kind == "cuda" and plain:
        return _at_once(query, key, value, borders, scale, window), None
    parts = [
        _one(query[:, :, a:b], key[:, :, a:b], value[:, :, a:b], scale, window, softcap, dropout)
        for a, b in pairwise(borders.places)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None


def _at_once(query: Tensor, key: Tensor, value: Tensor, borders: _Borders, scale: float, window: int | None) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    ends, longest = borders.on_device, borders.longest
    query, key, value = (side.squeeze(0).transpose(0, 1).contiguous() for side in (query, key, value))
    # before torch 2.12 the kernel takes fewer heads of keys without being told
    named = "enable_gqa" in signature(varlen_attn).parameters
    grouped: dict[str, Any] = {"enable_gqa": query.shape[1] != key.shape[1]} if named else {}
    mixed: Any = varlen_attn(
        query,
        key,
        value,
        ends,
        ends,
        longest,
        longest,
        scale=scale,
        window_size=(-1 if window is None else window - 1, 0),
        **grouped,
    )
    done: Tensor = mixed.unsqueeze(0)
    return done


def _one(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    window: int | None,
    softcap: float | None,
    dropout: float,
) -> Tensor:
    heads, size = query.shape[1:3]
    bounded = window is not None and window < size
    if softcap is None and not bounded and (size > 192 or query.device.type != "cpu"):
        groups = heads // key.shape[1]
        if groups > 1:
            key, value = (side.repeat_interleave(groups, dim=1) for side in (key, value))
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, is_causal=True, scale=scale
        )
    # heads that share keys lie one below the other: (1, shared, groups · size, d)
    query = query.reshape(1, key.shape[1], -1, query.shape[3])
    scores = ((query @ key.transpose(2, 3)) * scale).view(1, heads, size, size)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    seen = torch.ones(size, size, dtype=torch.bool, device=query.device).tril()
    if bounded and window is not None:
        seen &= ~torch.ones_like(seen).tril(-window)
    weights = scores.masked_fill(~seen, torch.finfo(scores.dtype).min).float().softmax(-1).to(value.dtype)
    if dropout:
        weights = torch.nn.functional.dropout(weights, dropout)
    done: Tensor = weights.view(1, key.shape[1], -1, size) @ value
    return done.view(1, heads, size, -1)


def _register() -> None:
    from transformers import AttentionInterface

    if FLAT not in AttentionInterface._global_mapping:
        AttentionInterface.register(FLAT, _attend)
