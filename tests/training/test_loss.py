"""The loss is the mean cross-entropy of target tokens and of nothing else."""

import numpy as np
import pytest
import torch

from openflan.models.batching import group_by_length
from openflan.models.head_loss import Head
from openflan.models.load import find_model, load_model
from openflan.recipes.parts import ModelPart
from openflan.training.loss import collate, target_loss

CPU = torch.device("cpu")


def loaded(folder):
    return load_model(find_model(ModelPart(path=str(folder)), folder), device=CPU)


def examples(count=9, seed=0):
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        length = int(random.integers(3, 60))
        rows.append((random.integers(2, 300, length).astype(np.int32), int(random.integers(1, length))))
    return rows


def by_hand(model, ids, start):
    """Cross-entropy of the target tokens of one example, from the whole logits and no padding."""
    logits = model(input_ids=torch.tensor(ids[None].astype(np.int64))).logits[0].double()
    logprobs = logits - logits.logsumexp(-1, keepdim=True)
    return torch.stack([-logprobs[place - 1, ids[place]] for place in range(start, len(ids))])


def test_the_loss_of_a_padded_batch_is_that_of_each_example_alone(any_model):
    model = loaded(any_model)
    batch = examples()
    with torch.inference_mode():
        _, losses = target_loss(model, collate(batch, CPU), Head.of(model))
        alone = torch.cat([by_hand(model, ids, start) for ids, start in batch])
    assert losses.shape == (sum(len(ids) - start for ids, start in batch),)
    torch.testing.assert_close(losses.double(), alone, rtol=0, atol=1e-5)


def test_only_target_tokens_are_predicted():
    ids = np.array([5, 6, 7, 8, 9], dtype=np.int32)
    batch = collate([(ids, 3), (ids[:2], 1)], CPU)
    assert batch.targets.tolist() == [8, 9, 6]
    assert [place.tolist() for place in batch.positions] == [[0, 0, 1], [2, 3, 0]]
    assert batch.inputs["input_ids"].tolist() == [[5, 6, 7, 8, 9], [5, 6, 0, 0, 0]]


def test_input_tokens_reach_the_loss_as_context_only(tiny_llama):
    """The gradient of the loss with respect to the head's rows of input-only tokens comes from the softmax alone."""
    model = loaded(tiny_llama)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())  # untied
    ids = np.array([11, 12, 13, 14], dtype=np.int32)
    target_loss(model, collate([(ids, 3)], CPU), Head.of(model))[0].backward()
    hidden_sign = model.lm_head.weight.grad @ model.lm_head.weight.grad[14]
    assert hidden_sign[14] > 0
    assert (hidden_sign[[11, 12, 13]] < 0).all()


@pytest.mark.parametrize("room", [1, 40, 100, 10**6])
def test_the_cut_into_micro_batches_changes_nothing(any_model, room):
    """Gradients of a step, accumulated over groups and divided by all target tokens, against one example at a time."""
    model = loaded(any_model)
    step = examples(12, seed=3)
    targets = sum(len(ids) - start for ids, start in step)
    (sum(by_hand(model, ids, start).sum() for ids, start in step) / targets).backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for group in group_by_length([len(ids) for ids, _ in step], padded_tokens=room):
        total, _ = target_loss(model, collate([step[number] for number in group], CPU), Head.of(model))
        (total / targets).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-5)


def test_a_token_counts_the_same_in_short_and_long_targets(tiny_llama):
    """Not the mean of means: a step's loss is its tokens' sum over its token count."""
    model = loaded(tiny_llama)
    step = [(np.arange(10, 40, dtype=np.int32), 2), (np.arange(50, 55, dtype=np.int32), 4)]
    with torch.inference_mode():
        _, losses = target_loss(model, collate(step, CPU), Head.of(model))
        alone = [by_hand(model, ids, start) for ids, start in step]
    assert losses.mean().item() == pytest.approx(sum(part.sum().item() for part in alone) / 29, abs=1e-5)
