"""Optimizers and learning rates, from the libraries.

Adafactor as the paper names it (learning rate 3e-5, no schedule stated): factored second moments, update clipping
at 1, no relative step and no scaling by parameter size, so the stated rate is the rate used. AdamW decays matrices
only; norms and biases are left alone. Muon steps the matrices of the blocks and AdamW what is left, at one rate.

Invariant: the rate is a pure function of the step. Rejected: a scheduler object, one more state to save and resume.
"""

from math import cos, pi
from typing import Any

import torch
from torch import nn

from openflan.recipes.parts import OptimizerPart
from openflan.training.muon import MuonWithAdamW

__all__ = ["learning_rate", "make_optimizer"]


def make_optimizer(model: nn.Module, part: OptimizerPart, *, reduced: bool = False) -> torch.optim.Optimizer:
    """The recipe's optimizer over all trainable parameters.

    Args:
        reduced: let Muon orthogonalise in bfloat16.
    """
    if part.name == "muon":
        return MuonWithAdamW(
            model,
            learning_rate=part.learning_rate,
            matrix_rate=part.learning_rate,
            weight_decay=part.weight_decay,
            dtype=torch.bfloat16 if reduced else torch.float32,
        )
    trained = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": part.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if part.name == "adamw":
        return torch.optim.AdamW(groups, lr=part.learning_rate, betas=(0.9, 0.95), fused=True)
    from transformers.optimization import Adafactor

    optimizer: torch.optim.Optimizer = Adafactor(
        groups, lr=part.learning_rate, clip_threshold=1.0, scale_parameter=False, relative_step=False, warmup_init=False
    )
    return optimizer


def learning_rate(part: OptimizerPart, step: int, steps: int) -> float:
    """The learning rate of a step (0-based) of `steps`: linear warm-up, then constant, linear or cosine to 0."""
    if step < part.warmup_steps:
        return part.learning_rate * (step + 1) / part.warmup_steps
    done = (step - part.warmup_steps) / max(1, steps - part.warmup_steps)
    match part.schedule:
        case "constant":
            return part.learning_rate
        case "linear":
            return part.learning_rate * (1 - done)
        case "cosine":
            return part.learning_rate * (1 + cos(pi * done)) / 2
