#!/usr/bin/env bash
# peft 0.21.2 (transformers 5.23.0, torch 2.13.0), LoraConfig(target_modules=[...]).
#
# One would guess: every name must match a module, for a name that matches none is an error when it is the only one.
#
# Behaviour: one match among several is enough. A misspelt name is neither an error nor a warning, its modules are not
# tuned, and the adapter's stored configuration still lists it as if they were.
#
# Seen (a Llama model of two layers, the names q_proj and "v_porj"):
#   v_porj alone: ValueError: Target modules {'v_porj'} not found in the base model.
#   with q_proj: tuned ['q_proj'], stored ['q_proj', 'v_porj'], warnings []
#
# Fails when that changes.
set -eu
unset PYTHONPATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2

HF_HUB_OFFLINE=1 "$folder/venv/bin/python" -I - "$folder/adapter" <<'PYTHON'
import json
import sys
import warnings

from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM


def adapted(*names: str):
    base = LlamaForCausalLM(LlamaConfig(vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                                        num_attention_heads=2))
    return get_peft_model(base, LoraConfig(r=2, target_modules=list(names), task_type="CAUSAL_LM"))


try:
    alone = f"accepted: {adapted('v_porj').targeted_module_names}"
except ValueError as error:
    alone = f"ValueError: {error}"
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = adapted("q_proj", "v_porj")
warned = [str(one.message) for one in caught if "v_porj" in str(one.message) or "target" in str(one.message)]
tuned = sorted({name.split(".lora_")[0].split(".")[-1] for name, _ in model.named_parameters() if ".lora_" in name})
model.save_pretrained(sys.argv[1])
with open(f"{sys.argv[1]}/adapter_config.json") as file:
    stored = sorted(json.load(file)["target_modules"])
print(f"v_porj alone: {alone[:67]}\nwith q_proj: tuned {tuned}, stored {stored}, warnings {warned}")
assert alone.startswith("ValueError"), "a misspelt name alone is accepted"
assert tuned == ["q_proj"] and stored == ["q_proj", "v_porj"] and not warned, "a misspelt name among others is noticed"
PYTHON
