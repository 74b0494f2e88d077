"""Whether a text sounds glad or sorry: the balance of a few hundred plain words, in four languages.

It serves to tell that classes are about feelings, and which of two numbers is the good one; nothing is labelled by it.

Invariant: means over many rows count, never one row's. Cost: 1 µs a word. Rejected: a sentiment model or a full
lexicon, which would label better than is needed here.
"""

import math

from openflan.own.words import words

__all__ = ["polarity", "separation"]


def polarity(units: list[str]) -> float:
    """The balance of a text's glad and sorry words, each turned round after a negation."""
    good, bad, negations = words("good"), words("bad"), words("negations")
    total = 0.0
    for place, unit in enumerate(units):
        value = (unit in good) - (unit in bad)
        if value and not negations.isdisjoint(units[max(0, place - 3) : place]):
            value = -value
        total += value
    return max(-3.0, min(3.0, total))


def separation(scores: dict[object, list[float]]) -> tuple[float, list[object]]:
    """How far classes lie apart in polarity, in standard errors between the lowest and the highest; and their order."""
    means = {key: sum(values) / len(values) for key, values in scores.items() if len(values) > 3}
    if len(means) < 2:
        return 0.0, list(means)
    order = sorted(means, key=lambda key: means[key])
    low, high = scores[order[0]], scores[order[-1]]
    error = math.sqrt(_variance(low) / len(low) + _variance(high) / len(high)) or 1.0
    return (means[order[-1]] - means[order[0]]) / error, order


def _variance(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values) + 0.05
