"""Generation for tasks without options, greedy or by beams, in batches of like lengths.

Prompts of a decoder are padded on the left so that all continue at once, those of an encoder on the right. An answer
ends at any token that the model names as an end (EOS, an end of turn) or at a stop string (a blank line by default,
since an untuned model rarely gives EOS). Cost: one forward a new token and batch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from openflan.models.adapters import soft_prompt
from openflan.models.attention import set_attention
from openflan.models.batching import group_by_length
from openflan.models.llama import llama_body
from openflan.prompts.encoding import TextEncoder

__all__ = ["generate", "read_answer"]

_AT_ONCE = 64


def generate(
    model: Any,
    encoder: TextEncoder,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop: Sequence[str] = ("\n\n",),
    beams: int = 1,
    batch_tokens: int,
    autocast: bool = False,
    report: Callable[[int], None] = lambda _done: None,
) -> list[str]:
    """The model's answer to every prompt.

    Args:
        prompts: token ids as `TextEncoder.inputs` makes them.
        stop: texts that end an answer and are no part of it.
        beams: how many continuations are followed at once; 1 is greedy.
        batch_tokens: padded tokens of one batch, answers included.
        report: told how many prompts each batch finished.
    """
    stop = (*stop, *encoder.frame.stop_texts)
    prefix = soft_prompt(model)
    prompts = [[*prefix, *prompt] for prompt in prompts]
    halves = model.config.is_encoder_decoder
    answers = [""] * len(prompts)
    lengths = [len(prompt) + max_new_tokens for prompt in prompts]
    padding = encoder.eos if encoder.eos is not None else 0
    body = llama_body(model) if beams == 1 and not autocast else None
    stops = frozenset(encoder.frame.stops)

    def ended(ids: Sequence[int]) -> bool:
        return ids[-1] in stops or (bool(stop) and any(mark in encoder.text(ids, strip=False) for mark in stop))

    for whole in group_by_length(lengths, padded_tokens=batch_tokens):
        if body is not None and body.writes:
            rows = body.write([prompts[number] for number in whole], most=max_new_tokens, ended=ended)
            for number, row in zip(whole, rows, strict=True):
                answers[number] = read_answer(encoder, row, stop)
            report(len(whole))
            continue
        for start in range(0, len(whole), _AT_ONCE):
            group = whole[start : start + _AT_ONCE]
            longest = max(len(prompts[number]) for number in group)
            side = slice(None) if halves else slice(None, None, -1)
            pads = [([padding] * (longest - len(prompts[number])), prompts[number]) for number in group]
            ids = [[token for part in (gap, own)[:: -1 if halves else 1] for token in part] for gap, own in pads]
            mask = [([1] * len(own) + [0] * len(gap))[side] for gap, own in pads]
            set_attention(model, longest)  # training may have left the one for flat rows
            with (
                torch.inference_mode(),
                torch.autocast(model.device.type, torch.bfloat16, enabled=autocast),
                _own_settings(model),
            ):
                output = model.generate(
                    input_ids=torch.tensor(ids, device=model.device),
                    attention_mask=torch.tensor(mask, device=model.device),
                    max_new_tokens=max_new_tokens,
                    do_sample=False,
                    num_beams=beams,
                    stopping_criteria=_stops(encoder, stop, 1 if halves else longest),
                    use_cache=True,
                    pad_token_id=padding,
                    eos_token_id=list(encoder.frame.stops) or None,
                    **({"decoder_start_token_id": model.config.decoder_start_token_id} if halves else {}),
                )
            for number, row in zip(group, output[:, 1 if halves else longest :].tolist(), strict=True):
                answers[number] = read_answer(encoder, row, stop)
            report(len(group))
    return answers


def read_answer(encoder: TextEncoder, ids: Sequence[int], stop: Sequence[str]) -> str:
    """Generated token ids as a text, up to the first token or string that ends it."""
    text = encoder.text(encoder.answer(ids), strip=False)
    ends = [place for place in (text.find(mark) for mark in stop) if place >= 0]
    return text[: min(ends, default=len(text))].strip()


def _stops(encoder: TextEncoder, stop: Sequence[str], start: int) -> Any:
    """What tells transformers which answers hold a stop string already, so that a batch ends with its last."""
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Stops(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            texts = [encoder.text(row, strip=False) for row in input_ids[:, start:].tolist()]
            done = [any(mark in text for mark in stop) for text in texts]
            return torch.tensor(done, dtype=torch.bool, device=input_ids.device)

    return StoppingCriteriaList([Stops()] if stop else [])


@contextmanager
def _own_settings(model: Any) -> Iterator[None]:
    """Put aside what the model's folder says about sampling; transformers would add its repetition penalty to ours."""
    from transformers import GenerationConfig

    stated = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = stated
