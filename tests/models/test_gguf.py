"""A model from a GGUF file is the model that the file stands for, and one that can't be read rightly is refused."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("gguf")

import little_gguf
from little_gguf import write_file
from openflan.errors import UserError
from openflan.models import gguf
from openflan.models.gguf_export import write_gguf
from openflan.models.load import find_model, load_model, load_tokenizer
from openflan.recipes.recipe import make_recipe

TEXTS = ("The café was warm.", "  two  spaces\n\nand 12 digits", "Grüße, 東京 🙂", "a </s> b")
CONVERTER = Path(little_gguf.__file__)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("OPENFLAN_CACHE", str(folder))
    return folder


def opened(path):
    from openflan.recipes.parts import ModelPart

    return find_model(ModelPart(path=str(path)), Path(path))


def logits(model, ids):
    with torch.inference_mode():
        return model(input_ids=ids).logits


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_logits_are_those_of_the_dequantised_weights(model_folder, tmp_path, family):
    folder, path = model_folder(family), tmp_path / "little.gguf"
    meant = write_file(path, folder, quantised=True)
    model = load_model(opened(folder), device=torch.device("cpu"))
    ids = torch.randint(0, 400, (3, 20), generator=torch.Generator().manual_seed(1))
    before = logits(model, ids)
    state = {name: torch.from_numpy(value) for name, value in meant.items()}
    model.load_state_dict(state, strict=False)
    kept = load_model(opened(path), device=torch.device("cpu"))
    torch.testing.assert_close(logits(kept, ids), logits(model, ids), rtol=0, atol=1e-4)
    assert (logits(kept, ids) - before).abs().max() > 1e-3  # eight bits are seen


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_the_tokenizer_is_the_files(model_folder, tmp_path, family):
    folder, path = model_folder(family), tmp_path / "little.gguf"
    write_file(path, folder, metadata={"tokenizer.chat_template": "{{ messages[0].content }}"})
    own, read = load_tokenizer(opened(folder)), load_tokenizer(opened(path))
    assert [read(text).input_ids for text in TEXTS] == [own(text).input_ids for text in TEXTS]
    assert (read.bos_token_id, read.eos_token_id) == (own.bos_token_id, own.eos_token_id)
    assert read.chat_template == "{{ messages[0].content }}"


def test_a_file_is_read_once(model_folder, tmp_path, monkeypatch):
    path = tmp_path / "little.gguf"
    write_file(path, model_folder("llama"))
    first = opened(path).folder
    monkeypatch.setattr(gguf, "read_gguf", lambda *_: pytest.fail("read again"))
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(path.read_bytes())
    assert opened(path).folder == opened(copy).folder == first


def test_what_ends_a_turn_ends_an_answer(model_folder, tmp_path):
    path = tmp_path / "little.gguf"
    write_file(path, model_folder("qwen2"), metadata={"tokenizer.ggml.eot_token_id": 7})
    assert opened(path).ends == (1, 7)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-4_000])


def no_header(path):
    path.write_bytes(b"GGUF" + path.read_bytes()[:60])


FAULTS = {
    "cut off": ({}, cut_off, "damaged GGUF file"),
    "half a header": ({}, no_header, "damaged GGUF file"),
    "not one": ({}, lambda path: path.write_bytes(b"PK" * 50), "not a GGUF file"),
    "split": ({"metadata": {"split.count": 3}}, None, "one of 3 parts of a split file"),
    "unknown architecture": ({"architecture": "clip"}, None, "transformers can't read from GGUF (clip)"),
    "an adapter": ({"metadata": {"general.type": "adapter"}}, None, "holds no model but adapter"),
    "stretched": ({"tensors": {"rope_freqs.weight": np.ones(4, np.float32)}}, None, "rotary positions are stretched"),
    "scaled": ({"metadata": {"llama.rope.scaling.type": "yarn"}}, None, "rotary positions are stretched (yarn)"),
    "biases": ({"tensors": {"blk.0.attn_q.bias": np.ones(32, np.float32)}}, None, "weights and transformers makes"),
    "another BOS rule": ({"metadata": {"tokenizer.ggml.add_bos_token": False}}, None, ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_can_not_be_read_rightly_is_one_line_and_leaves_nothing(model_folder, tmp_path, cache, fault):
    settings, spoil, line = FAULTS[fault]
    path = tmp_path / "little.gguf"
    write_file(path, model_folder("llama"), **settings)
    if spoil is not None:
        spoil(path)
    if not line:  # a file may say that texts have no BOS; then they have none
        assert load_tokenizer(opened(path))("a").input_ids[0] != 0
        return
    with pytest.raises(UserError) as caught:
        opened(path)
    assert line in str(caught.value)
    assert "little.gguf" in str(caught.value)
    assert [name for name in cache.rglob("*") if name.is_dir() and name != cache / "gguf"] == []


def test_caps_that_transformers_takes_for_others_are_told(model_folder, tmp_path):
    path = tmp_path / "little.gguf"
    write_file(path, model_folder("gemma2"))
    with pytest.raises(UserError, match="softcapping is 10, and transformers makes it 50"):
        opened(path)


def test_a_part_is_known_by_its_name(tmp_path):
    path = tmp_path / "big-00002-of-00003.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(UserError, match="one of 3 parts"):
        opened(path)


def test_a_tokenizer_that_reads_otherwise_than_the_file_says_is_refused(model_folder, tmp_path, monkeypatch):
    path = tmp_path / "little.gguf"
    write_file(path, model_folder("llama"))
    plain = gguf._plain_tokenizer

    def other(*arguments):
        tokenizer = plain(*arguments)
        tokenizer.eos_token = "<s>"
        return tokenizer

    monkeypatch.setattr(gguf, "_plain_tokenizer", other)
    with pytest.raises(UserError, match="tokenizer is not the one that the file describes: eos is 0, not 1"):
        opened(path)


def test_without_the_library_the_remedy_is_named(model_folder, tmp_path, monkeypatch):
    path = tmp_path / "little.gguf"
    write_file(path, model_folder("llama"))
    monkeypatch.setattr(gguf, "find_spec", lambda _name: None)
    with pytest.raises(UserError, match=r'pip install "openflan\[gguf\]"'):
        opened(path)


def test_a_recipe_names_a_file_of_a_repository():
    def path(value):
        return make_recipe({"name": "r", "model": {"path": value}}, where="r.yaml", folder=Path()).model.path

    assert path({"hub": "owner/name", "file": "a-q4.gguf"}) == path("owner/name:a-q4.gguf") == "owner/name:a-q4.gguf"
    with pytest.raises(UserError, match=r"model\.path"):
        path({"hub": "owner/name"})
    with pytest.raises(UserError, match="no GGUF file"):
        path({"hub": "owner/name", "file": "model.safetensors"})


def test_a_file_that_is_not_there_is_one_line():
    with pytest.raises(UserError, match="no such file"):
        opened("nowhere/little.gguf")


def test_a_gguf_file_answers(openflan, model_folder, tmp_path):
    path = tmp_path / "little.gguf"
    write_file(path, model_folder("llama"), quantised=True)
    code, out, err = openflan("ask", "--model", path, "Good or bad?", "--options", "good,bad", "--json")
    assert (code, err) == (0, "")
    assert "good" in out


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_written_file_reads_as_the_model(model_folder, tmp_path, monkeypatch, family):
    folder, path = model_folder(family), tmp_path / "out" / "little.gguf"
    monkeypatch.setenv("CONVERT_HF_TO_GGUF", str(CONVERTER))
    write_gguf(folder, path)
    assert [child.name for child in path.parent.iterdir()] == ["little.gguf"]
    ids = torch.arange(2, 30)[None]
    sides = [logits(load_model(opened(place), device=torch.device("cpu")), ids) for place in (folder, path)]
    torch.testing.assert_close(*sides, rtol=0, atol=1e-3)


def test_a_file_that_reads_otherwise_is_not_kept(model_folder, tmp_path, monkeypatch):
    program = tmp_path / "rough.py"  # writes eight bits whatever it is asked for
    program.write_text(
        f"import sys; sys.path.insert(0, {str(CONVERTER.parent)!r})\nfrom pathlib import Path\n"
        "import little_gguf\nlittle_gguf.write_file(Path(sys.argv[3]), Path(sys.argv[1]), quantised=True)\n"
    )
    monkeypatch.setenv("CONVERT_HF_TO_GGUF", str(program))
    with pytest.raises(UserError, match="log-probabilities differ by"):
        write_gguf(model_folder("llama"), tmp_path / "out" / "little.gguf")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_converter_that_gives_up_is_one_line(model_folder, tmp_path, monkeypatch):
    program = tmp_path / "none.py"
    program.write_text("raise NotImplementedError('BPE pre-tokenizer was not recognized')")
    monkeypatch.setenv("CONVERT_HF_TO_GGUF", str(program))
    with pytest.raises(UserError, match=r"converter gave up .*BPE pre-tokenizer was not recognized"):
        write_gguf(model_folder("llama"), tmp_path / "out.gguf")


def test_the_converter_is_looked_for_on_the_path(model_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CONVERT_HF_TO_GGUF", raising=False)
    with pytest.raises(UserError, match="converter is not on the PATH"):
        write_gguf(model_folder("llama"), tmp_path / "out.gguf")
    program = tmp_path / "convert_hf_to_gguf.py"
    program.write_text(f"#!{sys.executable}\n{CONVERTER.read_text(encoding='utf-8')}")
    program.chmod(0o755)
    write_gguf(model_folder("llama"), tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("CONVERT_HF_TO_GGUF"), reason="names no convert_hf_to_gguf.py of llama.cpp")
def test_llama_cpps_own_converter_keeps_the_logits(shared, tmp_path):
    """Its name is in CONVERT_HF_TO_GGUF; the vocabulary is one that it knows (SmolLM2's)."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path / "model"
    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / "smollm2-tokenizer")
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=2, initializer_range=0.2, **sizes)
    config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_gguf(folder, tmp_path / "out.gguf")
    assert (tmp_path / "out.gguf").is_file()
