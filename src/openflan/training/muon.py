"""Muon in a precision of one's choice.

`torch.optim.Muon` orthogonalises in bfloat16, which a CPU without such products does at a hundredth of its float32
speed: 0.7 s a step where the model's own work is 0.75 s. This one is the same optimizer (Nesterov momentum, five
Newton-Schulz steps, the rate scaled to AdamW's update size, decoupled weight decay) with the precision as a setting.

Invariant: in bfloat16 it makes torch's own weights. Cost: 0.04 s a step for 0.8 million weights, one core, float32.
Rejected: exchanging a private function of torch's module.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["Muon", "orthogonalised"]

_A, _B, _C = 3.4445, -4.7750, 2.0315
"""The quintic whose slope at zero is largest (Jordan et al. 2024)."""


def orthogonalised(matrix: Tensor, dtype: torch.dtype, *, steps: int = 5) -> Tensor:
    """The matrix with all its singular values brought near one, by Newton-Schulz steps."""
    update = matrix.to(dtype)
    tall = matrix.shape[0] > matrix.shape[1]
    update = update.T if tall else update
    update = update / update.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = update @ update.T
        update = torch.addmm(update, torch.addmm(gram, gram, gram, beta=_B, alpha=_C), update, beta=_A)
    return update.T if tall else update


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for the matrices of a model's blocks.

    Args:
        parameters: matrices; nothing else may be in it.
        lr: in units of AdamW's update size.
        dtype: in which updates are orthogonalised.
    """

    def __init__(
        self, parameters: Any, *, lr: float, weight_decay: float, momentum: float = 0.95, dtype: torch.dtype
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step; a closure is not supported."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                buffer = state.setdefault("momentum_buffer", torch.zeros_like(parameter.grad))
                buffer.lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonalised(parameter.grad.lerp(buffer, group["momentum"]), self._dtype)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * 0.2 * max(parameter.shape) ** 0.5)
