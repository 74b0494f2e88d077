"""An optimizer's step on a large vocabulary's table, some words at a time.

A whole gradient of 262 thousand words is 671 MB, and Adafactor makes three more tensors of that size. Here the rules of
torch's AdamW and of transformers' Adafactor are followed on parts of a table that stay in the processor's cache, each
part's gradient made as it is needed (models/word_tables.py). State lies in the optimizer, under its own names, so a
checkpoint can't tell.

Invariant: weights and state are those of `optimizer.step()` with the whole gradient, to float rounding. Rejected: rows
of the table as parameters of their own, for which Adafactor's column means would be of a part.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim.adamw import adamw

from openflan.models.word_tables import TableGradient

__all__ = ["step_tables"]


@torch.no_grad()
def step_tables(optimizer: torch.optim.Optimizer, gradients: Sequence[TableGradient]) -> None:
    """Take the step of each table."""
    for gradient in gradients:
        group = next(
            group
            for group in optimizer.param_groups
            if any(parameter is gradient.weight for parameter in group["params"])
        )
        step = _adafactor if "decay_rate" in group else _adamw
        step(gradient, optimizer.state[gradient.weight], group)


def _adamw(gradient: TableGradient, state: dict[str, Any], group: dict[str, Any]) -> None:
    weight = gradient.weight
    if not state:
        state["step"] = torch.tensor(0.0)
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
    for words, part in gradient.parts():
        adamw(
            [weight[words]],
            [part],
            [state["exp_avg"][words]],
            [state["exp_avg_sq"][words]],
            [],
            [state["step"].clone()],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
    state["step"] += 1


def _adafactor(gradient: TableGradient, state: dict[str, Any], group: dict[str, Any]) -> None:
    """Shazeer and Stern 2018, algorithm 4, without momentum and relative step, as `make_optimizer` sets it up."""
    weight = gradient.weight
    rows, columns = weight.new_zeros(len(weight)), torch.zeros(weight.shape[1], dtype=torch.float64)
    if not state:
        state["step"], state["RMS"] = 0, 0
        state["exp_avg_sq_row"], state["exp_avg_sq_col"] = rows.clone(), weight.new_zeros(weight.shape[1])
    state["step"] += 1
    beta2 = 1.0 - state["step"] ** group["decay_rate"]
    for words, part in gradient.parts():
        squares = part.square_().add_(group["eps"][0])
        rows[words] = squares.mean(1)
        columns += squares.sum(0)
    by_row, by_column = state["exp_avg_sq_row"], state["exp_avg_sq_col"]
    by_row.mul_(beta2).add_(rows, alpha=1.0 - beta2)
    by_column.mul_(beta2).add_((columns / len(weight)).float(), alpha=1.0 - beta2)
    row_factor, column_factor = (by_row / by_row.mean()).rsqrt_(), by_column.rsqrt()
    size = (gradient.square(row_factor.square(), column_factor.square()) / weight.numel()) ** 0.5
    row_factor.mul_(group["lr"] / max(1.0, size / group["clip_threshold"]))
    for words, part in gradient.parts():
        update = part.mul_(row_factor[words].unsqueeze(1)).mul_(column_factor)
        if group["weight_decay"] != 0:
            weight[words].mul_(1 - group["weight_decay"] * group["lr"])
        weight[words].sub_(update)
