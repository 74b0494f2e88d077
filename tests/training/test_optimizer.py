"""Which parameters decay, and what the learning rate is at each step."""

from math import cos, pi

import pytest
import torch

from openflan.recipes.parts import OptimizerPart
from openflan.training.optimizer import learning_rate, make_optimizer


def tiny():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Embedding(7, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 3))


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_matrices_decay_and_norms_and_biases_do_not(name):
    optimizer = make_optimizer(tiny(), OptimizerPart(name=name, weight_decay=0.1))
    decay = {parameter.ndim: group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    assert decay == {2: 0.1, 1: 0.0}


@pytest.mark.parametrize("name", ["adamw", "adafactor", "muon"])
def test_every_trainable_parameter_is_in_exactly_one_group(name):
    model = tiny()
    model[0].weight.requires_grad = False
    optimizer = make_optimizer(model, OptimizerPart(name=name))
    ids = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_a_step_moves_a_weight_by_about_the_stated_rate(name):
    """No scaling by parameter size: 3e-5 in a recipe is 3e-5, which for Adafactor is an option of its own."""
    model = torch.nn.Linear(8, 8, bias=False)
    before = model.weight.detach().clone()
    optimizer = make_optimizer(model, OptimizerPart(name=name, learning_rate=3e-5))
    model.weight.grad = torch.ones_like(model.weight)
    optimizer.step()
    assert (before - model.weight.detach()).mean().item() == pytest.approx(3e-5, rel=0.02)


def rates(steps, **part):
    return [learning_rate(OptimizerPart(learning_rate=0.5, **part), step, steps) for step in range(steps)]


def test_the_rate_is_constant_by_default():
    assert rates(5) == [0.5] * 5


def test_the_rate_warms_up_in_equal_steps():
    assert rates(8, warmup_steps=4) == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.5, 0.5]


def test_a_linear_rate_falls_in_equal_steps_towards_zero():
    assert rates(4, schedule="linear") == [0.5, 0.375, 0.25, 0.125]
    assert rates(6, schedule="linear", warmup_steps=2) == [0.25, 0.5, 0.5, 0.375, 0.25, 0.125]


def test_a_cosine_rate_falls_along_half_a_wave():
    assert rates(4, schedule="cosine") == pytest.approx([0.25 * (1 + cos(pi * step / 4)) for step in range(4)])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [0, 3, 10, 25])
def test_a_rate_is_never_negative_nor_above_the_stated_one(schedule, warmup):
    assert all(0 <= rate <= 0.5 for rate in rates(10, schedule=schedule, warmup_steps=warmup))
