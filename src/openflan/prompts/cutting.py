"""What is cut of an input that is too long: the end of its longest field, so that instruction and options stay.

Invariant: what is left is no longer than the limit, and a text that no row is known of keeps its start and its end.
Cost: a few encodings of the one input. Rejected: cutting at the end, where most templates ask their question.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

__all__ = ["lost_part", "shortened", "spans_of"]

_NOT_ENOUGH = 16
"""Characters that a field must have to be worth cutting."""
_GUESSES = 8
"""How often the length of a cut is guessed anew."""


def shortened(
    text: str, ids: list[int], spans: Iterable[tuple[int, int]], *, limit: int, encode: Callable[[str], list[int]]
) -> list[int]:
    """An input's tokens without the end of its longest field, or without its middle where that is not enough.

    How many characters must go is guessed from the tokens that are too many, and guessed again until it fits.

    Args:
        text: the input.
        ids: its tokens.
        spans: what may be cut from its end, the longest first.
        limit: tokens that may be left.
        encode: makes a text tokens.
    """
    for start, stop in spans:
        current, size = text, len(ids)
        gone = 0
        for _ in range(_GUESSES):
            gone += max(1, -(-(size - limit) * len(current) // size))
            if gone >= stop - start:
                break
            current = text[: stop - gone] + text[stop:]
            shorter = encode(current)
            size = len(shorter)
            if size <= limit:
                return shorter
    return _cut_middle(ids, limit)


def lost_part(whole: Sequence[int], cut: Sequence[int]) -> tuple[int, int]:
    """Where, in the tokens of a whole input, those begin and end that a cut input has not.

    Args:
        whole: the input's tokens.
        cut: those of the cut one; what lies around the place of the cut may have become other tokens.
    """
    start = _alike(whole, cut)
    return start, len(whole) - _alike(whole[start:][::-1], cut[start:][::-1])


def spans_of(text: str, fields: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Where a row's texts stand in an input, the longest first.

    Args:
        text: the input.
        fields: the row that it was rendered from.
    """
    texts = [value.strip() for value in fields.values() if isinstance(value, str) and len(value) >= _NOT_ENOUGH]
    for value in sorted(texts, key=len, reverse=True):
        start = text.rfind(value)
        if start >= 0:
            yield start, start + len(value)


def _cut_middle(ids: list[int], limit: int) -> list[int]:
    """Keep a third of the room for the start and the rest for the end; [0..9] at 6 gives [0, 1, 6, 7, 8, 9]."""
    head = limit // 3
    return ids[:head] + ids[len(ids) - (limit - head) :]


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
