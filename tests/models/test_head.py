"""The head at chosen positions equals the full logits there."""

import pytest
import torch

from openflan.models.attention import set_attention
from openflan.models.head import logits_at
from openflan.models.load import find_model, load_model
from openflan.recipes.parts import ModelPart


def loaded(folder):
    return load_model(find_model(ModelPart(path=str(folder)), folder), device=torch.device("cpu"))


@pytest.mark.parametrize("length", [12, 200])
def test_logits_at_positions_are_the_full_logits_there(any_model, length):
    model = loaded(any_model)
    ids = torch.randint(2, 300, (3, length), generator=torch.Generator().manual_seed(1))
    positions = (torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, length - 1, 3, 2, length // 2]))
    with torch.inference_mode():
        chosen = logits_at(model, positions, input_ids=ids)
        full = model(input_ids=ids).logits
    assert chosen.dtype == torch.float32
    torch.testing.assert_close(chosen, full[positions].float(), rtol=0, atol=1e-5)
    assert chosen.std() > 0.1


def test_the_model_is_left_as_it_was(any_model):
    model = loaded(any_model)
    ids = torch.randint(2, 300, (1, 9))
    with torch.inference_mode():
        before = model(input_ids=ids).logits
        logits_at(model, (torch.tensor([0]), torch.tensor([1])), input_ids=ids)
        torch.testing.assert_close(model(input_ids=ids).logits, before, rtol=0, atol=2e-5)


def test_the_model_is_left_as_it_was_after_a_failure(tiny_llama):
    model = loaded(tiny_llama)
    ids = torch.randint(2, 300, (1, 9))
    with pytest.raises(IndexError):
        logits_at(model, (torch.tensor([0]), torch.tensor([99])), input_ids=ids)
    assert model(input_ids=ids).logits.shape[1] == 9


def test_gradients_flow_through_chosen_positions_as_through_all(any_model):
    model = loaded(any_model)
    ids = torch.randint(2, 300, (2, 10), generator=torch.Generator().manual_seed(1))
    positions = (torch.tensor([0, 1]), torch.tensor([4, 7]))
    logits_at(model, positions, input_ids=ids).logsumexp(-1).sum().backward()
    chosen = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    model(input_ids=ids).logits[positions].logsumexp(-1).sum().backward()
    full = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    for one, two in zip(chosen, full, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_both_attention_kernels_give_the_same_logits(any_model):
    model = loaded(any_model)
    ids = torch.randint(2, 300, (2, 40), generator=torch.Generator().manual_seed(1))
    logits = []
    with torch.inference_mode():
        for longest in (40, 4_000):
            set_attention(model, longest)
            logits.append(model(input_ids=ids).logits)
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=2e-5)
