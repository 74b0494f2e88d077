"""Batches of like lengths, so that little is padding.

Invariant: a pure function of the lengths; every item is in exactly one group.
"""

from collections.abc import Sequence
from typing import Literal

__all__ = ["Batching", "even_rows", "fill_rows", "group_by_length", "scoring_tokens"]


Batching = Literal["together", "padded", "equal", "single"]
"""What may share a forward: sequences as parts of one, with padding, of one length only, or none (models/family.py)."""


def group_by_length(lengths: Sequence[int], *, padded_tokens: int, batching: Batching = "padded") -> list[list[int]]:
    """Cut items into groups of like lengths, each at most `padded_tokens` when padded.

    A group also ends where its longest item would be a fifth longer than its shortest: with half again as long, a fifth
    of the starter's training was padding, and steps took a tenth longer (docs/lab-notes.md).
    """
    groups: list[list[int]] = []
    slack = {"equal": (1.0, 0), "single": (0.0, 0)}.get(batching, (1.2, 4))
    for number in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        group = groups[-1] if groups else []
        fits = (len(group) + 1) * lengths[number] <= padded_tokens
        if group and fits and lengths[number] <= slack[0] * lengths[group[0]] + slack[1]:
            group.append(number)
        else:
            groups.append([number])
    return groups


def fill_rows(lengths: Sequence[int], *, padded_tokens: int) -> list[list[int]]:
    """Cut items, in their order, into rows of at most `padded_tokens` when laid end to end; longer items go alone."""
    rows: list[list[int]] = []
    room = 0
    for number, length in enumerate(lengths):
        if not rows or length > room:
            rows.append([])
            room = padded_tokens
        rows[-1].append(number)
        room -= length
    return rows


def even_rows(lengths: Sequence[int], *, padded_tokens: int, about: int | None = None) -> list[list[int]]:
    """Cut items into rows of like lengths, end to end, as equal as they come; each has at most `padded_tokens`.

    Rows of longer items come first.

    Args:
        about: tokens of a row, give or take half an item; as many as it may have, by default.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    share = sum(lengths) / max(1, -(-sum(lengths) // min(about or padded_tokens, padded_tokens)))
    rows: list[list[int]] = []
    done, size = 0, 0
    for number in order:
        middle = done + lengths[number] / 2 if about else done
        if not rows or middle >= share * len(rows) or size + lengths[number] > padded_tokens:
            rows.append([])
            size = 0
        rows[-1].append(number)
        size += lengths[number]
        done += lengths[number]
    return rows


def scoring_tokens(device_type: str) -> int:
    """Padded tokens of one scoring forward: on CPU a few caches full, elsewhere enough to fill the device.

    On one core 2,048 scored about 870 prompts a second where 16,384 scored 549 (docs/lab-notes.md).
    """
    return 2_048 if device_type == "cpu" else 32_768
