"""How examples go through a model: its layout, its head, what may share a micro-batch.

Invariant: a pure function of the model and its device. Rejected: the store's examples as batches made ahead, which
another number of ranks or another memory would have to cut anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from openflan.mixture.store import TokenStore
from openflan.models.adapters import soft_prompt
from openflan.models.batching import even_rows, fill_rows, group_by_length
from openflan.models.family import Family, decoder_start, family_of
from openflan.models.flat import can_be_flat
from openflan.models.head_loss import Head
from openflan.models.llama import llama_body
from openflan.training.loss import Example, Layout, MicroBatch, collate, collate_halves

__all__ = ["Shape"]

_CACHED = 1_024
"""Padded tokens of a micro-batch on CPU, at most: what goes through a block stays in a core's cache, and a step has
enough micro-batches for all cores."""

_TABLE = 1 << 24
"""Numbers in a head from which on reading it is most of what few targets cost: of 262 thousand words, twelve targets
cost as much as sixty. Then examples of all lengths share a micro-batch."""
_JOINED = 192
"""Tokens of such a micro-batch, about. With 512 a step of Gemma 3 270M is 15 % faster, and takes .43 GB more."""
_JOINED_FROZEN = 512
"""The same where the head is frozen: nothing is kept for its weights, so there is room, and reading it is more of a
step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """How examples go through a model."""

    layout: Layout = "padded"
    head: Head | None = None
    """Where it is known, logits are made some at a time."""
    prefix: tuple[int, ...] = ()
    """Ids of a soft prompt, which come before every input."""
    start_id: int | None = None
    """What the decoder of a model of two halves reads first; None for decoder-only models."""
    family: Family | None = None
    """What may share a micro-batch; anything where it is None."""
    most: int = 1 << 30
    """Padded tokens of a micro-batch beyond which none gets faster."""
    about: int | None = None
    """Tokens of a flat row, where that is less."""

    @classmethod
    def of(cls, model: Any, *, reduced: bool = False, plain: bool = True) -> "Shape":
        """What suits a model on its device.

        Args:
            reduced: matrix products run in bfloat16.
            plain: it is trained by one process, with blocks that are neither compiled nor computed again.
        """
        family = family_of(model)
        on_cpu = model.device.type == "cpu"
        body = llama_body(model) if on_cpu and plain and not reduced else None
        head = Head.of(model)
        about = None
        if body is not None and body.trained:
            flat = True
        elif on_cpu:
            large = head is not None and head.linear.weight.numel() >= _TABLE
            flat = plain and not reduced and large and can_be_flat(model)
            if flat and head is not None:
                about = _JOINED if head.linear.weight.requires_grad else _JOINED_FROZEN
        else:
            flat = can_be_flat(model, reduced=reduced)
        return cls(
            layout="flat" if flat else "padded",
            head=head,
            prefix=tuple(soft_prompt(model)),
            start_id=decoder_start(model) if model.config.is_encoder_decoder else None,
            family=family,
            most=_CACHED if on_cpu else 1 << 30,
            about=about,
        )

    def groups(self, lengths: Sequence[int], tokens: int) -> list[list[int]]:
        """Examples cut into micro-batches of at most `tokens` tokens, the largest first."""
        tokens = min(tokens, max(self.most, *lengths))
        batching = self.family.batching_for(max(lengths)) if self.family is not None else "padded"
        if self.layout == "flat" and batching != "equal":
            if self.most > tokens:
                return fill_rows(lengths, padded_tokens=tokens)
            return even_rows(lengths, padded_tokens=tokens, about=self.about)
        groups = group_by_length(lengths, padded_tokens=tokens, batching=batching)
        return sorted(groups, key=lambda group: -len(group) * lengths[group[-1]])

    def collate(self, examples: Sequence[Example], device: torch.device) -> MicroBatch:
        """Examples as the model takes them."""
        if self.start_id is not None:
            return collate_halves(examples, device, start_id=self.start_id)
        return collate(examples, device, layout=self.layout)

    def example(self, store: TokenStore, prompt: int) -> Example:
        """A prompt of a store as the model reads it."""
        ids, start = store.tokens(prompt), store.target_start(prompt)
        prefix = self.prefix
        return (np.concatenate([prefix, ids]).astype(np.int32), start + len(prefix)) if prefix else (ids, start)
