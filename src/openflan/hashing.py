"""Choice without state: hashes of integers and permutations by key.

Whatever openflan draws (a row, a template, a style, solved examples) it draws by hashing what the choice depends on,
so any process can draw it again and no generator's state is ever saved.

Invariant: a function of the arguments alone, on every machine. Cost: some 20 million hashes a second.
Rejected: `random.Random(seed)` a choice, which costs 10 µs and whose stream depends on the order of calls.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Integers", "hash_integer", "hash_integers", "permute"]

Integers = NDArray[np.uint64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FEW = 24
"""Indices up to which a permutation is quicker without arrays (some 10 times where there are five)."""
_ROUNDS = 8
"""Four would do for large tasks; for a dozen rows they leave pairs of neighbours 10 % too frequent or too rare."""


def hash_integer(*values: int) -> int:
    """The same as `hash_integers` of one set of integers, without an array."""
    mask, state = (1 << 64) - 1, 0
    for value in values:
        state = ((state ^ (value & mask)) + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state


def hash_integers(*values: object) -> Integers:
    """Mix integers (arrays broadcast) into well-spread 64-bit hashes (the finaliser of SplitMix64)."""
    state: Integers = np.zeros((), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for value in values:
            state = state ^ np.asarray(value).astype(np.uint64)
            state = state + _GAMMA
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def permute(index: NDArray[np.int64], size: int, key: Integers) -> NDArray[np.int64]:
    """Where a keyed permutation of 0 … size-1 sends each index.

    A Feistel network over the next even power of two; results outside the range go round again.

    Args:
        key: one key, or one an index.
    """
    bits = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    if index.size <= _FEW and np.ndim(key) == 0:
        return np.array([_permuted(place, size, bits, int(key)) for place in index.tolist()], dtype=np.int64)
    half, mask = np.uint64(bits), np.uint64((1 << bits) - 1)
    keys = np.broadcast_to(key, index.shape)
    result = index.astype(np.uint64)
    active = np.ones(index.shape, dtype=bool)
    while active.any():
        left, right = result[active] >> half, result[active] & mask
        for number in range(_ROUNDS):
            left, right = right, left ^ (hash_integers(keys[active], number, right) & mask)
        result[active] = (left << half) | right
        active &= result >= np.uint64(size)
    return result.astype(np.int64)


def _permuted(place: int, size: int, bits: int, key: int) -> int:
    """`permute` of one index."""
    mask = (1 << bits) - 1
    while True:
        left, right = place >> bits, place & mask
        for number in range(_ROUNDS):
            left, right = right, left ^ (hash_integer(key, number, right) & mask)
        place = left << bits | right
        if place < size:
            return place
