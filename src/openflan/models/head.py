"""Call a model so that its LM head sees chosen positions only.

A prompt has hundreds of tokens and an answer one or two; the head is the largest matrix of a small model and its
logits the largest tensor of any. A hook gathers the wanted hidden states before the head and everything after it
(logit caps, scaling) runs as the model's author wrote it.

Legend: B sequences, T tokens, N wanted positions, H width, V vocabulary.
Invariant: equal to indexing the full logits. Cost: one gather. Rejected: calling the model's body and head apart,
which skips what a family does after its head (Gemma's soft cap, Cohere's scale).
"""

from typing import Any

import torch
from torch import Tensor, nn

from openflan.models.attention import set_attention

__all__ = ["logits_at", "states_at", "unwrapped"]

_Positions = tuple[Tensor, Tensor]


def unwrapped(model: Any) -> Any:
    """The model itself, where several processes train it in a wrapper (DDP)."""
    return getattr(model, "module", model)


def logits_at(model: nn.Module, positions: _Positions, **inputs: Any) -> Tensor:
    """Logits at chosen positions.

    Args:
        positions: sequence numbers and token positions (the decoder's, where there are two halves), each (N,).
        inputs: passed to the model; input_ids (B, T) and whatever goes with them.

    Returns:
        (N, V) float32 logits of the token after each position.
    """
    _, logits = _call(model, positions, None, inputs)
    return logits


def states_at(model: nn.Module, positions: _Positions, **inputs: Any) -> tuple[Tensor, Tensor]:
    """Hidden states that the head would turn into logits at chosen positions, and the logits of the first alone.

    Returns:
        (N, H) states and (1, V) float32 logits; the second are what the model's own code makes of the first state.
    """
    return _call(model, positions, 1, inputs)


def _call(model: nn.Module, positions: _Positions, rows: int | None, inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Call the model while its head sees the first `rows` of the wanted positions: all their states, these logits."""
    inner = unwrapped(model)
    set_attention(inner, inputs["input_ids"].shape[1])
    sequences, tokens = positions
    states: list[Tensor] = []

    def gather(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        wanted = args[0][sequences, tokens]
        states.append(wanted)
        return (wanted[:rows].unsqueeze(0), *args[1:])

    handle = inner.get_output_embeddings().register_forward_pre_hook(gather)
    try:
        logits: Tensor = model(**inputs, use_cache=False).logits
    finally:
        handle.remove()
    return states[0], logits.squeeze(0).to(torch.float32)
