"""GGUF files of tiny models, written by the `gguf` library as llama.cpp's converter lays them out.

Names come from the library's own table; what a family's tensors go through (Llama's rotary halves turned over, Gemma's
norms stored with one added) is told here as llama.cpp's converter does it. Called as a program it takes the converter's
arguments: python little_gguf.py FOLDER --outfile FILE --outtype f32
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ARCHITECTURES = {"llama": "LLAMA", "qwen2": "QWEN2", "gemma2": "GEMMA2"}


def write_file(
    path: Path,
    folder: Path,
    *,
    quantised: bool = False,
    metadata: dict[str, Any] | None = None,
    tensors: dict[str, np.ndarray] | None = None,
    architecture: str | None = None,
) -> dict[str, np.ndarray]:
    """Write a model folder as a GGUF file.

    Args:
        quantised: matrices as blocks of eight bits (Q8_0).
        metadata: more of it, or other than the model's.
        tensors: more of them, by GGUF name.
        architecture: another name than the model's.

    Returns:
        The weights that the file stands for, by the model's own names.
    """
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = gguf.MODEL_ARCH[ARCHITECTURES[config["model_type"]]]
    writer = gguf.GGUFWriter(path, architecture or gguf.MODEL_ARCH_NAMES[kind])
    writer.add_name("little")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_rope_dimension_count(size)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_freq_base((config.get("rope_parameters") or {}).get("rope_theta", 10_000.0))
    if config["model_type"] == "gemma2":
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
        writer.add_sliding_window(config["sliding_window"])
    _add_tokenizer(writer, folder, rows=config["vocab_size"])
    for name, value in (metadata or {}).items():
        add = {bool: writer.add_bool, int: writer.add_uint32, str: writer.add_string, float: writer.add_float32}
        writer.kv_data[0].pop(name, None)
        add[type(value)](name, value)
    names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])
    meant = {}
    for name, value in load_file(folder / "model.safetensors").items():
        stored = value.astype(np.float32)
        if quantised and stored.ndim == 2:
            blocks = gguf.quantize(_turned(stored, name, config), gguf.GGMLQuantizationType.Q8_0)
            plain = gguf.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(_named(names, name), blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
            meant[name] = _turned(plain, name, config, back=True)
        else:
            shifted = stored + 1 if config["model_type"] == "gemma2" and "norm" in name else stored
            writer.add_tensor(_named(names, name), _turned(shifted, name, config))
            meant[name] = stored
    for name, value in (tensors or {}).items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meant


def _named(names: Any, name: str) -> str:
    tensor_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
    assert tensor_name, name
    return str(tensor_name)


def _turned(value: np.ndarray, name: str, config: dict[str, Any], *, back: bool = False) -> np.ndarray:
    """Llama's queries and keys, whose two rotary halves llama.cpp interleaves."""
    if config["model_type"] != "llama" or not any(part in name for part in ("q_proj", "k_proj")):
        return value
    heads = config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"]
    split = (heads, -1, 2) if back else (heads, 2, value.shape[0] // heads // 2)
    return np.ascontiguousarray(value.reshape(*split, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape))


def _add_tokenizer(writer: Any, folder: Path, *, rows: int) -> None:
    """The byte-level vocabulary of the folder, filled up to the model's rows as llama.cpp's converter fills it."""
    import gguf

    whole = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    words = {number: word for word, number in whole["model"]["vocab"].items()}
    special = {token["id"]: token["content"] for token in whole["added_tokens"] if token["special"]}
    words |= special
    kinds = gguf.TokenType
    types = [kinds.CONTROL if n in special else kinds.NORMAL if n in words else kinds.UNUSED for n in range(rows)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([words.get(number, f"[PAD{number}]") for number in range(rows)])
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in whole["model"]["merges"]])
    ids = {word: number for number, word in special.items()}
    writer.add_bos_token_id(ids["<s>"])
    writer.add_eos_token_id(ids["</s>"])
    writer.add_add_bos_token("<s>" in json.dumps(whole["post_processor"]))
    writer.add_add_eos_token(False)
    template = folder / "chat_template.jinja"
    if template.is_file():
        writer.add_chat_template(template.read_text(encoding="utf-8"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--outfile", type=Path)
    parser.add_argument("--outtype")
    arguments = parser.parse_args()
    write_file(arguments.outfile, arguments.folder, quantised=arguments.outtype != "f32")
    sys.exit(0)
