"""Call a model so that its LM head sees chosen positions only.

A prompt has hundreds of tokens and an answer one or two; the head is the largest matrix of a small model and its
logits the largest tensor of any. A hook gathers the wanted hidden states before the head and everything after it
(logit caps, scaling) runs as the model's author wrote it.

Legend: B sequences, T tokens, N wanted positions, V vocabulary.
Invariant: equal to indexing the full logits. Cost: one gather. Rejected: calling the model's body and head apart,
which skips what a family does after its head (Gemma's soft cap, Cohere's scale).
"""

from typing import Any

import torch
from torch import Tensor, nn

from openflan.models.attention import set_attention

__all__ = ["logits_at"]


def logits_at(model: nn.Module, positions: tuple[Tensor, Tensor], **inputs: Tensor) -> Tensor:
    """Logits at chosen positions.

    Args:
        positions: sequence numbers and token positions, each (N,).
        inputs: passed to the model; input_ids (B, T) and whatever goes with them.

    Returns:
        (N, V) float32 logits of the token after each position.
    """
    inner: Any = getattr(model, "module", model)  # a wrapper of several processes
    set_attention(inner, inputs["input_ids"].shape[1])
    head = inner.get_output_embeddings()
    sequences, tokens = positions

    def gather(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = args[0]
        return (hidden[sequences, tokens].unsqueeze(0), *args[1:])

    handle = head.register_forward_pre_hook(gather)
    try:
        logits: Tensor = model(**inputs, use_cache=False).logits
    finally:
        handle.remove()
    return logits.squeeze(0).to(torch.float32)
