"""Gradients of a vocabulary's table that are added where they are, against autograd's."""

import numpy as np
import pytest
import torch

from openflan.models.head_loss import Head
from openflan.models.load import find_model, load_model
from openflan.models.word_tables import WordTables
from openflan.recipes.parts import ModelPart
from openflan.training.loss import collate, target_loss

CPU = torch.device("cpu")


def loaded(folder):
    return load_model(find_model(ModelPart(path=str(folder)), folder), device=CPU)


def micro_batches():
    random = np.random.default_rng(3)
    examples = [(random.integers(0, 300, size).astype(np.int32), size // 2) for size in (9, 9, 30, 28, 5)]
    return [collate(examples[:2], CPU), collate(examples[2:4], CPU), collate(examples[4:], CPU)]


def slopes(model, tables):
    head = Head.of(model)
    for _step in range(2):  # the second begins anew
        model.zero_grad(set_to_none=True)
        if tables is not None:
            tables.begin()
        for batch in micro_batches():
            total, _ = target_loss(model, batch, head, tables=tables, times=0.25)
            (total * 0.25).backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2", "qwen2"])
def test_the_gradients_are_autograds(model_folder, family):
    expected = slopes(loaded(model_folder(family)), None)
    model = loaded(model_folder(family))
    found = slopes(model, WordTables(model, large=0))
    assert found.keys() == expected.keys()
    for name, slope in expected.items():
        torch.testing.assert_close(found[name], slope, rtol=1e-4, atol=1e-6, msg=name)


def test_a_word_that_is_padding_gets_no_gradient_of_its_lookup():
    words = torch.nn.Embedding(12, 4, padding_idx=0)
    head = torch.nn.Linear(4, 12, bias=False)

    class Model(torch.nn.Module):
        def get_input_embeddings(self):
            return words

        def get_output_embeddings(self):
            return head

    tables = WordTables(Model(), large=0)
    tables.begin()
    with tables.caught():
        words(torch.tensor([[0, 5, 5]])).sum().backward()
    assert words.weight.grad[0].abs().sum() == 0
    assert words.weight.grad[5].tolist() == [2.0] * 4


def test_small_or_frozen_tables_are_left_to_autograd(model_folder):
    model = loaded(model_folder("llama"))
    assert WordTables(model).of(model.get_input_embeddings().weight) is None
    model.requires_grad_(False)
    tables = WordTables(model, large=0)
    tables.begin()
    assert tables.of(model.get_input_embeddings().weight) is None
    assert all(weight.grad is None for weight in model.parameters())
