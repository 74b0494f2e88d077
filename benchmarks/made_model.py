"""A Llama with random weights and a vocabulary of the benchmark's own texts, where a benchmark states a shape.

Speed depends on shapes and lengths, not on what weights have learnt; and the shapes that goals are stated for are not
among small pretrained models that can be carried along.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["MADE", "make_model", "make_tokenizer"]

MADE = "made"
"""What `--model` says for it."""


def make_model(folder: Path, texts: Iterable[str], *, vocabulary: int, positions: int = 1_280, **sizes: int) -> None:
    """Write model and tokenizer.

    Args:
        texts: what the vocabulary is learnt from.
        sizes: of the configuration: hidden_size, intermediate_size, num_hidden_layers, num_attention_heads.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        max_position_embeddings=positions,
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        **sizes,  # type: ignore[arg-type]
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    make_tokenizer(texts, vocabulary=vocabulary).save_pretrained(folder)


def make_tokenizer(texts: Iterable[str], *, vocabulary: int) -> Any:
    """A tokenizer of byte-level BPE with at most so many words, learnt from texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    words = {"vocab_size": vocabulary, "special_tokens": ["<s>", "</s>"], "initial_alphabet": alphabet}
    core.train_from_iterator(texts, trainers.BpeTrainer(**words, show_progress=False))
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="</s>")
