"""Adapters compute what peft computes, train nothing else, and are read by peft and by us."""

import peft
import pytest
import torch

from openflan.errors import UserError
from openflan.models.adapters import add_adapter, soft_prompt
from openflan.models.load import find_model, load_model
from openflan.recipes.parts import LoraPart, ModelPart, SoftPromptPart

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
    made = add_adapter(loaded(folder), PARTS[kind], seed=0, base=str(folder), words=lambda _text: [])
    trainable = [p for p in made.model.parameters() if p.requires_grad]
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trainable:
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return made, trainable


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma", "gpt_neox", "t5"])
def test_an_adapter_does_what_peft_makes_of_its_files_and_is_read_again(model_folder, tmp_path, family, kind):
    folder = model_folder(family)
    made, _ = adapted(folder, kind)
    made.save(tmp_path / "adapter")
    assert {p.name for p in (tmp_path / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    model = made.model.eval()
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
    made, trainable = adapted(tiny_llama, kind)
    made.model(**inputs(made.model, before(made.model))).logits.sum().backward()
    assert all(p.grad is not None for p in trainable)
    assert all(p.grad is None for p in made.model.parameters() if not p.requires_grad)
    assert sum(p.numel() for p in trainable) < 0.5 * sum(p.numel() for p in loaded(tiny_llama).parameters())


def test_a_soft_prompt_starts_from_the_words_it_is_given(tiny_llama):
    part = SoftPromptPart(kind="prompt", tokens=5, text="yes or no")
    made = add_adapter(loaded(tiny_llama), part, seed=0, base=str(tiny_llama), words=lambda _text: [7, 8, 9])
    words = made.model.get_input_embeddings()
    torch.testing.assert_close(words.vectors.data, words.weight[[7, 8, 9, 7, 8]].data)


def test_layers_that_are_not_there_are_told(tiny_llama):
    part = LoraPart(kind="lora", targets=("no_such_layer",))
    with pytest.raises(UserError, match="no_such_layer"):
        add_adapter(loaded(tiny_llama), part, seed=0, base=str(tiny_llama), words=lambda _text: [])


def test_an_adapter_without_its_base_is_told(tiny_llama, tmp_path):
    made, _ = adapted(tiny_llama, "lora")
    made.save(tmp_path / "adapter")
    config = tmp_path / "adapter" / "adapter_config.json"
    config.write_text(config.read_text().replace(str(tiny_llama), "/gone"))
    with pytest.raises(UserError, match="an adapter without its base"):
        find_model(ModelPart(path="x"), tmp_path / "adapter")
