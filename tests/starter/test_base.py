"""The shipped base model: an ordinary transformers folder with a tokenizer that knows the world's words."""

import json

import pytest

import openflan_starter
from openflan_starter.prose import document
from openflan_starter.world import all_words, world

_BASE = openflan_starter.BASE


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(_BASE)


def test_the_base_is_small():
    assert sum(path.stat().st_size for path in _BASE.iterdir()) <= 8_000_000
    assert (_BASE / "model.safetensors").stat().st_size <= 8_000_000


def test_the_base_loads_and_reads_prose_better_than_chance(tokenizer):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(_BASE).eval()
    assert sum(p.numel() for p in model.parameters()) <= 4_000_000
    assert model.config.max_position_embeddings >= 512
    ids = tokenizer([document(99, i) for i in range(8)], return_tensors="pt", padding=True)
    labels = ids["input_ids"].masked_fill(ids["attention_mask"] == 0, -100)
    with torch.no_grad():
        loss = model(**{k: v for k, v in ids.items() if k != "token_type_ids"}, labels=labels).loss
    assert float(loss) < 3.0


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "tom was at the mill.\nno, he wasn't!",
        "options:\n- yes\n- no",
        "12 + 30 = 42",
        "zoë drank 3 cups: naïve 日本 🙂",
        "a\n\nb\n",
    ],
)
def test_text_survives_the_tokenizer(tokenizer, text):
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_a_word_is_the_same_token_wherever_it_stands(tokenizer):
    alone = tokenizer("yes", add_special_tokens=False)["input_ids"]
    assert len(alone) == 1
    for text in ("say yes", "say\nyes", "- yes", 'say "yes', "say (yes", "Yes"):
        assert alone[0] in tokenizer(text, add_special_tokens=False)["input_ids"], text


def test_every_word_of_the_world_is_one_token(tokenizer):
    words = all_words(world())
    assert [w for w in words if len(tokenizer(w, add_special_tokens=False)["input_ids"]) != 1] == []
    assert len(tokenizer) <= 4_096


def test_the_pretraining_is_on_record():
    card = json.loads((_BASE / "pretraining.json").read_text())
    lines = [json.loads(line) for line in (_BASE / "loss.jsonl").read_text().splitlines()]
    assert card["tokens_seen"] == lines[-1]["tokens"]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert card["tokens_seen"] == sum(part["tokens_seen"] for part in card["parts"])
    for part in card["parts"]:
        assert {"tokens", "seed", "learning_rate"} <= set(part["settings"])
