"""Call a model so that its LM head sees chosen positions only.

A prompt has hundreds of tokens and an answer one or two; the head is the largest matrix of a small model and its
logits the largest tensor of any. A hook gathers the wanted hidden states before the head and everything after it
(logit caps, scaling) runs as the model's author wrote it.

Legend: B sequences, T tokens, N wanted positions, H width, V vocabulary.
Invariant: equal to indexing the full logits. Cost: one gather. Rejected: calling the model's body and head apart,
which skips what a family does after its head (Gemma's soft cap, Cohere's scale).
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from openflan.models.attention import set_attention
from openflan.models.llama import llama_body

__all__ = ["WHOLE_LOGITS", "fewer_words", "logits_at", "states_at", "uncached", "unwrapped", "word_weights"]

_Positions = tuple[Tensor, Tensor]

WHOLE_LOGITS = "_openflan_whole_logits"
"""Set on a model whose head can't be hooked (models/family.py tries): its logits are made everywhere, then chosen."""


def unwrapped(model: Any) -> Any:
    """The model itself, where several processes train it in a wrapper (DDP)."""
    return getattr(model, "module", model)


def word_weights(model: Any) -> list[Tensor]:
    """The weights with a row a word, of the input embedding and the head; one where they are tied."""
    inner = unwrapped(model)
    parts = (inner.get_input_embeddings(), inner.get_output_embeddings())
    return list({id(part.weight): part.weight for part in parts if hasattr(part, "weight")}.values())


@contextmanager
def fewer_words(model: Any, least: int) -> Iterator[bool]:
    """Let a plain head make the logits of some words alone, spread over its vocabulary; yields whether it does.

    A vocabulary of 262 thousand words is two thirds of what a small model's forward reads. What follows the head may
    want all of them (a bias for each): then the forward fails.

    Args:
        least: so many words are left, and less than twice as many.
    """
    head = model.get_output_embeddings()
    step = len(head.weight) // least if type(head) is nn.Linear else 1
    if step <= 1:
        yield False
        return
    whole = head.weight, head.bias
    head.weight, head.bias = (part if part is None else nn.Parameter(part[::step], False) for part in whole)
    try:
        yield True
    finally:
        head.weight, head.bias = whole


def uncached(model: Any) -> dict[str, bool]:
    """That no key-value cache is wanted, to a model that can be told."""
    parameters = inspect.signature(unwrapped(model).forward).parameters
    open_ended = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return {"use_cache": False} if open_ended or "use_cache" in parameters else {}


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
    body = llama_body(inner) if inner is model else None
    if body is not None and body.takes(inputs):
        wanted = body.states(positions, inputs)
        with torch.set_grad_enabled(rows is None and torch.is_grad_enabled()):  # states alone are trained through
            return wanted, inner.get_output_embeddings()(wanted[:rows]).to(torch.float32)
    set_attention(inner, inputs["input_ids"].shape[1])
    sequences, tokens = positions
    if WHOLE_LOGITS in vars(inner):
        if rows is not None:
            raise RuntimeError(f"{type(inner).__name__} makes logits in a way of its own")
        return torch.empty(0), model(**inputs, **uncached(model)).logits[sequences, tokens].to(torch.float32)
    states: list[Tensor] = []

    def gather(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        wanted = args[0][sequences, tokens]
        states.append(wanted)
        return (wanted[:rows].unsqueeze(0), *args[1:])

    handle = inner.get_output_embeddings().register_forward_pre_hook(gather)
    try:
        logits: Tensor = model(**inputs, **uncached(model)).logits
    finally:
        handle.remove()
    return states[0], logits.squeeze(0).to(torch.float32)
