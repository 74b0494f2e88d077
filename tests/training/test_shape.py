"""How examples go through a model whose head is large: all lengths in one row, where only an adapter is trained."""

import numpy as np
import pytest
import torch

from openflan.models.adapters import add_adapter
from openflan.recipes.parts import LoraPart
from openflan.training import shape as shapes
from openflan.training.gradients import Cut, InOrder
from openflan.training.shape import Shape
from tiny_families import build

LENGTHS = [240, 31, 90, 7, 64, 12, 118, 40]


def adapted(family):
    adapter = add_adapter(build(family), LoraPart(kind="lora", rank=4), seed=0, base="x", words=lambda _text: [])
    torch.manual_seed(1)
    for name, weight in adapter.model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(0, 0.1)
    return adapter.model.train()


def gradients(model, shape):
    rng = np.random.default_rng(0)
    examples = [(rng.integers(5, 60, size).astype(np.int32), size - 2 - size // 30) for size in LENGTHS]
    groups = shape.groups(LENGTHS, 1_024)
    cut = Cut(number=0, seed=0, prompts=range(len(LENGTHS)), examples=examples, groups=groups)
    losses = InOrder(model, shape, autocast=False).of(cut, meanwhile=lambda: None)
    grads = {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}
    model.zero_grad()
    return losses, grads


@pytest.mark.parametrize(("tuned", "rows"), [(adapted, [2, 6]), (build, [1, 1, 1, 5])], ids=["adapter", "all weights"])
@pytest.mark.parametrize("family", ["llama", "gemma3_text", "qwen2"])
def test_a_large_head_reads_targets_of_all_lengths_at_once(monkeypatch, family, tuned, rows):
    """Rows are longer where nothing is kept for the head's weights."""
    monkeypatch.setattr(shapes, "llama_body", lambda _model: None)
    model = tuned(family)
    before = Shape.of(model)
    monkeypatch.setattr(shapes, "_TABLE", 1)
    joined = Shape.of(model)
    assert (before.layout, joined.layout) == ("padded", "flat")
    assert [len(group) for group in joined.groups(LENGTHS, 1_024)] == rows
    assert len(before.groups(LENGTHS, 1_024)) > 3
    losses, grads = gradients(model, before)
    ours, own_grads = gradients(model, joined)
    assert ours == {place: pytest.approx(loss, rel=1e-4) for place, loss in losses.items()}
    for name, grad in grads.items():
        torch.testing.assert_close(own_grads[name], grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("how", ["bfloat16", "not plain"])
def test_other_trainings_are_laid_out_as_ever(monkeypatch, how):
    monkeypatch.setattr(shapes, "_TABLE", 1)
    model = adapted("gemma3_text")
    assert Shape.of(model, reduced=how == "bfloat16", plain=how != "not plain").layout == "padded"
