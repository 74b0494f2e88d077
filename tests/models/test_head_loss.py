"""The loss made some targets at a time is the loss of all logits at once, with the same gradients."""

import pytest
import torch
from torch.nn import functional

from openflan.models import head_loss
from openflan.models.head import states_at
from openflan.models.head_loss import Head
from openflan.models.load import find_model, load_model
from openflan.recipes.parts import ModelPart

CPU = torch.device("cpu")


def loaded(folder):
    return load_model(find_model(ModelPart(path=str(folder)), folder), device=CPU)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "qwen2", "gemma", "gemma2", "t5", "t5-gated"])
@pytest.mark.parametrize("rows", [1, 4, 1000])
def test_loss_and_gradients_are_those_of_the_whole_logits(model_folder, monkeypatch, family, rows):
    monkeypatch.setattr(head_loss, "_CHUNK", {"cpu": rows * 4 * 408})
    model = loaded(model_folder(family))
    ids = torch.randint(2, 300, (2, 12), generator=torch.Generator().manual_seed(1))
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})
    where = (torch.tensor([0, 0, 0, 1, 1]), torch.tensor([2, 3, 10, 0, 5]))
    targets = torch.tensor([7, 7, 300, 2, 50])
    functional.cross_entropy(model(**inputs).logits[where], targets, reduction="sum").div(3).backward()
    known = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    head = Head.of(model)
    states, _ = states_at(model, where, **inputs)
    total, each = head.loss(states, targets)
    (total / 3).backward()
    torch.testing.assert_close(each, functional.cross_entropy(head.logits(states), targets, reduction="none"))
    assert {name for name, p in model.named_parameters() if p.grad is not None} == set(known)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, known[name], rtol=1e-4, atol=1e-5)


def test_a_head_that_does_more_than_is_known_is_not_taken(tiny_llama):
    model = loaded(tiny_llama)
    forward = model.forward

    def bent(*args, **named):
        output = forward(*args, **named)
        output.logits = output.logits + output.logits.square()
        return output

    model.forward = bent
    assert Head.of(model) is None
    assert Head.of(loaded(tiny_llama)) is not None


def test_a_head_that_is_not_trained_gets_no_gradient(tiny_llama):
    model = loaded(tiny_llama).requires_grad_(False)
    states = torch.randn(6, 32, requires_grad=True)
    head = Head.of(model)
    head.loss(states, torch.arange(6))[0].backward()
    assert states.grad.abs().sum() > 0
    assert model.lm_head.weight.grad is None
