"""Tiny random models of several families in Hugging Face layout, with a real byte-level BPE tokenizer.

Weights are drawn wide enough for predictions to be far from uniform, so that a test which compares scores can fail.
"""

from pathlib import Path
from typing import Any

from little_tasks import all_texts

FAMILIES = ("llama", "gpt2", "gpt_neox", "qwen2", "gemma", "gemma2")

HALVES = ("t5", "t5-gated")
"""Encoder-decoders."""

POSITIONS = 256
_VOCABULARY = 400
_EMBEDDINGS = 408  # a few more rows than tokens, as many real models have
_ADD_BOS = ("llama", "gemma", "gemma2")


def write_model(folder: Path, family: str, *, dropout: float = 0.0, seed: int = 0) -> Path:
    """Save a model of hidden size 32 and 2 layers with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    tokenizer = make_tokenizer(bos=family in _ADD_BOS, eos=family in HALVES)
    torch.manual_seed(seed)
    kind = AutoModelForSeq2SeqLM if family in HALVES else AutoModelForCausalLM
    model = kind.from_config(_config(family, tokenizer, dropout))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(*, bos: bool, eos: bool = False) -> Any:
    """A byte-level BPE tokenizer trained on the texts of `little_tasks`.

    Args:
        bos: whether its rule starts a text with BOS, as Llama's does and GPT-2's does not.
        eos: whether its rule ends a text with EOS, as T5's does.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(all_texts(), trainer)
    if bos:
        core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    if eos:
        core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", model_max_length=POSITIONS)


def _config(family: str, tokenizer: Any, dropout: float) -> Any:
    import transformers as hf

    common = {
        "vocab_size": _EMBEDDINGS,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": POSITIONS,
        "initializer_range": 0.2,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": None,
    }
    grouped = common | {"num_key_value_heads": 2}
    match family:
        case "llama":
            return hf.LlamaConfig(**grouped)
        case "qwen2":
            return hf.Qwen2Config(**grouped)
        case "gemma":
            return hf.GemmaConfig(**grouped, head_dim=8)
        case "gemma2":
            return hf.Gemma2Config(
                **grouped,
                head_dim=8,
                query_pre_attn_scalar=8,
                sliding_window=16,
                final_logit_softcapping=5.0,
                attn_logit_softcapping=10.0,
            )
        case "gpt_neox":
            return hf.GPTNeoXConfig(**common)
        case "gpt2":
            del common["intermediate_size"]
            rates = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
            return hf.GPT2Config(**common, **rates)
        case "t5" | "t5-gated":
            gated = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False} if family == "t5-gated" else {}
            return hf.T5Config(
                vocab_size=_EMBEDDINGS,
                d_model=32,
                d_kv=8,
                d_ff=64,
                num_layers=2,
                num_heads=4,
                initializer_factor=0.3,
                dropout_rate=dropout,
                decoder_start_token_id=0,
                pad_token_id=0,
                eos_token_id=tokenizer.eos_token_id,
                **gated,
            )
    raise ValueError(family)
