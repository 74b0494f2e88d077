#!/usr/bin/env bash
# transformers 5.23.0 (torch 2.13.0), ProphetNetForCausalLM.
#
# One would guess: it is a causal decoder, so that what follows a token cannot change the log-probabilities at it, and
# an answer can be scored after its prompt in one forward or token by token.
#
# Behaviour: the log-probabilities of the earlier positions depend on how many tokens follow. Which token is
# appended makes no difference, that one is appended does. So scores of a prompt's tokens, or of an option that begins
# another, are not those of a longer text with the same beginning.
#
# Seen (a tiny model of random weights, the default ngram of 2; largest difference of log-probabilities, in nats, at the
# first 12 positions):
#   same input again: 0.000; another appended token: 0.000; one appended or none: 2.196
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
from transformers import ProphetNetConfig, ProphetNetForCausalLM

torch.manual_seed(0)
model = ProphetNetForCausalLM(ProphetNetConfig(
    vocab_size=100, hidden_size=32, encoder_ffn_dim=64, decoder_ffn_dim=64, num_encoder_layers=2, num_decoder_layers=2,
    num_encoder_attention_heads=2, num_decoder_attention_heads=2, max_position_embeddings=64, init_std=0.2,
    is_decoder=True, is_encoder_decoder=False, add_cross_attention=False)).eval()
ids = torch.randint(3, 100, (1, 12))


def answer(*appended: int) -> torch.Tensor:
    with torch.no_grad():
        longer = torch.cat([ids, torch.tensor([appended], dtype=torch.long)], dim=1)
        return model(input_ids=longer, use_cache=False).logits[:, :12].log_softmax(-1)


def differ(one: torch.Tensor, other: torch.Tensor) -> float:
    return (one - other).abs().max().item()


again, token, length = differ(answer(), answer()), differ(answer(5), answer(50)), differ(answer(), answer(5))
print(f"same input again: {again:.3f}; another appended token: {token:.3f}; one appended or none: {length:.3f}")
assert again < 1e-4 and token < 1e-4, "the output depends on more than the length"
assert length > 0.1, "the output no longer depends on the length"
PYTHON
