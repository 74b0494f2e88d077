"""An optimizer's step on a table by parts, against the library's own step with the whole gradient."""

import pytest
import torch

from openflan.models.word_tables import WordTables
from openflan.recipes.parts import OptimizerPart
from openflan.training.optimizer import make_optimizer
from openflan.training.table_steps import step_tables


class Model(torch.nn.Module):
    """A table of 50 words and a matrix of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.words = torch.nn.Embedding(50, 12)
        self.head = torch.nn.Linear(12, 50, bias=False)
        self.head.weight = self.words.weight
        self.inner = torch.nn.Linear(12, 12)

    def get_input_embeddings(self):
        return self.words

    def get_output_embeddings(self):
        return self.head


def gradients(step):
    """Gradients of logits, states, words looked up and their rows: of a step."""
    random = torch.Generator().manual_seed(step)
    grads, states = torch.randn(5, 50, generator=random), torch.randn(5, 12, generator=random)
    ids, rows = torch.randint(0, 50, (7,), generator=random), torch.randn(7, 12, generator=random)
    return grads, states, ids, rows


@pytest.mark.parametrize("targets", [1, 1_000], ids=["of low rank", "whole"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", ["adafactor", "adamw", "muon"])
def test_weights_and_state_are_the_librarys(name, decay, targets, monkeypatch):
    monkeypatch.setattr("openflan.models.word_tables._PART", 12 * 16)
    part = OptimizerPart(name=name, learning_rate=0.01, weight_decay=decay)
    theirs, ours = Model(), Model()
    library, optimizer = make_optimizer(theirs, part), make_optimizer(ours, part)
    tables = WordTables(ours, large=0)
    for step in range(3):
        grads, states, ids, rows = gradients(step)
        tables.begin(targets)
        (gradient,) = tables.gradients
        gradient.add_product(grads.clone(), states, 0.5)
        gradient.add_rows(ids, rows)
        tables.finish()
        theirs.words.weight.grad = (0.5 * grads.T @ states).index_add_(0, ids, rows)
        for model in (theirs, ours):
            model.inner.weight.grad = torch.ones(12, 12)
        library.step()
        optimizer.step()
        step_tables(optimizer, tables.gradients)
    torch.testing.assert_close(ours.words.weight, theirs.words.weight, rtol=1e-5, atol=1e-6)
    mine, known = optimizer.state[ours.words.weight], library.state[theirs.words.weight]
    assert mine.keys() == known.keys()
    for key in known.keys() - {"RMS"}:  # of the weights, which a rate that is not relative does not ask for
        torch.testing.assert_close(mine[key], known[key], rtol=1e-5, atol=1e-8)


def test_an_optimizer_goes_on_from_the_librarys_state(monkeypatch):
    monkeypatch.setattr("openflan.models.word_tables._PART", 12 * 16)
    models = [Model(), Model()]
    optimizers = [make_optimizer(model, OptimizerPart(learning_rate=0.01)) for model in models]
    tables = WordTables(models[1], large=0)
    for step in range(4):
        grads, states, ids, rows = gradients(step)
        whole = (grads.T @ states).index_add_(0, ids, rows)
        for model, optimizer in zip(models, optimizers, strict=True):
            if model is models[1] and step >= 2:
                tables.begin(1)
                tables.gradients[0].add_product(grads, states, 1.0)
                tables.gradients[0].add_rows(ids, rows)
                tables.finish()
                step_tables(optimizer, tables.gradients)
            else:
                model.words.weight.grad = whole.clone()
                optimizer.step()
                model.words.weight.grad = None
    torch.testing.assert_close(models[1].words.weight, models[0].words.weight, rtol=1e-5, atol=1e-6)
