"""Whether a model reads what it must not: later tokens of its own text, or another example's.

A masked language model (BERT) loads as one that writes text, and would see the answer it is to learn. So a model is
tried before it is tuned: a changed token must leave all before it as they were, and padding and neighbours in a batch
must change nothing.

Invariant: what passes gives the same logits in a batch as alone. Cost: three forwards of a few tokens.
Rejected: a list of families that are known to work, which is never whole.
"""

from typing import Any

import torch
from torch import Tensor

from openflan.errors import UserError
from openflan.models.head import logits_at

__all__ = ["check_isolation"]


def check_isolation(model: Any) -> None:
    """See to it that a model of one half reads from left to right and keeps the examples of a batch apart.

    Raises:
        UserError: it does not; its family is named.
    """
    if model.config.is_encoder_decoder:
        return
    words = min(int(model.config.get_text_config().vocab_size), 1_000)
    long = torch.arange(1, 10, device=model.device) * 7 % words
    other = long.clone()
    other[6:] = (other[6:] + 3) % words
    short = torch.zeros_like(long)
    short[:4] = long[:4]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        both = _logits(model, torch.stack([long, other]))
        alone = _logits(model, long[None])
        padded = _logits(model, torch.stack([short, long]))
    model.train(was_training)
    name = type(model).__name__
    how = "take a decoder-only or an encoder-decoder model"
    if not torch.allclose(both[0, :6], both[1, :6], rtol=1e-3, atol=1e-3):
        raise UserError(f"{name} sees later tokens, so it would read the answers", where="model.path", how=how)
    apart = torch.allclose(both[0], alone[0], rtol=1e-3, atol=1e-3)
    if not apart or not torch.allclose(padded[0, :4], alone[0, :4], rtol=1e-3, atol=1e-3):
        raise UserError(f"{name} lets the examples of a batch see each other", where="model.path", how=how)


def _logits(model: Any, ids: Tensor) -> Tensor:
    rows, tokens = torch.meshgrid(*(torch.arange(n, device=ids.device) for n in ids.shape), indexing="ij")
    return logits_at(model, (rows.reshape(-1), tokens.reshape(-1)), input_ids=ids).view(*ids.shape, -1)
