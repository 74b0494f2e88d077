"""How long a sequence a model takes, and how many words it knows.

Beyond its learnt positions a model fails deep inside an embedding, or with rotary ones goes on and gets worse without a
word; so lengths are held against the configuration first. Encoder-decoders that know distances only have no limit.

Invariant: `None` means no limit, never an unknown one. Rejected: the tokenizer's `model_max_length`, which many folders
leave at 10^30 or at another model's.
"""

from collections.abc import Mapping
from typing import Any

from openflan.errors import UserError
from openflan.prompts.encoding import TextEncoder

__all__ = ["DISTANCES_ONLY", "check_positions", "check_vocabulary", "positions_in", "positions_of"]

DISTANCES_ONLY = ("t5", "mt5", "longt5", "umt5", "switch_transformers")
"""Encoder-decoders that know distances instead of positions: their `n_positions` is no limit."""

_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "max_encoder_position_embeddings")
_AFTER_PADDING = (
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "camembert",
    "data2vec-text",
    "xmod",
)
"""Kinds that count positions from the one after the padding id, so that the first ones are never used."""


def positions_in(config: Mapping[str, Any]) -> int | None:
    """Longest sequence that a model's `config.json` allows."""
    if "relative_attention_num_buckets" in config or config.get("model_type") in DISTANCES_ONLY:
        return None
    size = next((value for name in _NAMES if (value := config.get(name)) is not None), None)
    if size is not None and config.get("model_type") in _AFTER_PADDING:
        size -= int(config.get("pad_token_id", 1)) + 1
    return None if size is None else int(size)


def positions_of(model: Any) -> int | None:
    """Longest sequence that a loaded model's configuration allows."""
    config = model.config.get_text_config()
    names = ("relative_attention_num_buckets", "model_type", "pad_token_id", *_NAMES)
    return positions_in({name: getattr(config, name) for name in names if hasattr(config, name)})


def check_positions(model: Any, prompt: int, answer: int, *, task: str) -> None:
    """See to it that a model takes a task's longest prompt with its longest answer.

    Args:
        prompt: tokens of the longest prompt, without a soft prompt.
        answer: tokens of the longest answer.

    Raises:
        UserError: it has fewer positions.
    """
    from openflan.models.adapters import soft_prompt

    positions = positions_of(model)
    prompt += len(soft_prompt(model))
    longest = max(prompt, answer) if model.config.is_encoder_decoder else prompt + answer
    if positions is not None and longest > positions:
        raise UserError(
            f"a prompt with its answer has {longest:,} tokens and the model {positions:,} positions",
            where=task,
            how="lower prompts.max_input_tokens or evaluation.max_new_tokens",
        )


def check_vocabulary(model: Any, encoder: TextEncoder) -> None:
    """See to it that the model knows every token of its tokenizer.

    Raises:
        UserError: it has fewer rows of embeddings.
    """
    rows = int(model.get_input_embeddings().weight.shape[0])
    if encoder.largest >= rows:
        raise UserError(
            f"the tokenizer's ids go up to {encoder.largest:,}, and the model has {rows:,} embeddings",
            where=str(getattr(model, "name_or_path", "") or type(model).__name__),
            how="put the tokenizer that belongs to the model beside it",
        )
