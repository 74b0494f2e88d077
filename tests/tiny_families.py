"""A tiny model of any family that transformers knows, from its configuration class alone.

Sizes are recognised by the names of a configuration's fields, in sub-configurations too; `_OWN` holds what a family
needs besides. Weights are drawn wide enough for predictions to be far from uniform, so that a test which compares
scores can fail, and no dropout is on, so that one which compares gradients can pass.
"""

import inspect
from typing import Any

import torch

__all__ = ["UNBUILT", "VOCABULARY", "build", "kinds", "tiny_config"]

VOCABULARY = 120
_WIDTH, _HEADS, _KV, _SIZE, _INNER, _POSITIONS = 32, 4, 2, 8, 48, 320


def _names(text: str, value: Any) -> dict[str, Any]:
    return dict.fromkeys(text.split(), value)


_SIZES = {
    **_names("vocab_size src_vocab_size tgt_vocab_size decoder_vocab_size text_vocab_size", VOCABULARY),
    **_names("hidden_size d_model n_embd dim embed_dim emb_dim embedding_size embedding_dim dim_model", _WIDTH),
    **_names("word_embed_proj_dim hidden_dim attention_hidden_size decoder_hidden_size lru_width", _WIDTH),
    **_names("num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads", _HEADS),
    **_names("num_encoder_attention_heads num_decoder_attention_heads encoder_num_attention_heads", _HEADS),
    **_names("decoder_num_attention_heads", _HEADS),
    **_names("num_key_value_heads num_kv_heads multi_query_group_num swa_num_key_value_heads", _KV),
    **_names("head_dim d_kv attention_head_size dim_head swa_head_dim", _SIZE),
    **_names("num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_blocks", 2),
    **_names("num_decoder_layers num_encoder_layers", 2),
    **_names("intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_ff n_inner dff d_inner dim_ff", _INNER),
    **_names("ffn_hidden_size feed_forward_size moe_intermediate_size shared_expert_intermediate_size", _INNER),
    **_names("intermediate_size_mlp expert_dim moe_shared_expert_intermediate_size shared_intermediate_size", _INNER),
    **_names("max_position_embeddings n_positions n_ctx max_seq_len seq_length max_source_positions", _POSITIONS),
    **_names("max_target_positions max_encoder_position_embeddings max_decoder_position_embeddings", _POSITIONS),
    **_names("num_experts num_local_experts n_routed_experts moe_num_experts num_routed_experts", 4),
    **_names("num_experts_per_tok num_experts_per_token moe_k moe_topk top_k_experts moe_top_k", 2),
    **_names("n_group topk_group num_expert_group num_groups", 1),
    **_names("n_shared_experts num_shared_experts moe_num_shared_experts", 1),
    **_names("kv_lora_rank q_lora_rank qk_nope_head_dim qk_rope_head_dim v_head_dim", _SIZE),
    **_names("first_k_dense_replace num_dense_layers", 1),
    **_names("mamba_n_heads", 8),
    **_names("mamba_d_state ssm_state_size state_size mamba_state_dim", _SIZE),
    **_names("mamba_d_head mamba_head_dim", _SIZE),
}
_DROPOUT = ("drop", "jitter")


UNBUILT = {
    "blt": "its four parts' sizes depend on each other",
    "dots3_note": "the vision half has no default sizes that fit",
    "gemma3n": "the vision half needs timm",
    "gemma4_assistant": "an assistant that reads another model's states",
    "gemma4_unified_assistant": "an assistant that reads another model's states",
    "musicgen": "a composite of three models, writes sound",
    "musicgen_melody": "a composite of three models, writes sound",
    "nemo_speechlm": "reads sound",
    "qwen4_exp": "the configuration's defaults make no model",
    "qwen4_exp_text": "the configuration's defaults make no model",
    "vibevoice_asr": "reads sound",
}
"""Kinds that no tiny configuration is made for, and why."""

_LATENT = {"num_key_value_heads": _HEADS}
_MAMBA = {"num_heads": 8, "head_dim": 8, "n_groups": 1}
_BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": _WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": _HEADS,
    "intermediate_size": _INNER,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
_OWN: dict[str, dict[str, Any]] = {
    "codegen": {"rotary_dim": 4},
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {
            k: {"rope_type": "default", "rope_theta": 1e4} for k in ("sliding_attention", "full_attention")
        },
    },
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": _INNER, "moe_top_k": 2},
    },
    "encoder-decoder": {
        "encoder": {"model_type": "bert", **_BERT},
        "decoder": {"model_type": "bert", "is_decoder": True, "add_cross_attention": True, **_BERT},
    },
    "falcon_h1": {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_ssm": 64},
    "gemma4_text": {"vocab_size_per_layer_input": VOCABULARY},
    "gemma4": {"text_config.vocab_size_per_layer_input": VOCABULARY},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gptj": {"rotary_dim": 4},
    "gemma3n_text": {"num_kv_shared_layers": 0, "vocab_size_per_layer_input": VOCABULARY},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": _MAMBA,
    "reformer": {
        "is_decoder": True,
        "attn_layers": ["local", "lsh"],
        "axial_pos_shape": [16, 20],
        "axial_pos_embds_dim": [16, 16],
        "local_attn_chunk_length": 8,
        "lsh_attn_chunk_length": 8,
        "num_buckets": 4,
        "hash_seed": 1,
    },
    "roc_bert": {
        "shape_vocab_size": 50,
        "pronunciation_vocab_size": 50,
        "shape_embed_dim": 8,
        "pronunciation_embed_dim": 8,
    },
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "num_hidden_layers": 3,
        "layers_block_type": ["mamba", "hybrid", "hybrid"],
        "tie_word_embeddings": True,
    },
    "zaya": {"num_experts_per_tok": 1, "num_experts": 4},
    "led": {"attention_window": [16, 16], "max_encoder_position_embeddings": _POSITIONS},
}
"""What a family needs besides, by its kind; `sub.field` reaches into a sub-configuration."""


def _fields(cls: type) -> list[str]:
    names: list[str] = []
    for parent in reversed(cls.__mro__):
        names += [n for n in getattr(parent, "__annotations__", {}) if not n.startswith("_")]
        if "__init__" in vars(parent):
            names += [n for n in inspect.signature(parent.__init__).parameters if n not in ("self", "kwargs")]
    return list(dict.fromkeys(names))


def _value(config: Any, name: str) -> Any:
    try:
        return getattr(config, name, None)
    except (AttributeError, ValueError, RuntimeError):  # differs from layer to layer
        return getattr(type(config), name, None)


def _shrunk(config: Any, own: dict[str, Any]) -> dict[str, Any]:
    """Arguments that make a small one of a configuration's kind."""
    cls = type(config)
    subs = {
        name: value for name in getattr(cls, "sub_configs", {}) if (value := getattr(config, name, None)) is not None
    }
    settings: dict[str, Any] = {}
    kinds = None
    latent = "qk_rope_head_dim" in _fields(cls)
    for name in _fields(cls):
        if name in subs or name in own:
            continue
        value = _value(config, name)
        if latent and name in _LATENT:
            settings[name] = _LATENT[name]
        elif name in ("layer_types", "layers_block_type", "mlp_layer_types") and isinstance(value, list):
            kinds = list(dict.fromkeys(value))
            settings[name] = (kinds * 2)[: max(2, len(kinds))]
        elif (name in _SIZES and isinstance(value, int | float) and not isinstance(value, bool)) or (
            value is None
            and name
            in ("head_dim", "num_key_value_heads", "n_routed_experts", "num_experts_per_tok", "n_shared_experts")
            and not (latent and name == "head_dim")
        ):
            settings[name] = _SIZES[name]
        elif name == "is_decoder":
            settings[name] = True
        elif any(word in name for word in _DROPOUT) and isinstance(value, float):
            settings[name] = 0.0
        elif name in ("initializer_range", "init_std") and isinstance(value, float):
            settings[name] = 0.2
        elif name.endswith("_token_id") and isinstance(value, int):
            settings[name] = (
                value if 0 <= value < VOCABULARY else {"bos": 2, "eos": 3, "pad": 1}.get(name.split("_")[0], 4)
            )
    if kinds is not None:
        depth = max(len(v) for n, v in settings.items() if n in ("layer_types", "layers_block_type", "mlp_layer_types"))
        for name, value in list(settings.items()):
            if name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"):
                settings[name] = depth
            elif name in ("layer_types", "layers_block_type", "mlp_layer_types"):
                settings[name] = (value * depth)[:depth]
    for name, value in subs.items():
        if name not in own:
            inner = {k.split(".", 1)[1]: v for k, v in own.items() if k.startswith(f"{name}.")}
            settings[name] = type(value)(**_shrunk(value, inner)) if not isinstance(value, dict) else value
    return settings | {name: value for name, value in own.items() if "." not in name}


def tiny_config(kind: str) -> Any:
    """A small configuration of a kind, as `config.json` would name it in `model_type`."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    cls = CONFIG_MAPPING[kind]
    own = _OWN.get(kind, {})
    if kind == "encoder-decoder":
        return cls(**own)
    return cls(**_shrunk(cls(), own))


def kinds() -> list[tuple[str, bool]]:
    """Every kind that transformers loads as a causal, then as a sequence-to-sequence language model (True)."""
    from transformers.models.auto import modeling_auto

    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    halves = modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    return [*((kind, False) for kind in causal), *((kind, True) for kind in halves)]


def build(kind: str, *, halves: bool = False, seed: int = 0, **changes: Any) -> Any:
    """A tiny model in evaluation mode, in the class that openflan would load it in.

    Args:
        halves: by the sequence-to-sequence mapping.
        changes: settings of its configuration.

    Raises:
        ValueError: it is in that mapping, but has no two halves and no causal class.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    config = tiny_config(kind)
    for name, value in changes.items():
        setattr(config, name, value)
    two = halves and bool(config.is_encoder_decoder)
    if two and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = 2 if kind.startswith("t5gemma") else 0
    torch.manual_seed(seed)
    model = (AutoModelForSeq2SeqLM if two else AutoModelForCausalLM).from_config(config)
    _widen(model)
    return model.eval()


def _widen(model: Any) -> None:
    """Weights wide enough for predictions to be far from uniform, biases and gates that do something."""
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.requires_grad or not parameter.is_floating_point():
                continue
            if parameter.ndim >= 2 and float(parameter.std()) < 0.15:
                parameter.normal_(0, 0.2)
            elif parameter.ndim == 1 and not parameter.any():
                parameter.normal_(0, 0.1)
