"""Steps hold whole examples, nearly full, in the stream's order up to a few steps."""

import numpy as np
import pytest

from openflan.mixture.packing import pack


def realistic(count, seed=0, longest=1_280):
    """Lengths as of instruction mixtures: most are short, some reach the limit."""
    return np.random.default_rng(seed).lognormal(4.8, 0.9, count).astype(int).clip(8, longest).tolist()


CASES = {
    "realistic": (realistic(4_000), 8_192),
    "tight": (realistic(2_000, longest=1_280), 1_280),
    "equal": ([100] * 500, 1_000),
    "ones": ([1] * 50, 7),
    "halves": ([51] * 50, 100),
    "exact": ([100] * 9, 100),
    "one": ([5], 100),
    "none": ([], 100),
}


@pytest.mark.parametrize("case", CASES)
def test_every_example_is_in_exactly_one_step(case):
    lengths, capacity = CASES[case]
    assert sorted(position for positions in pack(lengths, capacity) for position in positions) == list(
        range(len(lengths))
    )


@pytest.mark.parametrize("case", CASES)
def test_no_step_holds_more_than_its_tokens_and_none_is_empty(case):
    lengths, capacity = CASES[case]
    assert all(
        0 < sum(lengths[position] for position in positions) <= capacity for positions in pack(lengths, capacity)
    )


@pytest.mark.parametrize(("seed", "capacity"), [(0, 8_192), (1, 8_192), (2, 4_096)])
def test_steps_are_nearly_full(seed, capacity):
    lengths = realistic(6_000, seed)
    fills = [sum(lengths[position] for position in positions) / capacity for positions in pack(lengths, capacity)]
    assert np.mean(fills[:-8]) >= 0.98


def test_equal_lengths_fill_steps_wholly():
    assert {len(positions) for positions in pack([100] * 500, 1_000)} == {10}


def test_no_example_waits_longer_than_the_open_steps_last():
    lengths = realistic(6_000)
    step_of = {position: step for step, positions in enumerate(pack(lengths, 8_192)) for position in positions}
    straight = np.cumsum(lengths) // 8_192
    late = [step_of[position] - straight[position] for position in range(len(lengths))]
    assert max(late) <= 32
    assert min(late) >= -16


def test_what_comes_later_does_not_change_earlier_steps():
    lengths = realistic(3_000)
    short, long = list(pack(lengths[:2_000], 8_192)), list(pack(lengths, 8_192))
    assert short[:-8] == long[: len(short) - 8]


def test_packing_depends_on_lengths_alone():
    assert list(pack(realistic(500), 4_096)) == list(pack(iter(realistic(500)), 4_096))


def test_an_example_longer_than_a_step_is_refused():
    with pytest.raises(ValueError, match="example 1 has 101 tokens, more than the 100"):
        list(pack([5, 101], 100))
