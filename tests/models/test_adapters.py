"""Adapters compute what peft computes, train nothing else, and are read by peft and by us."""

import json

import peft
import pytest
import torch

from openflan.errors import UserError
from openflan.models.adapters import add_adapter, soft_prompt
from openflan.models.load import find_model, load_model
from openflan.recipes.parts import LoraPart, ModelPart, SoftPromptPart
from tiny_families import build

CPU = torch.device("cpu")
PARTS = {
    "lora": LoraPart(kind="lora", rank=4),
    "prompt": SoftPromptPart(kind="prompt", tokens=5),
}
IDS = torch.arange(10, 22).unsqueeze(0)


def loaded(folder):
    return load_model(find_model(ModelPart(path=str(folder)), folder), device=CPU)


def inputs(model, ids=IDS):
    return {"input_ids": ids} | ({"decoder_input_ids": IDS[:, :4]} if model.config.is_encoder_decoder else {})


def before(model):
    return torch.cat([torch.tensor([soft_prompt(model)], dtype=torch.long), IDS], dim=1)


def adapted(folder, kind):
    """A model with an adapter that does something, and what was trainable in it."""
    adapter = add_adapter(loaded(folder), PARTS[kind], seed=0, base=str(folder), words=lambda _text: [])
    trainable = [p for p in adapter.model.parameters() if p.requires_grad]
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trainable:
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return adapter, trainable


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma", "gpt_neox", "t5"])
def test_an_adapter_does_what_peft_makes_of_its_files_and_is_read_again(model_folder, tmp_path, family, kind):
    folder = model_folder(family)
    adapter, _ = adapted(folder, kind)
    adapter.save(tmp_path / "adapter")
    assert {p.name for p in (tmp_path / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    model = adapter.model.eval()
    again = load_model(find_model(ModelPart(path="x"), tmp_path / "adapter"), device=CPU)
    theirs = peft.PeftModel.from_pretrained(loaded(folder), tmp_path / "adapter").eval()
    with torch.inference_mode():
        plain = loaded(folder)(**inputs(model)).logits
        ours = model(**inputs(model, before(model))).logits[:, -plain.shape[1] :]
        read = again(**inputs(again, before(again))).logits[:, -plain.shape[1] :]
        known = theirs(**inputs(model)).logits[:, -plain.shape[1] :]
    torch.testing.assert_close(ours, known, rtol=0, atol=2e-5)
    torch.testing.assert_close(read, known, rtol=0, atol=2e-5)
    assert (ours - plain).abs().max() > 1e-3


@pytest.mark.parametrize("kind", PARTS)
def test_only_the_adapter_is_trained(tiny_llama, kind):
    adapter, trainable = adapted(tiny_llama, kind)
    adapter.model(**inputs(adapter.model, before(adapter.model))).logits.sum().backward()
    assert all(p.grad is not None for p in trainable)
    assert all(p.grad is None for p in adapter.model.parameters() if not p.requires_grad)
    assert sum(p.numel() for p in trainable) < 0.5 * sum(p.numel() for p in loaded(tiny_llama).parameters())


def test_a_soft_prompt_starts_from_the_words_it_is_given(tiny_llama):
    part = SoftPromptPart(kind="prompt", tokens=5, text="yes or no")
    adapter = add_adapter(loaded(tiny_llama), part, seed=0, base=str(tiny_llama), words=lambda _text: [7, 8, 9])
    words = adapter.model.get_input_embeddings()
    torch.testing.assert_close(words.vectors.data, words.weight[[7, 8, 9, 7, 8]].data)


SETTINGS = [
    ("llama", {"targets": "all-linear", "rank": 1, "alpha": 64}),
    ("llama", {"targets": ("q_proj", "lm_head"), "dropout": 0.3}),
    ("llama", {"targets": ("embed_tokens", "down_proj")}),
    ("gpt2", {"targets": ("c_attn", "c_proj", "c_fc"), "rank": 2, "alpha": 5}),
    ("gpt2", {"targets": "all-linear"}),
    ("falcon", {"targets": ("query_key_value",)}),
    ("mixtral", {"targets": "all-linear"}),
    ("mixtral", {"targets": ("v_proj",)}),
    ("gemma", {"targets": "all-linear"}),
    ("mamba", {"targets": ("in_proj", "x_proj")}),
    ("t5", {"targets": "all-linear"}),
    ("t5", {"targets": ("q", "v", "wo")}),
    ("bart", {"targets": ("q_proj", "fc1")}),
]


@pytest.mark.parametrize(("kind", "settings"), SETTINGS)
def test_merged_is_what_was_tuned(tmp_path, kind, settings):
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    build(kind, halves=kind in ("t5", "bart")).save_pretrained(base)
    added = add_adapter(loaded(base), LoraPart(kind="lora", **settings), seed=0, base=str(base), words=lambda _text: [])
    trainable = [p for p in added.model.parameters() if p.requires_grad]
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trainable:
            parameter.add_(torch.randn_like(parameter) * 0.1)
    added.save(adapter)
    merged = load_model(find_model(ModelPart(path="x"), adapter), device=CPU)
    merged.save_pretrained(tmp_path / "exported")
    with torch.inference_mode():
        before, tuned, measured, exported = (
            model(**inputs(model)).logits.log_softmax(-1)
            for model in (loaded(base), added.model.eval(), merged, loaded(tmp_path / "exported"))
        )
    torch.testing.assert_close(measured, tuned, rtol=0, atol=1e-4)
    torch.testing.assert_close(exported, tuned, rtol=0, atol=1e-4)
    assert (tuned - before).abs().max() > 1e-2


TIED = [
    ("llama", ("q_proj", "lm_head"), "lm_head shares its weights with model.embed_tokens"),
    ("llama", ("embed_tokens",), "embed_tokens shares its weights with lm_head"),
    ("gpt2", ("c_attn", "lm_head"), "lm_head shares its weights with transformer.wte"),
    ("t5", ("lm_head",), "lm_head shares its weights with"),
    ("bart", ("shared", "q_proj"), "shared"),
]


@pytest.mark.parametrize(("kind", "targets", "message"), TIED)
def test_layers_that_share_their_weights_are_refused_before_they_are_tuned(kind, targets, message):
    model = build(kind, halves=kind in ("t5", "bart"), tie_word_embeddings=True)
    part = LoraPart(kind="lora", targets=targets)
    with pytest.raises(UserError, match=message):
        add_adapter(model, part, seed=0, base="base", words=lambda _text: [])


def test_an_adapter_of_tied_layers_that_another_program_made_is_refused(tmp_path):
    build("llama", tie_word_embeddings=True).save_pretrained(tmp_path / "base")
    settings = peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["lm_head"])
    with pytest.warns(UserWarning, match="tie_word_embeddings"):
        peft.get_peft_model(loaded(tmp_path / "base"), settings).save_pretrained(tmp_path / "adapter")
    config = tmp_path / "adapter" / "adapter_config.json"
    known = json.loads(config.read_text()) | {"base_model_name_or_path": str(tmp_path / "base")}
    config.write_text(json.dumps(known))
    with pytest.raises(UserError, match="they are tied"):
        load_model(find_model(ModelPart(path="x"), tmp_path / "adapter"), device=CPU)


def test_trying_a_merge_changes_no_weight(tiny_llama):
    before = loaded(tiny_llama).state_dict()
    part = LoraPart(kind="lora", rank=4)
    added = add_adapter(loaded(tiny_llama), part, seed=0, base=str(tiny_llama), words=lambda _text: [])
    after = {name.replace(".base_layer", ""): value for name, value in added.model.state_dict().items()}
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(not value.any() for name, value in after.items() if "lora_B" in name)


def test_one_layer_of_several_that_is_not_there_is_told(tiny_llama):
    part = LoraPart(kind="lora", targets=("q_proj", "no_such_layer"))
    with pytest.raises(UserError, match="no_such_layer"):
        add_adapter(loaded(tiny_llama), part, seed=0, base=str(tiny_llama), words=lambda _text: [])


def test_what_peft_warns_of_is_passed_on(tiny_llama):
    part = LoraPart(kind="lora", targets=("q_proj",))
    model = loaded(tiny_llama)
    peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj"]))
    with pytest.warns(UserWarning, match="peft"):
        add_adapter(model, part, seed=0, base=str(tiny_llama), words=lambda _text: [])


def test_layers_that_are_not_there_are_told(tiny_llama):
    part = LoraPart(kind="lora", targets=("no_such_layer",))
    with pytest.raises(UserError, match="no_such_layer"):
        add_adapter(loaded(tiny_llama), part, seed=0, base=str(tiny_llama), words=lambda _text: [])


def test_an_adapter_without_its_base_is_told(tiny_llama, tmp_path):
    adapter, _ = adapted(tiny_llama, "lora")
    adapter.save(tmp_path / "adapter")
    config = tmp_path / "adapter" / "adapter_config.json"
    config.write_text(config.read_text().replace(str(tiny_llama), "/gone"))
    with pytest.raises(UserError, match="an adapter without its base"):
        find_model(ModelPart(path="x"), tmp_path / "adapter")
