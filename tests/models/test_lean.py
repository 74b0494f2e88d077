"""Norms and gated products that keep less, against the families' own."""

import pytest
import torch

from openflan.models.lean import lean
from openflan.models.load import find_model, load_model
from openflan.recipes.parts import ModelPart

KINDS = {"llama": "LlamaRMSNorm", "gemma2": "Gemma2RMSNorm", "qwen2": "Qwen2RMSNorm"}


def gradients(model):
    model.zero_grad()
    ids = torch.arange(1, 31).view(2, 15) % 290
    model(input_ids=ids).logits.square().mean().backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


@pytest.fixture
def loaded(model_folder):
    def load(family):
        folder = model_folder(family)
        return load_model(find_model(ModelPart(path=str(folder)), folder), device=torch.device("cpu"))

    return load


def kept_for_the_way_back(model):
    """Bytes that autograd keeps of a forward, each storage once."""
    sizes = {}

    def pack(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model.model(input_ids=torch.arange(1, 201).view(10, 20) % 290).last_hidden_state.sum()
    assert loss.requires_grad
    return sum(sizes.values())


@pytest.mark.parametrize("family", KINDS)
def test_logits_and_gradients_are_the_familys_and_less_is_kept(loaded, family):
    model = loaded(family)
    expected, before = gradients(model), kept_for_the_way_back(model)
    with lean(model):
        kinds = {type(module).__name__ for module in model.modules() if "forward" in vars(module)}
        grads, after = gradients(model), kept_for_the_way_back(model)
    assert KINDS[family] in kinds
    assert any(name.endswith("MLP") for name in kinds)
    for name, grad in expected.items():
        torch.testing.assert_close(grads[name], grad, rtol=1e-4, atol=1e-7, msg=name)
    assert after < 0.9 * before
    assert not any("forward" in vars(module) for module in model.modules())


def test_modules_of_other_kinds_stay_as_they_are(loaded):
    model = loaded("gpt2")
    with lean(model):
        assert not any("forward" in vars(module) for module in model.modules())


def test_a_norm_that_does_more_than_its_name_says_stays_as_it_is(loaded):
    model = loaded("llama")
    inner = type(model.model.norm)

    class OtherRMSNorm(inner):
        def forward(self, x):
            return super().forward(x).tanh()

    model.model.norm.__class__ = OtherRMSNorm
    expected = gradients(model)
    with lean(model):
        assert "forward" not in vars(model.model.norm)
        grads = gradients(model)
    for name, grad in expected.items():
        torch.testing.assert_close(grads[name], grad, rtol=1e-4, atol=1e-7, msg=name)


def test_under_autocast_everything_is_the_familys_own(loaded):
    model = loaded("gemma2")
    with torch.autocast("cpu", torch.bfloat16):
        expected = gradients(model)
        with lean(model):
            grads = gradients(model)
    for name, grad in expected.items():
        assert torch.equal(grads[name], grad), name
