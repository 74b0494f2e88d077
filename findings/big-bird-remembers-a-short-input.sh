#!/usr/bin/env bash
# transformers 5.23.0 (torch 2.13.0), BigBird with attention_type="block_sparse" (its default).
#
# One would guess: in eval mode a model's output is a function of its input; a short input, for which there are too few
# blocks, is computed with full attention, and the next long one with block sparse attention again.
#
# Behaviour: the first short input sets the model to full attention for good (a warning says "Changing attention type
# to 'original_full'", but not that it stays). The same long input is then answered differently, so scores depend on
# the order of the inputs. set_attention_type("block_sparse") brings the first output back, until the next short input.
#
# Seen (a tiny model of random weights; largest difference of log-probabilities, in nats, from the first answer to one
# input of 256 tokens):
#   asked again: 0.000; after one input of 16 tokens: 3.279 (original_full); set back: 0.000
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
from transformers import BigBirdConfig, BigBirdForMaskedLM

torch.manual_seed(0)
model = BigBirdForMaskedLM(BigBirdConfig(
    vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    max_position_embeddings=256, block_size=8, num_random_blocks=1, initializer_range=0.2)).eval()
long, short = torch.randint(3, 100, (1, 256)), torch.randint(3, 100, (1, 16))


def answer(ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids).logits.log_softmax(-1)


assert model.config.attention_type == model.bert.attention_type == "block_sparse"
first = answer(long)
again = (answer(long) - first).abs().max().item()
answer(short)
after, kept = (answer(long) - first).abs().max().item(), model.bert.attention_type
model.bert.set_attention_type("block_sparse")
restored = (answer(long) - first).abs().max().item()
print(f"asked again: {again:.3f}; after one input of 16 tokens: {after:.3f} ({kept}); set back: {restored:.3f}")
assert again < 1e-4 and restored < 1e-4, "block sparse attention does not repeat itself"
assert after > 0.1 and kept == "original_full", "a short input no longer changes later answers"
PYTHON
