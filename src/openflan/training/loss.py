"""The loss: cross-entropy of target tokens, with the LM head at target positions alone.

Wei et al. 2022 train a decoder on (input, target) and count the targets only. The caller divides by the target
tokens of the whole optimizer step, so micro-batches add up to the mean over the step however it is cut.

    padded    (B, T)  examples of like lengths, one a row     CPU, and families whose attention can't be chosen
    flat      (1, T)  examples end to end (models/flat.py)     CUDA
    two halves        inputs to the encoder, targets to the decoder (T5)

Legend: B examples, T tokens of a row, D tokens of the longest target, N target tokens.
Invariant: padding and the cut into micro-batches change nothing but float rounding. Rejected: the mean of
micro-batch means, which weighs tokens of short targets more (the accumulation bug of many trainers).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from openflan.models.flat import flat_row
from openflan.models.head import logits_at, states_at
from openflan.models.head_loss import Head
from openflan.models.word_tables import WordTables

__all__ = ["Example", "Layout", "MicroBatch", "collate", "collate_halves", "laid_out", "target_loss"]

Layout = Literal["padded", "flat"]
Example = tuple[NDArray[np.int32], int]
"""Token ids, and where the target starts in them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MicroBatch:
    """Examples as the model takes them; what is padded is never attended to."""

    inputs: dict[str, Tensor]
    """`input_ids`, 0 where padded, and what goes with them."""
    positions: tuple[Tensor, Tensor]
    """Where target tokens are predicted: row and token numbers, each (N,)."""
    targets: Tensor
    """(N,) the target tokens themselves."""
    members: Tensor
    """(N,) which example a target token belongs to."""
    borders: tuple[int, ...] = ()
    """Where examples begin in a flat row, and its end."""


def collate(examples: Sequence[Example], device: torch.device, *, layout: Layout = "padded") -> MicroBatch:
    """Lay out examples for a decoder."""
    lengths = [len(ids) for ids, _ in examples]
    members = np.repeat(np.arange(len(examples)), [len(ids) - start for ids, start in examples])
    targets = np.concatenate([ids[start:] for ids, start in examples]).astype(np.int64)
    tokens = np.concatenate([np.arange(start - 1, len(ids) - 1) for ids, start in examples])
    if layout == "flat":
        borders = np.cumsum([0, *lengths])
        row = {
            "input_ids": np.concatenate([ids for ids, _ in examples]).astype(np.int64)[None],
            "position_ids": np.concatenate([np.arange(size) for size in lengths])[None],
        }
        where = (np.zeros_like(members), tokens + borders[members])
        return _batch(row, where, targets, members, device, borders=tuple(borders.tolist()))
    return _batch({"input_ids": _padded([ids for ids, _ in examples])}, (members, tokens), targets, members, device)


def collate_halves(examples: Sequence[Example], device: torch.device, *, start_id: int) -> MicroBatch:
    """Lay out examples for an encoder and a decoder.

    Args:
        start_id: what the decoder reads first.
    """
    sources = [ids[:start] for ids, start in examples]
    targets = [ids[start:] for ids, start in examples]
    sizes = [len(target) for target in targets]
    inputs = {
        "input_ids": _padded(sources),
        "attention_mask": _padded([np.ones(len(source), np.int64) for source in sources]),
        "decoder_input_ids": _padded([np.concatenate([[start_id], target[:-1]]) for target in targets]),
    }
    members = np.repeat(np.arange(len(examples)), sizes)
    where = (members, np.concatenate([np.arange(size) for size in sizes]))
    return _batch(inputs, where, np.concatenate(targets).astype(np.int64), members, device)


def target_loss(
    model: nn.Module,
    batch: MicroBatch,
    head: Head | None = None,
    *,
    tables: WordTables | None = None,
    times: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the target tokens.

    Args:
        head: the model's, where it is known (`Head.of`): then logits are made some at a time.
        tables: large ones, whose gradients are added at once, times `times`.
        times: what the sum is going to be multiplied by.

    Returns:
        Their sum, which gradients flow through, and each one's (N,), detached; in nats.
    """
    if head is None:
        logits = logits_at(model, batch.positions, **batch.inputs)
        losses = functional.cross_entropy(logits, batch.targets, reduction="none")
        return losses.sum(), losses.detach()
    with nullcontext() if tables is None else tables.caught():
        states, first = states_at(model, batch.positions, **batch.inputs)
    into = None if tables is None else tables.of(head.linear.weight)
    total, each = head.loss(states, batch.targets, into=into, times=times)
    if tables is not None:  # one process
        return total, each
    return total + 0.0 * first.sum(), each  # sharded weights wait for a gradient of the model's own output


@contextmanager
def laid_out(model: nn.Module, batch: MicroBatch) -> Iterator[None]:
    """While a batch goes forward and back."""
    if batch.borders:
        with flat_row(model, batch.borders):
            yield
    else:
        yield


def _padded(rows: Sequence[NDArray[np.integer]]) -> NDArray[np.int64]:
    padded = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def _batch(
    inputs: dict[str, NDArray[np.int64]],
    positions: tuple[NDArray[np.int64], NDArray[np.int64]],
    targets: NDArray[np.int64],
    members: NDArray[np.int64],
    device: torch.device,
    borders: tuple[int, ...] = (),
) -> MicroBatch:
    row, token = (torch.from_numpy(np.ascontiguousarray(side)).to(device) for side in positions)
    return MicroBatch(
        inputs={name: torch.from_numpy(np.ascontiguousarray(ids)).to(device) for name, ids in inputs.items()},
        positions=(row, token),
        targets=torch.from_numpy(targets).to(device),
        members=torch.from_numpy(members).to(device),
        borders=borders,
    )
