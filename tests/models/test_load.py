"""A model folder is checked before anything else happens, and only safe weights are read."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from transformers import LlamaForCausalLM

from openflan.errors import UserError
from openflan.models.device import pick_precision
from openflan.models.family import family_of
from openflan.models.load import find_model, load_model, load_tokenizer
from openflan.recipes.parts import ModelPart


def find(folder):
    return find_model(ModelPart(path=str(folder)), folder)


@pytest.fixture
def copy(tiny_llama, tmp_path):
    return shutil.copytree(tiny_llama, tmp_path / "model")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="no such model folder; check the path, or give a hub id") as caught:
        find(tmp_path / "none")
    assert str(tmp_path / "none") in str(caught.value.where)


def test_owner_and_name_are_a_hub_id(tmp_path):
    source = find_model(ModelPart(path="owner/name", revision="abc"), tmp_path / "owner" / "name")
    assert (source.name, source.folder, source.revision) == ("owner/name", None, "abc")


def test_a_folder_is_preferred_to_a_hub_id(copy, monkeypatch):
    monkeypatch.chdir(copy.parent.parent)
    path = f"{copy.parent.name}/{copy.name}"
    assert find_model(ModelPart(path=path), copy).folder == copy


def test_a_folder_without_configuration_is_no_model(copy):
    (copy / "config.json").unlink()
    with pytest.raises(UserError, match=r"no config\.json"):
        find(copy)


def test_a_folder_without_weights_is_told(copy):
    (copy / "model.safetensors").unlink()
    with pytest.raises(UserError, match="a model folder without weights") as caught:
        find(copy)
    assert caught.value.where == str(copy)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "last.ckpt", "model.pkl"])
def test_a_pickle_checkpoint_is_refused_by_name_and_never_opened(copy, name):
    (copy / "model.safetensors").rename(copy / name)
    with pytest.raises(UserError, match=f"only a pickle checkpoint \\({name}\\).*safetensors"):
        find(copy)


def test_a_pickle_beside_safe_weights_is_left_alone(copy):
    (copy / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert load_model(find(copy), device=torch.device("cpu")).config.model_type == "llama"


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 100),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").write_text('{"model_type": "no_such_family"}'),
        lambda folder: (folder / "config.json").write_text('{"model_type": "vit"}'),
    ],
    ids=["broken weights", "broken configuration", "unknown family", "no causal model"],
)
def test_a_model_that_cannot_be_loaded_is_told_in_one_line(copy, damage):
    damage(copy)
    with pytest.raises(UserError, match=r"the (model|configuration) could not be loaded") as caught:
        load_model(find(copy), device=torch.device("cpu"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"num_hidden_layers": 3}, {"model_type": "gpt2"}, {"vocab_size": 500}])
def test_weights_that_do_not_belong_to_the_configuration_are_refused(copy, change):
    """transformers draws missing weights at random and says so in a warning that nobody sees."""
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UserError, match=r"check that config.json|could not be loaded"):
        load_model(find(copy), device=torch.device("cpu"))


def test_a_model_that_is_not_in_the_cache_is_told_where_no_hub_is_asked(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="not in the cache, and the hub is not asked; download it once without"):
        load_model(find_model(ModelPart(path="nobody/nothing"), Path("nobody/nothing")), device=torch.device("cpu"))


def test_a_folder_without_tokenizer_is_told(copy):
    (copy / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="tokenizer"):
        load_tokenizer(find(copy))


def test_a_model_comes_in_float32_ready_to_evaluate(any_model):
    model = load_model(find(any_model), device=torch.device("cpu"))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.training


def test_models_of_the_same_files_are_tried_once(copy):
    def load():
        called = []
        with register_module_forward_pre_hook(lambda module, _: called.append(type(module))):
            family = family_of(load_model(find(copy), device=torch.device("cpu")))
        return family, called.count(LlamaForCausalLM)

    family, tries = load()
    assert tries > 0
    assert load() == (family, 0)
    config = copy / "config.json"
    config.write_text(config.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert load() == (family, tries)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_the_fingerprint_follows_every_file_that_matters(copy, tiny_llama, name):
    assert find(copy).fingerprint == find(tiny_llama).fingerprint
    with (copy / name).open("ab") as file:
        file.write(b" ")
    assert find(copy).fingerprint != find(tiny_llama).fingerprint
    changed = find(copy).tokenizer_fingerprint != find(tiny_llama).tokenizer_fingerprint
    assert changed == (name == "tokenizer.json")


def test_the_longest_sequence_is_read_from_the_configuration(any_model):
    assert find(any_model).positions == 256


def test_the_starter_base_loads_like_any_other():
    source = find_model(ModelPart(), None)
    model = load_model(source, device=torch.device("cpu"))
    assert model.config.vocab_size >= len(load_tokenizer(source))


def test_a_stated_precision_is_kept():
    cpu = torch.device("cpu")
    assert pick_precision("float32", cpu) == "float32"
    assert pick_precision("bfloat16", cpu) == "bfloat16"
    assert pick_precision("auto", cpu) in ("float32", "bfloat16")
