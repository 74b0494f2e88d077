"""Ranking with an encoder-decoder model: the prompt is encoded once, its options are decoded.

Where the decoder knows distances only (T5's relative positions), the options of a prompt stand one after another in a
single decoder sequence, each seeing itself alone; cross-attention then reads the encoder's states once a prompt. A
decoder that counts positions from the start (BART) gets a row an option, over the same encoder states.

Legend: B prompts, T encoder tokens, D decoder tokens.
Invariant: equal to one forward an option within 1e-4 nats. Rejected: the input repeated for every option, as T0's own
evaluation does, which encodes a prompt K times.
"""

from collections.abc import Sequence
from typing import Any

import torch

from openflan.models.attention import set_attention
from openflan.models.head import logits_at

__all__ = ["score_by_decoder"]

Tokens = Sequence[int]


def score_by_decoder(model: Any, prompts: Sequence[Tokens], options: Sequence[Sequence[Tokens]]) -> list[list[float]]:
    """Log-likelihoods of each prompt's options."""
    from transformers.modeling_outputs import BaseModelOutput

    longest = max(map(len, prompts))
    ids = torch.tensor([[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts], device=model.device)
    real = torch.tensor([[1] * len(p) + [0] * (longest - len(p)) for p in prompts], device=model.device)
    set_attention(model, longest)
    states = model.get_encoder()(input_ids=ids, attention_mask=real).last_hidden_state
    packs = _packed(options) if _knows_distances_only(model) else _apart(options)
    which = torch.tensor([prompt for prompt, _ in packs], device=model.device)
    start = model.config.decoder_start_token_id
    fed = [[token for option in own for token in (start, *option[:-1])] for _, own in packs]
    width = max(map(len, fed))
    decoder_ids = torch.tensor([[*tokens, *[0] * (width - len(tokens))] for tokens in fed], device=model.device)
    mask = torch.full((len(packs), width, width), torch.finfo(torch.float32).min, device=model.device)
    sequences: list[int] = []
    tokens: list[int] = []
    wanted: list[int] = []
    sizes: list[int] = []
    for number, (_, own) in enumerate(packs):
        first = 0
        for option in own:
            stop = first + len(option)
            mask[number, first:stop, first:stop].masked_fill_(
                torch.ones(len(option), len(option), dtype=torch.bool, device=model.device).tril(), 0.0
            )
            sequences += [number] * len(option)
            tokens += range(first, stop)
            wanted += option
            sizes.append(len(option))
            first = stop
        mask[number, first:, 0] = 0.0  # padding must see something
    logits = logits_at(
        model,
        (torch.tensor(sequences, device=model.device), torch.tensor(tokens, device=model.device)),
        input_ids=ids[which],
        attention_mask=real[which],
        encoder_outputs=BaseModelOutput(last_hidden_state=states[which]),
        decoder_input_ids=decoder_ids,
        decoder_attention_mask=mask.unsqueeze(1),
    )
    picked = logits[torch.arange(len(wanted)), torch.tensor(wanted, device=model.device)] - logits.logsumexp(-1)
    sums = iter([float(part.sum()) for part in torch.split(picked.double().cpu(), sizes)])
    return [[next(sums) for _ in own] for own in options]


def _packed(options: Sequence[Sequence[Tokens]]) -> list[tuple[int, list[list[int]]]]:
    """All options of a prompt in one decoder sequence."""
    return [(number, [list(option) for option in own]) for number, own in enumerate(options)]


def _apart(options: Sequence[Sequence[Tokens]]) -> list[tuple[int, list[list[int]]]]:
    """A decoder sequence an option."""
    return [(number, [list(option)]) for number, own in enumerate(options) for option in own]


def _knows_distances_only(model: Any) -> bool:
    return hasattr(model.config, "relative_attention_num_buckets")
