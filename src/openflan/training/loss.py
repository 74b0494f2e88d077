"""The loss: cross-entropy of target tokens, with the LM head at target positions alone.

Wei et al. 2022 train a decoder on (input, target) and count the targets only. The caller divides by the target
tokens of the whole optimizer step, so micro-batches add up to the mean over the step however it is cut.

Legend: B examples, T tokens of the longest, N target tokens, V vocabulary.
Invariant: padding and the cut into micro-batches change nothing but float rounding. Rejected: the mean of
micro-batch means, which weighs tokens of short targets more (the accumulation bug of many trainers).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from openflan.models.head import logits_at

__all__ = ["MicroBatch", "collate", "target_loss"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MicroBatch:
    """Examples padded on the right to one length; causal attention never reaches the padding."""

    input_ids: Tensor
    """(B, T) token ids, 0 where padded."""
    positions: tuple[Tensor, Tensor]
    """Where target tokens are predicted: sequence and token numbers, each (N,)."""
    targets: Tensor
    """(N,) the target tokens themselves."""


def collate(examples: Sequence[tuple[NDArray[np.int32], int]], device: torch.device) -> MicroBatch:
    """Pad examples, each token ids with the index where its target starts."""
    longest = max(len(ids) for ids, _ in examples)
    padded = np.zeros((len(examples), longest), dtype=np.int64)
    sequences, tokens = [], []
    for number, (ids, start) in enumerate(examples):
        padded[number, : len(ids)] = ids
        tokens.append(np.arange(start - 1, len(ids) - 1))
        sequences.append(np.full(len(ids) - start, number))
    sequence, token = np.concatenate(sequences), np.concatenate(tokens)
    return MicroBatch(
        input_ids=torch.from_numpy(padded).to(device),
        positions=(torch.from_numpy(sequence).to(device), torch.from_numpy(token).to(device)),
        targets=torch.from_numpy(padded[sequence, token + 1]).to(device),
    )


def target_loss(model: nn.Module, batch: MicroBatch) -> Tensor:
    """Cross-entropy of each target token, (N,) in nats."""
    logits = logits_at(model, batch.positions, input_ids=batch.input_ids)
    return functional.cross_entropy(logits, batch.targets, reduction="none")
