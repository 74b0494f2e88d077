"""Groups of like lengths: everything once, little padding."""

import numpy as np
import pytest

from openflan.models.batching import even_rows, group_by_length

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
        lengths = [LENGTHS[number] for number in group]
        assert sum(lengths) >= (len(lengths) * max(lengths) - 4 * len(lengths)) * 5 / 6


def test_nothing_makes_no_groups():
    assert group_by_length([], padded_tokens=10) == []


@pytest.mark.parametrize("room", [1_000, 4_096])
def test_rows_end_to_end_hold_everything_once_and_are_nearly_equal(room):
    rows = even_rows(LENGTHS, padded_tokens=room)
    sizes = [sum(LENGTHS[number] for number in row) for row in rows]
    assert sorted(number for row in rows for number in row) == list(range(len(LENGTHS)))
    assert max(sizes) <= room
    assert min(sizes[:-1]) >= room - 1_000
    assert [max(LENGTHS[n] for n in row) for row in rows] == sorted(max(LENGTHS[n] for n in r) for r in rows)[::-1]


def test_a_step_that_fits_four_times_is_cut_into_four():
    lengths = [16] * 128 + [32] * 64
    assert [sum(lengths[n] for n in row) for row in even_rows(lengths, padded_tokens=1_280)] == [1_024] * 4


def test_rows_may_be_about_as_long_as_is_asked_and_no_small_one_is_left_over():
    lengths = [104, 89, 89, 80, 178, 171, 30, 20, 97, 83, 83]  # 1,024 tokens
    rows = even_rows(lengths, padded_tokens=1_024, about=512)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert [abs(sum(lengths[number] for number in row) - 512) <= 52 for row in rows] == [True, True]
