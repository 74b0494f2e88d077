#!/usr/bin/env bash
# transformers 5.23.0 (torch 2.13.0), Phi-3 with LongRoPE.
#
# One would guess: with right padding and an attention mask, the loss of a sequence does not depend on the other
# sequences of its batch, and that a sequence within original_max_position_embeddings is always turned by short_factor.
#
# Behaviour: the factors are chosen once for a batch, by the largest position in it. One sequence beyond
# original_max_position_embeddings, or one column of nothing but padding, turns every row by long_factor. So a short
# text's loss in evaluation, and what it teaches in training, depends on its neighbours.
#
# Seen (a tiny model of random weights, 16 original positions, a text of 12 tokens, loss in nats a token):
#   neighbour of 12 tokens: 5.363; neighbour of 16 tokens: 5.363; neighbour of 17 tokens: 5.572;
#   neighbour of 12 tokens, padded to 17 columns: 5.572
#
# Fails when that changes.
set -eu
unset PYTHONPATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0

HF_HUB_OFFLINE=1 "$folder/venv/bin/python" -I - <<'PYTHON'
import torch
from transformers import Phi3Config, Phi3ForCausalLM

torch.manual_seed(0)
rope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 8, "long_factor": [8.0] * 8,
        "factor": 8.0, "original_max_position_embeddings": 16}
model = Phi3ForCausalLM(Phi3Config(
    vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=2, max_position_embeddings=128, original_max_position_embeddings=16, rope_parameters=rope,
    pad_token_id=0, bos_token_id=1, eos_token_id=2, initializer_range=0.2)).eval()
text = torch.randint(3, 100, (12,))


def loss(neighbour: int, columns: int) -> float:
    """Loss of the text beside a neighbour of so many tokens, both padded on the right to so many columns."""
    ids, mask = torch.zeros(2, columns, dtype=torch.long), torch.zeros(2, columns, dtype=torch.long)
    ids[0, :12], mask[0, :12] = text, 1
    ids[1, :neighbour], mask[1, :neighbour] = torch.randint(3, 100, (neighbour,)), 1
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    return torch.nn.functional.cross_entropy(logits[0, :11], text[1:]).item()


losses = {what: loss(*size) for what, size in {
    "neighbour of 12 tokens": (12, 12), "neighbour of 16 tokens": (16, 16), "neighbour of 17 tokens": (17, 17),
    "neighbour of 12 tokens, padded to 17 columns": (12, 17)}.items()}
print("; ".join(f"{what}: {value:.3f}" for what, value in losses.items()))
short, short16, long, padded = losses.values()
assert abs(short - short16) < 1e-4, "the loss depends on neighbours within the original length too"
assert abs(long - short) > 0.05 and abs(padded - long) < 1e-4, "the loss no longer depends on the neighbour"
PYTHON
