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
from torch import Tensor

from openflan.evaluation.bundles import Tokens
from openflan.evaluation.option_logits import Scored, scored_options
from openflan.models.batching import Batching
from openflan.models.family import decoder_start, encoded
from openflan.models.head import logits_at

__all__ = ["score_by_decoder"]


def score_by_decoder(
    model: Any, prompts: Sequence[Tokens], options: Sequence[Sequence[Tokens]], *, batching: Batching
) -> list[list[Scored]]:
    """What is known of each prompt's options.

    Args:
        batching: what may share a forward: options of a prompt, rows with padding, or nothing.
    """
    if batching == "single":
        return [[_alone(model, prompt, option) for option in own] for prompt, own in zip(prompts, options, strict=True)]
    packs = _packed(options) if batching == "together" else _apart(options)
    which = torch.tensor([prompt for prompt, _ in packs], device=model.device)
    start = decoder_start(model)
    fed = [[token for option in own for token in (start, *option[:-1])] for _, own in packs]
    width = max(map(len, fed))
    decoder_ids = torch.tensor([[*tokens, *[0] * (width - len(tokens))] for tokens in fed], device=model.device)
    places = [(number, token) for number, (_, own) in enumerate(packs) for token in range(sum(map(len, own)))]
    sequences, tokens = (torch.tensor(side, device=model.device) for side in zip(*places, strict=True))
    masks = {"decoder_attention_mask": _mask(packs, width, model.device)} if batching == "together" else {}
    inputs = encoded(model, prompts)
    outputs = inputs.pop("encoder_outputs")
    logits = logits_at(
        model,
        (sequences, tokens),
        **{name: value[which] for name, value in inputs.items()},
        encoder_outputs=type(outputs)(last_hidden_state=outputs.last_hidden_state[which]),
        decoder_input_ids=decoder_ids,
        **masks,
    )
    wanted = [token for _, own in packs for option in own for token in option]
    sizes = [len(option) for _, own in packs for option in own]
    scores = iter(scored_options(logits, range(len(wanted)), wanted, sizes))
    return [[next(scores) for _ in own] for own in options]


def _packed(options: Sequence[Sequence[Tokens]]) -> list[tuple[int, list[list[int]]]]:
    """All options of a prompt in one decoder sequence."""
    return [(number, [list(option) for option in own]) for number, own in enumerate(options)]


def _apart(options: Sequence[Sequence[Tokens]]) -> list[tuple[int, list[list[int]]]]:
    """A decoder sequence an option."""
    return [(number, [list(option)]) for number, own in enumerate(options) for option in own]


def _mask(packs: Sequence[tuple[int, list[list[int]]]], width: int, device: torch.device) -> Tensor:
    """(B, 1, D, D) Each option sees itself from left to right; padding must see something."""
    mask = torch.full((len(packs), width, width), torch.finfo(torch.float32).min, device=device)
    for number, (_, own) in enumerate(packs):
        first = 0
        for option in own:
            stop = first + len(option)
            mask[number, first:stop, first:stop].masked_fill_(
                torch.ones(len(option), len(option), dtype=torch.bool, device=device).tril(), 0.0
            )
            first = stop
        mask[number, first:, 0] = 0.0
    return mask.unsqueeze(1)


def _alone(model: Any, prompt: Tokens, option: Tokens) -> Scored:
    """What is known of one option by one forward of the whole model."""
    fed = [decoder_start(model), *option[:-1]]
    places = (torch.zeros(len(fed), dtype=torch.long, device=model.device), torch.arange(len(fed), device=model.device))
    ids, decoder_ids = (torch.tensor([side], device=model.device) for side in (list(prompt), fed))
    logits = logits_at(model, places, input_ids=ids, decoder_input_ids=decoder_ids)
    (scored,) = scored_options(logits, range(len(fed)), list(option), [len(fed)])
    return scored
