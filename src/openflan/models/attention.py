"""Which attention kernel a batch goes through.

On CPU, plain matrix products are up to four times as fast as torch's fused kernel for short sequences and half as
fast for long ones (measured on two cores, 64 and 400 tokens, docs/lab-notes.md); elsewhere the fused kernel serves.
Examples laid end to end in one row go through `models/flat.py`.

Invariant: the choice depends on the device and the batch's longest sequence alone, so results do not depend on what
ran before. Rejected: one kernel for all, which costs a factor of two or more at one end.
"""

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BORDERS", "FLAT", "SHORT", "additive_mask", "obeys_mask", "set_attention"]

FLAT = "openflan_flat"
"""Name of the kernel for rows of examples end to end."""

BORDERS = "_openflan_borders"
"""Where a model and its modules keep the borders of the examples in the row that is under way. Not an argument of the
model: a family need not hand what it does not know on to its attention, and checkpointed blocks run again on the way
back, in another thread."""

SHORT = 192
"""Tokens up to which plain products are faster on CPU, with float32 and with bfloat16."""


def set_attention(model: Any, longest: int) -> None:
    """Set the kernel for a batch whose longest sequence has `longest` tokens; `models/flat.py` sets its own."""
    fused = getattr(model, "_supports_sdpa", True)  # transformers has no fused kernel for some families (Gemma 2)
    wanted = "eager" if not fused or (model.device.type == "cpu" and longest <= SHORT) else "sdpa"
    wanted = FLAT if BORDERS in vars(model) else wanted
    if model.config._attn_implementation != wanted:
        model.set_attn_implementation(wanted)


def additive_mask(sees: "Tensor") -> "Tensor":
    """(B, T, T) What a token sees as (B, 1, T, T) float32 numbers to add to its scores, made where `sees` is."""
    import torch

    mask = torch.zeros(sees.shape, device=sees.device).masked_fill_(~sees, torch.finfo(torch.float32).min)
    return mask.unsqueeze(1)


def obeys_mask(model: Any, longest: int) -> bool:
    """Whether a model of this kind attends exactly as an explicit mask and positions say.

    Not so where layers look back through a window that is shorter than `longest` tokens (Gemma 2, Mistral), where
    they are no plain attention (Mamba), or where distance is counted without positions (Bloom).
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    if kinds - {"full_attention", "sliding_attention"}:
        return False
    window = getattr(config, "sliding_window", None) or getattr(config, "window_size", None)
    if kinds != {"full_attention"} and window is not None and window < longest:
        return False
    return "position_ids" in _parameters(type(model))  # type: ignore[arg-type]


@cache
def _parameters(family: Any) -> frozenset[str]:
    """Names of what a family's forward takes; looking takes a quarter of a millisecond."""
    return frozenset(inspect.signature(family.forward).parameters)
