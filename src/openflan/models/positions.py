"""How long a sequence a loaded model takes.

Beyond its learnt positions a model fails deep inside an embedding, or with rotary ones goes on and gets worse without a
word; so lengths are held against the configuration first. Encoder-decoders that know distances only have no limit.

Invariant: `None` means no limit, never an unknown one. Rejected: the tokenizer's `model_max_length`, which many folders
leave at 10^30 or at another model's.
"""

from typing import Any

from openflan.errors import UserError
from openflan.models.adapters import soft_prompt

__all__ = ["check_positions", "positions_of"]

_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len")


def positions_of(model: Any) -> int | None:
    """Longest sequence that a model's configuration allows."""
    config = model.config.get_text_config()
    if hasattr(config, "relative_attention_num_buckets"):
        return None
    found = next((value for name in _NAMES if (value := getattr(config, name, None)) is not None), None)
    return None if found is None else int(found)


def check_positions(model: Any, prompt: int, answer: int, *, task: str) -> None:
    """See to it that a model takes a task's longest prompt with its longest answer.

    Args:
        prompt: tokens of the longest prompt, without a soft prompt.
        answer: tokens of the longest answer.

    Raises:
        UserError: it has fewer positions.
    """
    positions = positions_of(model)
    prompt += len(soft_prompt(model))
    longest = max(prompt, answer) if model.config.is_encoder_decoder else prompt + answer
    if positions is not None and longest > positions:
        raise UserError(
            f"a prompt with its answer has {longest:,} tokens and the model {positions:,} positions",
            where=task,
            how="lower prompts.max_input_tokens or evaluation.max_new_tokens",
        )
