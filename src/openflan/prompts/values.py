"""The gate: the one function through which every value passes on its way into a prompt, an option or a target.

Texts and numbers pass, and dates as they are written. Nothing, objects, lists, truth values and half a surrogate pair
do not: what Python makes of them ("None", "{'text': 'heat'}", "True") is no text of the dataset, though it reads like
one.

Invariant: what comes out is the value as its source wrote it, and can be encoded. Cost: 50 ns a text.
Rejected: a look at finished prompts, where "None" may be a word of the row.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from jinja2 import Undefined

__all__ = ["UnfitValueError", "as_text", "fault_of", "faulty_places"]


class UnfitValueError(ValueError):
    """A value that may not stand in a prompt; the message says what it is."""


def as_text(value: Any) -> str:
    """A value as it stands in a prompt.

    Raises:
        UnfitValueError: it is neither a text nor a number.
    """
    if type(value) is str and value.isascii():
        return value
    if fault := fault_of(value):
        raise UnfitValueError(fault)
    return str(value)


def fault_of(value: Any) -> str | None:
    """What a value is that may not stand in a prompt, in words; None where it may."""
    if isinstance(value, str):
        return _half_of_a_pair(value)
    if isinstance(value, bool):
        return f"is the truth value {str(value).lower()}, where words are meant"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"is {value}, no number"
    if isinstance(value, int | Decimal | date | datetime | time):
        return None
    if isinstance(value, Undefined):
        str(value)  # raises, and says what is undefined
    kinds = ((Mapping, "an object"), (list | tuple | set, "a list"), (bytes, "bytes"))
    kind = next((word for types, word in kinds if isinstance(value, types)), f"a {type(value).__name__}")
    return "is null" if value is None else f"is {kind}, neither text nor number"


def _half_of_a_pair(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"holds half a character ({ascii(text[error.start])[1:-1]}, a lone surrogate)"
    return None


def faulty_places(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every place in a row's value that may not stand in a prompt by itself, with what it is; the deepest first."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from faulty_places(below, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list | tuple):
        for number, below in enumerate(value):
            yield from faulty_places(below, f"{place}[{number}]")
    if place and (fault := fault_of(value)):
        yield place, fault
