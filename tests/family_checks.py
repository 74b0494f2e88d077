"""openflan's scores, loss and gradients of a tiny model of any family, beside those of the family's own forward."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from openflan.errors import UserError
from openflan.evaluation.ranking import Question, rank_options
from openflan.models.family import decoder_start, family_of
from openflan.models.flat import can_be_flat
from openflan.models.head import uncached
from openflan.training.loss import Example, laid_out, target_loss
from openflan.training.shape import Shape
from tiny_families import VOCABULARY

__all__ = ["Checked", "check"]

_START = [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]
_OPTIONS = [[[5], [6], [7]], [[7, 8, 9], [7, 8], [7, 8, 10, 11, 12]], [[40, 41, 42, 43, 44, 45, 46], [40, 47]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """How far openflan's figures are from the family's own."""

    name: str
    """The model's class."""
    refused: str = ""
    batching: str = ""
    flat: bool = False
    ranking: float = 0.0
    """Largest difference of an option's log-likelihood, in nats."""
    loss: float = 0.0
    """Largest difference of the mean loss, padded or flat, in nats."""
    gradient: float = 0.0
    """Largest difference of a parameter's gradient, as a share of its norm."""

    @property
    def right(self) -> bool:
        """Refused, or right to a thousandth of a nat and a thousandth of a gradient."""
        if self.refused:
            return self.refused.startswith(self.name)
        return max(self.ranking, self.loss, self.gradient) < 1e-3


def check(model: Any, *, long: bool = False) -> Checked:
    """Rank some questions and take some gradients, as openflan does and as the family's own forward does.

    Args:
        long: with prompts of 200 tokens, which take another attention kernel.
    """
    name = type(model).__name__
    try:
        family = family_of(model)
        shape = Shape.of(model)
    except UserError as error:
        return Checked(name=name, refused=error.what)
    ranking = _ranking(model, long=long)
    examples = [
        (np.array([*_prompt(n), *t], dtype=np.int32), n) for n, t in ((4, [5, 6]), (11, [9]), (30, [7, 8, 9, 10]))
    ]
    model.train()
    own = _gradients(model, lambda: [(_own_loss(model, example), None) for example in examples])
    ours = [_gradients(model, lambda: _our_losses(model, examples, replace(shape, layout="padded")))]
    flat = can_be_flat(model)
    if flat:
        ours.append(_gradients(model, lambda: _our_losses(model, examples, replace(shape, layout="flat"))))
    tokens = sum(len(ids) - start for ids, start in examples)
    model.eval()
    return Checked(
        name=name,
        batching=family.batching,
        flat=flat,
        ranking=ranking,
        loss=max(abs(own[0] - loss) / tokens for loss, _ in ours),
        gradient=max(_apart(own[1], grads) for _, grads in ours),
    )


def _prompt(size: int) -> list[int]:
    return [*_START, *(int(n) for n in np.random.default_rng(size).integers(20, VOCABULARY, size))][-size:]


def _ranking(model: Any, *, long: bool) -> float:
    prompts = [[*_START, 50, 51], [*_START, 52], [*_START, 50, 53, 54, 55], _prompt(4), _prompt(37), [60]]
    prompts += [_prompt(200), [*_prompt(200), 50]] if long else []
    questions = [
        Question(prompt=prompt, options=_OPTIONS[n % 3], texts=["" for _ in _OPTIONS[n % 3]])
        for n, prompt in enumerate(prompts)
    ]
    scores = [one.logprob for one in rank_options(model, questions, batch_tokens=900)]
    with torch.no_grad():
        own = [[_own_score(model, q.prompt, option) for option in q.options] for q in questions]
    differences = [abs(a - b) for one, two in zip(scores, own, strict=True) for a, b in zip(one, two, strict=True)]
    return max(float("inf") if np.isnan(d) else d for d in differences)


def _own_logprobs(model: Any, prompt: Any, target: Any) -> torch.Tensor:
    """(N, V) The family's own forward on one sequence, and of it what predicts the target."""
    prompt, target = list(map(int, prompt)), list(map(int, target))
    if model.config.is_encoder_decoder:
        fed = [decoder_start(model), *target[:-1]]
        inputs = {"input_ids": torch.tensor([prompt]), "decoder_input_ids": torch.tensor([fed])}
        return model(**inputs, **uncached(model)).logits[0].float().log_softmax(-1)
    logits = model(input_ids=torch.tensor([[*prompt, *target]]), **uncached(model)).logits[0]
    return logits[len(prompt) - 1 : -1].float().log_softmax(-1)


def _own_score(model: Any, prompt: Any, option: Any) -> float:
    picked = _own_logprobs(model, prompt, option)[torch.arange(len(option)), torch.tensor(option)]
    return float(picked.double().sum())


def _own_loss(model: Any, example: Example) -> torch.Tensor:
    ids, start = example
    target = torch.tensor(ids[start:].astype(np.int64))
    return -_own_logprobs(model, ids[:start], target)[torch.arange(len(target)), target].sum()


def _our_losses(model: Any, examples: list[Example], shape: Shape) -> Iterator[tuple[torch.Tensor, Any]]:
    for group in shape.groups([len(ids) for ids, _ in examples], 200):
        batch = shape.collate([examples[n] for n in group], model.device)
        with laid_out(model, batch):
            yield target_loss(model, batch, shape.head)[0], batch


def _gradients(model: Any, losses: Callable[[], Any]) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad(set_to_none=True)
    whole = 0.0
    for loss, _ in losses():
        loss.backward()
        whole += float(loss.detach())
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return whole, grads


def _apart(own: dict[str, torch.Tensor], ours: dict[str, torch.Tensor]) -> float:
    largest = max(float(grad.norm()) for grad in own.values())
    differences = []
    for name in own.keys() | ours.keys():
        one, two = own.get(name), ours.get(name)
        if one is None or two is None:
            there = one if one is not None else two
            differences.append(float(there.norm()) / largest)
        else:
            differences.append(float((one - two).norm()) / max(float(one.norm()), 1e-3 * largest))
    return max(float("inf") if np.isnan(d) else d for d in differences)
