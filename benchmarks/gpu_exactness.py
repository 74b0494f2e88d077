"""Flat rows and padded batches against one example at a time, logits and gradients, for `gpu.py`.

The oracle is the family's own forward over one example, in float32: no code of openflan but the layouts is between.
In float32 both layouts must come within rounding of it. In bfloat16 nothing comes that near, one example at a time
neither; a layout is right there when it is no further from the float32 oracle than one at a time is, but for a quarter.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openflan.models import flat
from openflan.models.head import logits_at
from openflan.training.loss import Example, collate, laid_out
from openflan.training.shape import Shape
from side_by_side import Facts

__all__ = ["FAMILIES", "compare_layouts"]

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gemma3_text")
"""Kinds of transformers: grouped heads; biases; normed heads; capped scores and logits; windows and heads of 256."""

_SLACK = 1.25


@dataclass(frozen=True, kw_only=True, slots=True)
class _Outcome:
    """What a way of computing some examples gives."""

    logits: Tensor
    grads: list[Tensor]


def compare_layouts(kind: str, device: torch.device, *, reduced: bool, tiny: bool) -> Facts:
    """How far each layout is from one example at a time, and whether that is rounding.

    Args:
        reduced: in bfloat16.
    """
    model = _model(kind, device, tiny=tiny)
    chosen = Shape.of(model, reduced=reduced).layout
    examples = _examples(model.config.vocab_size, longest=60 if tiny else 700)
    truth = _alone(model, examples, reduced=False)
    alone = _alone(model, examples, reduced=True) if reduced else truth
    at_once = 0
    kernel = flat._at_once

    def counted(*sides: Any) -> Tensor:
        nonlocal at_once
        at_once += 1
        return kernel(*sides)

    flat._at_once = counted  # type: ignore[assignment]
    try:
        layouts = {name: _layout(model, examples, name, reduced=reduced) for name in ("padded", "flat")}
    finally:
        flat._at_once = kernel
    rounding = _apart(alone, truth)
    facts: Facts = {
        "chosen": chosen,
        "calls_of_the_variable_length_kernel": at_once,
        "largest_logit": float(truth.logits.abs().max()),
        "one_at_a_time": rounding,
    }
    agrees = True
    for name, outcome in layouts.items():
        apart = _apart(outcome, truth)
        facts[name] = apart
        if reduced:
            agrees &= all(apart[part] <= _SLACK * rounding[part] + 1e-4 for part in apart)
        else:
            agrees &= apart["logits"] <= 1e-4 and apart["gradients"] <= 1e-4
    return {**facts, "agrees": agrees}


def _model(kind: str, device: torch.device, *, tiny: bool) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes: dict[str, Any] = {
        "vocab_size": 300 if tiny else 8_192,
        "hidden_size": 32 if tiny else 512,
        "intermediate_size": 48 if tiny else 1_536,
        "num_hidden_layers": 2 if tiny else 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8 if tiny else 256 if kind.startswith("gemma") else 128,
        "max_position_embeddings": 2_048,
        "initializer_range": 0.08 if tiny else 0.04,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    if kind.startswith("gemma"):
        sizes |= {"sliding_window": 16 if tiny else 256, "query_pre_attn_scalar": sizes["head_dim"]}
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes)).float().eval()


def _examples(words: int, *, longest: int) -> list[Example]:
    random = np.random.default_rng(0)
    lengths = [longest, 3, longest // 2, 17, longest // 3, 2, longest // 5]
    return [(random.integers(2, words, size).astype(np.int32), max(1, size - 6)) for size in lengths]


def _alone(model: Any, examples: list[Example], *, reduced: bool) -> _Outcome:
    """By the family's own forward, with fused attention, as it comes."""
    model.set_attn_implementation("eager" if not getattr(model, "_supports_sdpa", True) else "sdpa")
    rows = []
    for ids, start in examples:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=reduced):
            tokens = torch.from_numpy(ids.astype(np.int64)).to(model.device)
            logits = model(input_ids=tokens[None], use_cache=False).logits[0, start - 1 : -1].float()
            torch.nn.functional.cross_entropy(logits, tokens[start:], reduction="sum").backward()
        rows.append(logits.detach())
    return _Outcome(logits=torch.cat(rows), grads=_taken(model))


def _layout(model: Any, examples: list[Example], layout: Any, *, reduced: bool) -> _Outcome:
    batch = collate(examples, model.device, layout=layout)
    with laid_out(model, batch):
        with torch.autocast(model.device.type, torch.bfloat16, enabled=reduced):
            logits = logits_at(model, batch.positions, **batch.inputs)
            total = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum")
        total.backward()  # type: ignore[no-untyped-call]
    return _Outcome(logits=logits.detach(), grads=_taken(model))


def _taken(model: Any) -> list[Tensor]:
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    model.zero_grad(set_to_none=True)
    return grads


def _apart(one: _Outcome, truth: _Outcome) -> dict[str, float]:
    """Differences as shares: of the largest logit, and of the norm of the whole gradient."""
    logits = (one.logits - truth.logits).abs().max() / truth.logits.abs().max()
    apart = sum(float((a - b).double().square().sum()) for a, b in zip(one.grads, truth.grads, strict=True))
    whole = sum(float(b.double().square().sum()) for b in truth.grads)
    return {"logits": float(f"{float(logits):.3g}"), "gradients": float(f"{(apart / whole) ** 0.5:.3g}")}
