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


def gradients(model, tables, targets=1):
    """Gradients by name; those of tables put together of their parts."""
    head = Head.of(model)
    for _step in range(2):  # the second begins anew
        model.zero_grad(set_to_none=True)
        if tables is not None:
            tables.begin(targets)
        for batch in micro_batches():
            total, _ = target_loss(model, batch, head, tables=tables, times=0.25)
            (total * 0.25).backward()
    grads = {name: weight.grad for name, weight in model.named_parameters()}
    if tables is not None:
        tables.finish()
        grads |= {name: whole(tables.of(weight)) for name, weight in model.named_parameters() if tables.of(weight)}
    return grads


def whole(gradient):
    return torch.cat([part.clone() for _, part in gradient.parts()])


@pytest.mark.parametrize("targets", [1, 1_000], ids=["of low rank", "whole"])
@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2", "qwen2"])
def test_the_gradients_are_autograds(model_folder, family, targets):
    expected = gradients(loaded(model_folder(family)), None)
    model = loaded(model_folder(family))
    grads = gradients(model, WordTables(model, large=0), targets=targets)
    assert grads.keys() == expected.keys()
    for name, grad in expected.items():
        torch.testing.assert_close(grads[name], grad, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("targets", [1, 1_000], ids=["of low rank", "whole"])
def test_sizes_and_scales_are_those_of_the_whole_gradient(model_folder, targets, monkeypatch):
    monkeypatch.setattr("openflan.models.word_tables._PART", 1_000)  # so that a small table has many parts
    model = loaded(model_folder("gemma2"))
    tables = WordTables(model, large=0)
    gradients(model, tables, targets=targets)
    (gradient,) = tables.gradients
    matrix = whole(gradient).double()
    words, columns = torch.rand(len(matrix)) * 1e4, torch.rand(matrix.shape[1])
    assert gradient.square() == pytest.approx(float(matrix.square().sum()), rel=1e-5)
    weighed = float((matrix.square() * words[:, None] * columns).sum())
    assert gradient.square(words, columns) == pytest.approx(weighed, rel=1e-5)
    gradient.scale(0.5)
    torch.testing.assert_close(whole(gradient).double(), matrix / 2, rtol=1e-5, atol=1e-9)


def test_a_use_of_a_table_that_is_not_caught_counts(model_folder):
    model = loaded(model_folder("llama"))
    tables = WordTables(model, large=0)
    tables.begin(1)
    weight = model.get_input_embeddings().weight
    with tables.caught():
        rows = model.get_input_embeddings()(torch.tensor([[3, 3]])).sum()
    (rows + weight[:5].sum()).backward()
    tables.finish()
    assert weight.grad is None
    assert whole(tables.of(weight))[:6, 0].tolist() == [1, 1, 1, 3, 1, 0]


def test_a_gradient_that_is_no_number_has_a_size_that_is_none(model_folder):
    model = loaded(model_folder("llama"))
    tables = WordTables(model, large=0)
    tables.begin(1)
    gradient = tables.of(model.get_input_embeddings().weight)
    grads = gradient.space(1)
    gradient.add_product(grads.fill_(float("nan")), torch.ones(1, gradient.weight.shape[1]), 1.0)
    assert gradient.square() != gradient.square()


def test_a_word_that_is_padding_gets_no_gradient_of_its_lookup():
    words = torch.nn.Embedding(12, 4, padding_idx=0)
    head = torch.nn.Linear(4, 12, bias=False)

    class Model(torch.nn.Module):
        def get_input_embeddings(self):
            return words

        def get_output_embeddings(self):
            return head

    tables = WordTables(Model(), large=0)
    tables.begin(1)
    with tables.caught():
        words(torch.tensor([[0, 5, 5]])).sum().backward()
    tables.finish()
    gradient = whole(tables.of(words.weight))
    assert gradient[0].abs().sum() == 0
    assert gradient[5].tolist() == [2.0] * 4


def test_small_or_frozen_tables_are_left_to_autograd(model_folder):
    model = loaded(model_folder("llama"))
    assert WordTables(model).of(model.get_input_embeddings().weight) is None
    model.requires_grad_(False)
    tables = WordTables(model, large=0)
    tables.begin(1)
    assert tables.of(model.get_input_embeddings().weight) is None
    assert all(weight.grad is None for weight in model.parameters())
