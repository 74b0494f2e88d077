"""From the logits where options are predicted to what is known of each option: its log-likelihood, and whether greedy
writing begins with it.

Legend: N predicting positions, V vocabulary. Invariant: a position's normaliser is computed once, however many options
pass it. Cost: one pass over the logits for the largest, which their logarithm of summed exponentials needs too, and one
for the sum. Rejected: generating an answer to see whether it begins with an option, which the logits tell already.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Scored", "scored_options"]

_ROWS = 64
"""Rows of logits that are normalised at once."""


class Scored(NamedTuple):
    """One option after a prompt."""

    logprob: float
    """In nats."""
    likeliest: bool
    """Whether each of its tokens is the likeliest of the vocabulary at its place."""


def scored_options(logits: Tensor, rows: Sequence[int], tokens: Sequence[int], sizes: Sequence[int]) -> list[Scored]:
    """What is known of options.

    Args:
        logits: (N, V).
        rows: for each token of all options, one after the other, which of the logits predict it.
        tokens: those tokens.
        sizes: how many of them each option has.
    """
    row, picked = (torch.tensor(side, device=logits.device) for side in (rows, tokens))
    largest, whole = (torch.cat(side) for side in zip(*map(_normaliser, torch.split(logits, _ROWS)), strict=True))
    chosen = logits[row, picked]
    logprobs = torch.split((chosen - whole[row]).double().cpu(), list(sizes))
    greedy = torch.split((chosen >= largest[row]).cpu(), list(sizes))
    return [Scored(float(part.sum()), bool(first.all())) for part, first in zip(logprobs, greedy, strict=True)]


def _normaliser(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row the largest logit, and the logarithm of the sum of all exponentials."""
    largest = logits.amax(-1)
    return largest, largest + (logits - largest.unsqueeze(-1)).exp_().sum(-1).log()
