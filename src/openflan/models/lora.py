"""A linear layer with a LoRA update in two passes over its output where peft makes five.

    forward     y = x·Wᵀ, then y += (x·Aᵀ)·(s·B)ᵀ in place
    way back    dx = dy·W, then dx += (s·dy·B)·A in place; dA and dB from dy·B and x·Aᵀ, of rank r

peft makes the update a tensor of its own, scales it into a second and adds that into a third, each as large as the
layer's output, and the same on the way back; of a small model on CPU that is a tenth of a step.

Invariant: output and gradients are peft's but for rounding. What is not plain (dropout, autocast, several adapters,
quantised or trained bases, variants as DoRA, compiled blocks) goes peft's own way; so does everything but `forward`.
"""

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["LoraLinear", "shorten"]


class LoraLinear(Linear):
    """A LoRA layer as peft makes it; its plain forward is shorter."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """As peft's."""
        if args or kwargs or not self._is_plain(x):
            return super().forward(x, *args, **kwargs)
        (name,) = self.active_adapters
        base, one, two = self.base_layer, self.lora_A[name], self.lora_B[name]
        return _Updated.apply(x, base.weight, base.bias, one.weight, two.weight, float(self.scaling[name]))  # type: ignore[no-untyped-call]

    def _is_plain(self, x: Tensor) -> bool:
        names = self.active_adapters
        if self.disable_adapters or self.merged or len(names) != 1 or names[0] not in self.lora_A:
            return False
        if torch.compiler.is_compiling() or torch.is_autocast_enabled(x.device.type):
            return False
        dropout = self.lora_dropout[names[0]]
        if names[0] in self.lora_variant or not (type(dropout) is nn.Identity or not dropout.training):
            return False
        base, low = self.base_layer, (self.lora_A[names[0]], self.lora_B[names[0]])
        frozen = not any(weight.requires_grad for weight in base.parameters())
        return (
            frozen
            and all(map(_is_bare, (base, *low)))
            and all(part.bias is None for part in low)
            and _alike(x, base.weight, low[0].weight, low[1].weight)
        )


def shorten(model: Any) -> None:
    """Let the LoRA layers of a model go the short way, in place."""
    for part in model.modules():
        if type(part) is Linear:
            part.__class__ = LoraLinear


def _is_bare(part: nn.Module) -> bool:
    """Whether a linear layer is nothing but one."""
    return type(part) is nn.Linear and not (part._forward_hooks or part._forward_pre_hooks or "forward" in vars(part))


def _alike(x: Tensor, *weights: Any) -> bool:
    return all(type(weight) is nn.Parameter and weight.dtype == x.dtype for weight in weights)


class _Updated(torch.autograd.Function):
    """x·Wᵀ + bias + s·(x·Aᵀ)·Bᵀ."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, one: Tensor, two: Tensor, scale: float
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        low = rows @ one.T
        output = rows @ weight.T if bias is None else torch.addmm(bias, rows, weight.T)
        ctx.save_for_backward(rows, low, weight, one, two)
        ctx.scale = scale
        return output.addmm_(low, two.T, alpha=scale).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, low, weight, one, two = ctx.saved_tensors
        back = grad.reshape(-1, grad.shape[-1])
        inner = (back @ two).mul_(ctx.scale)
        by_x = (back @ weight).addmm_(inner, one).view(*grad.shape[:-1], -1) if ctx.needs_input_grad[0] else None
        by_one = inner.T @ rows if ctx.needs_input_grad[3] else None
        by_two = (back.T @ low).mul_(ctx.scale) if ctx.needs_input_grad[4] else None
        return by_x, None, None, by_one, by_two, None
