"""Norms and gated products that keep only what they can't make again, for training on CPU.

transformers writes both as a few operations, and autograd keeps what each of them reads. Of 22 thousand numbers a token
and layer of Gemma 3 270M, a third are the normed input before its scale and the activation before its product:

    norm    x ─► x·r ─► x·r·s         keeps x and r (a number a token)        makes x·r again
    gated   g, u ─► f(g) ─► f(g)·u    keeps g and u                           makes f(g) again

Invariant: a module is computed so only where the same numbers came of it, to float rounding, when both were tried; any
family's norms and blocks of these kinds are taken, others stay as they are, and all do under autocast, where families
say themselves what is computed in float32. Rejected: blocks computed again as a whole
(`training.gradient_checkpointing`), which costs a third more time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["lean"]

_KEPT = "_openflan_lean"
_PROJECTIONS = ("gate_proj", "up_proj", "down_proj", "act_fn")
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "none": functional.gelu,
    "tanh": partial(functional.gelu, approximate="tanh"),
}
"""By name; the last two as `gelu` calls its approximations."""


@contextmanager
def lean(model: Any) -> Iterator[None]:
    """While a float32 model on CPU goes forward, its norms and gated products are computed so; tried once a model."""
    if _KEPT not in vars(model):
        with torch.no_grad():
            vars(model)[_KEPT] = [(module, own) for module in model.modules() if (own := _forward(module)) is not None]
    forwards: list[tuple[nn.Module, Callable[[Tensor], Tensor]]] = vars(model)[_KEPT]
    for module, forward in forwards:
        vars(module)["forward"] = forward
    try:
        yield
    finally:
        for module, _ in forwards:
            vars(module).pop("forward", None)


def _forward(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """How a module is computed with less kept; None where it is of another kind."""
    if "forward" in vars(module):  # somebody's own
        return None
    weight = getattr(module, "weight", None)
    if type(module).__name__.endswith("RMSNorm") and isinstance(weight, Tensor) and weight.ndim == 1:
        probe = torch.linspace(-2, 3, 2 * len(weight)).view(2, -1)
        eps = getattr(module, "eps", None) or getattr(module, "variance_epsilon", None)
        ways = [partial(_normed, module, float(eps), offset) for offset in (0.0, 1.0)] if eps else []
    elif all(hasattr(module, name) for name in _PROJECTIONS) and len(list(module.children())) == len(_PROJECTIONS):
        wide = getattr(module.gate_proj, "in_features", None)
        probe = torch.linspace(-2, 3, 2 * wide).view(2, -1) if wide else torch.empty(0)
        ways = [partial(_gated, module, name) for name in _ACTIVATIONS] if wide else []
    else:
        return None
    if not ways or any(one.dtype != torch.float32 for one in module.parameters()):
        return None
    was_training = module.training
    module.eval()
    reference = module(probe)
    same = [way for way in ways if torch.allclose(way(probe), reference, rtol=1e-5, atol=1e-6)]
    module.train(was_training)
    return partial(_outside_autocast, module, same[0]) if len(same) == 1 else None


def _outside_autocast(module: Any, way: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    output: Tensor = type(module).forward(module, x) if torch.is_autocast_enabled("cpu") else way(x)
    return output


def _normed(module: Any, eps: float, offset: float, x: Tensor) -> Tensor:
    normed: Tensor = _Norm.apply(x, module.weight + offset if offset else module.weight, eps)  # type: ignore[no-untyped-call]
    return normed


def _gated(module: Any, name: str, x: Tensor) -> Tensor:
    gated: Tensor = module.down_proj(_Gated.apply(module.gate_proj(x), module.up_proj(x), name))  # type: ignore[no-untyped-call]
    return gated


class _Norm(torch.autograd.Function):
    """x over the root of its mean square, times a scale."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, eps: float) -> Tensor:
        rate = x.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, scale, rate)
        return (x * rate).mul_(scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, rate = ctx.saved_tensors
        normed = x * rate
        by_scale = (grad * normed).flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
        if not ctx.needs_input_grad[0]:
            return None, by_scale, None
        grad_normed = grad * scale
        along = (grad_normed * normed).mean(-1, keepdim=True)
        return grad_normed.sub_(normed.mul_(along)).mul_(rate), by_scale, None


class _Gated(torch.autograd.Function):
    """An activation of one side times the other."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, name: str) -> Tensor:
        ctx.save_for_backward(gate, up)
        ctx.name = name
        return _ACTIVATIONS[name](gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        gate, up = ctx.saved_tensors
        by_up = _ACTIVATIONS[ctx.name](gate).mul_(grad) if ctx.needs_input_grad[1] else None
        grad_activation = grad * up
        if ctx.name == "silu":
            by_gate = torch.ops.aten.silu_backward(grad_activation, gate)
        else:
            by_gate = torch.ops.aten.gelu_backward(grad_activation, gate, approximate=ctx.name)
        return by_gate, by_up, None
