"""Columns of Arrow tables as NumPy arrays, without pandas: pyarrow's own way imports it, half a second.

Invariant: numbers are not rounded; those that are not there are NaN. Cost: nothing is copied but truths and columns of
several chunks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["list_numbers", "numbers", "places_in_lists"]


def numbers(column: Any) -> NDArray[Any]:
    """A column of numbers or truths, a chunked one too; NaN where there is none."""
    import pyarrow as pa

    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not len(whole):
        return np.zeros(0)
    if pa.types.is_boolean(whole.type):
        return np.from_dlpack(whole.cast(pa.int8())).astype(bool)
    if not whole.null_count:
        return np.from_dlpack(whole)
    full = np.full(len(whole), np.nan)
    if whole.null_count < len(whole):
        full[numbers(whole.is_valid())] = np.from_dlpack(whole.drop_null())
    return full


def places_in_lists(column: Any) -> tuple[Any, NDArray[np.bool_]]:
    """The values of a column of lists one after the other, and (N, longest) where they belong; at least one wide."""
    import pyarrow as pa

    lists = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    counts = numbers(lists.value_lengths())
    return lists.flatten(), np.arange(counts.max(initial=1)) < counts[:, None]


def list_numbers(column: Any) -> NDArray[np.float64]:
    """(N, longest) A column of lists of numbers; NaN where a list is shorter."""
    flat, inside = places_in_lists(column)
    values = np.full(inside.shape, np.nan)
    values[inside] = numbers(flat)
    return values
