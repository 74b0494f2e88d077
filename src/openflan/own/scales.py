"""The points of a scale that people rate on, as options: at most eleven, evenly apart.

Invariant: every value of the column lies between the first and the last. Rejected: a bin a value, which makes 26
options of STS-B's means and none of them likely.
"""

import math

from openflan.own.profile import OwnColumn

__all__ = ["scale_of"]

_MOST = 11
_STEPS = (1, 2, 2.5, 5)


def scale_of(column: OwnColumn) -> tuple[float, ...]:
    """The points of a column's scale; whole numbers where they are."""
    values = [float(value) for value in column.counts]
    low, high = min(values), max(values)
    whole = all(value.is_integer() for value in values)
    if low >= 0 and high <= 1 and not whole:
        low, high = 0.0, 1.0
    elif low >= 0 and not whole:
        low, high = math.floor(low), math.ceil(high)
    span = high - low
    step = 1.0 if span >= 2 else 0.1
    size = 0
    while span / step > _MOST - 1:
        size += 1
        step = _STEPS[size % len(_STEPS)] * 10.0 ** (size // len(_STEPS))
    first = math.floor(low / step + 1e-9)
    points = [round((first + place) * step, 6) for place in range(math.ceil(high / step - 1e-9) - first + 1)]
    return tuple(int(point) if float(point).is_integer() and step >= 1 else point for point in points)
