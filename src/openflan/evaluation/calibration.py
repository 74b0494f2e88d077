"""Whether a model knows when it is right: the probability of the option it chose against how often it is right.

A ranked answer's scores become probabilities of its options by a softmax (one of the options is the answer), under the
normalisation that decided it. Answers are binned by the probability of the chosen option; where a bin's accuracy falls
below its mean probability, the model is too sure.

    expected calibration error  mean distance of accuracy and probability over bins, weighted by answers (Naeini 2015)

Invariant: a pure function of stored answers; generated answers have no options and don't count. Cost: 0.5 s for 100,000
answers. Rejected: bins of equal counts, whose edges differ from model to model, so that two models can't be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.answered import Answered
from openflan.evaluation.scores import Score

__all__ = ["Bin", "Calibration", "calibration_of", "option_probabilities"]

_BINS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Answers that were given with about the same probability."""

    low: float
    high: float
    answers: int
    probability: float
    """Mean of the chosen options' probabilities."""
    accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How far a model's probabilities can be trusted; bins without answers are left out."""

    bins: tuple[Bin, ...]
    answers: int
    probability: float
    accuracy: float
    error: float
    """Expected calibration error."""


def option_probabilities(answer: Answered, score: Score) -> list[float]:
    """Probability of each option of a ranked answer, given that one of them is the answer; none for a generated one."""
    if answer.kind != "ranked":
        return []
    probabilities: list[float] = _softmax([answer.option_scores.normalised(score)])[0].tolist()
    return probabilities


def calibration_of(answers: Sequence[Answered], score: Score) -> Calibration | None:
    """A model's calibration on its ranked answers; None where there are none.

    Args:
        score: the normalisation that decided the answers.
    """
    ranked = [answer for answer in answers if answer.kind == "ranked"]
    if not ranked:
        return None
    pairs = np.stack([_surest(ranked, score), [answer.value for answer in ranked]], axis=1)
    edges = np.linspace(0, 1, _BINS + 1)
    place = np.clip(np.digitize(pairs[:, 0], edges) - 1, 0, _BINS - 1)
    bins = []
    for number in np.unique(place):
        probability, accuracy = pairs[place == number].mean(axis=0)
        bins.append(
            Bin(
                low=float(edges[number]),
                high=float(edges[number + 1]),
                answers=int((place == number).sum()),
                probability=float(probability),
                accuracy=float(accuracy),
            )
        )
    probability, accuracy = pairs.mean(axis=0)
    return Calibration(
        bins=tuple(bins),
        answers=len(pairs),
        probability=float(probability),
        accuracy=float(accuracy),
        error=sum(one.answers * abs(one.accuracy - one.probability) for one in bins) / len(pairs),
    )


def _surest(answers: Sequence[Answered], score: Score) -> NDArray[np.float64]:
    """Probability of each answer's likeliest option."""
    scores = [answer.option_scores.normalised(score) for answer in answers]
    sizes = np.array([len(values) for values in scores])
    probabilities = np.empty(len(scores))
    for size in np.unique(sizes):
        alike = np.flatnonzero(sizes == size)
        probabilities[alike] = _softmax([scores[place] for place in alike]).max(axis=1)
    return probabilities


def _softmax(scores: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Over each row's options, of which all have as many."""
    values = np.asarray(scores)
    weights = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)
