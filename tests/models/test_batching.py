"""Groups of like lengths: everything once, little padding."""

import numpy as np
import pytest

from openflan.models.batching import group_by_length

LENGTHS = np.random.default_rng(0).lognormal(4.5, 0.9, 500).astype(int).clip(1, 900).tolist()


@pytest.mark.parametrize("room", [1, 64, 1_024, 10**9])
def test_every_item_is_in_exactly_one_group(room):
    groups = group_by_length(LENGTHS, padded_tokens=room)
    assert sorted(number for group in groups for number in group) == list(range(len(LENGTHS)))


@pytest.mark.parametrize("room", [1, 64, 1_024, 8_192])
def test_a_padded_group_fits_unless_it_is_one_item(room):
    for group in group_by_length(LENGTHS, padded_tokens=room):
        assert len(group) == 1 or len(group) * max(LENGTHS[number] for number in group) <= room


def test_padding_is_less_than_a_sixth():
    for group in group_by_length(LENGTHS, padded_tokens=10**9):
        held = [LENGTHS[number] for number in group]
        assert sum(held) >= (len(held) * max(held) - 4 * len(held)) * 5 / 6


def test_nothing_makes_no_groups():
    assert group_by_length([], padded_tokens=10) == []
