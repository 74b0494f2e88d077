"""Whether a text sounds glad or sorry: the balance of a few hundred plain words, in four languages.

It serves to tell that classes are about feelings, and which of two numbers is the good one; nothing is labelled by it.

Invariant: means over many rows count, never one row's. Cost: 1 µs a word. Rejected: a sentiment model or a full lexicon,
which would label better than is needed here.
"""

import math

__all__ = ["polarity", "separation"]

_GOOD = frozenset(
    "good great excellent wonderful amazing awesome best better love loved loves lovely like liked enjoy enjoyed enjoyable happy fun "
    "funny perfect beautiful brilliant nice fantastic superb delightful delicious friendly recommend recommended pleased "
    "glad thanks thank charming moving powerful touching warm fresh entertaining hilarious smile smiling joy joyful excited "
    "impressive masterpiece favorite favourite clever engaging compelling heart sweet yay cool worth helpful fast clean "
    "gut gute guter gutes toll super schön schöne prima liebe liebt freundlich empfehlen perfekt lecker zufrieden danke "
    "bon bonne bien excellent excellente super magnifique aime adore parfait merci agréable délicieux recommande "
    "bueno buena excelente genial maravilloso encanta gracias perfecto amable recomiendo".split()
)
_BAD = frozenset(
    "bad worst worse awful terrible horrible boring bored dull poor poorly hate hated hates waste wasted disappointing disappointed "
    "disappointment stupid mess lame ugly annoying annoyed angry anger sad sadly sadness cry crying depressed depressing depression "
    "lost mad fail fails failed failure slow rude dirty broken cold stale never problem problems unfortunately useless ridiculous "
    "tedious flat weak worthless unfunny pointless predictable pain painful fear afraid terror furious rage outrage offended bitter "
    "gloomy grim sorry wrong lacks lacking lifeless bland "
    "schlecht schlechte schlechter furchtbar schrecklich langweilig enttäuscht enttäuschend leider nie kaputt unfreundlich teuer "
    "mauvais mauvaise nul nulle déçu décevant horrible jamais triste ennuyeux malheureusement "
    "malo mala horrible terrible aburrido nunca peor triste decepcionante".split()
)
_NOT = frozenset("not no never n't t nicht kein keine pas ne sin".split())


def polarity(units: list[str]) -> float:
    """The balance of a text's glad and sorry words, each turned round after a negation."""
    total = 0.0
    for place, unit in enumerate(units):
        value = (unit in _GOOD) - (unit in _BAD)
        if value and any(before in _NOT for before in units[max(0, place - 3) : place]):
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
