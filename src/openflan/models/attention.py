"""Which attention kernel a batch goes through.

On CPU, plain matrix products are up to four times as fast as torch's fused kernel for short sequences and half as
fast for long ones (measured on two cores, 64 and 400 tokens, docs/lab-notes.md); elsewhere the fused kernel serves.

Invariant: the choice depends on the device and the batch's longest sequence alone, so results do not depend on what
ran before. Rejected: one kernel for all, which costs a factor of two or more at one end.
"""

from typing import Any

__all__ = ["set_attention"]

_SHORT = 192
"""Tokens up to which plain products are faster on CPU, with float32 and with bfloat16."""


def set_attention(model: Any, longest: int) -> None:
    """Set the kernel for a batch whose longest sequence has `longest` tokens."""
    wanted = "eager" if model.device.type == "cpu" and longest <= _SHORT else "sdpa"
    if model.config._attn_implementation != wanted:
        model.set_attn_implementation(wanted)
