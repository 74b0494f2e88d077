"""Intervals cover what they should, and comparisons are paired."""

import numpy as np
import pytest

from openflan.evaluation.statistics import interval, resample_tasks


def simulated(random, *, rows=60, templates=8, row_spread=0.2, template_spread=0.05, centre=0.6):
    """Scores with row effects, template effects and 0/1 answers; the population mean is `centre`."""
    chance = centre + random.normal(0, row_spread, (rows, 1)) + random.normal(0, template_spread, (1, templates))
    return (random.random((rows, templates)) < chance.clip(0, 1)).astype(np.float64)


def width(found):
    return found.high - found.low


def test_the_interval_covers_the_truth_in_about_95_percent_of_repeats():
    random = np.random.default_rng(0)
    repeats, covered = 200, 0
    for _ in range(repeats):
        found = interval(resample_tasks([[simulated(random)]], samples=300).means[0])
        covered += found.low <= 0.6 <= found.high
    assert 0.91 <= covered / repeats <= 1


def test_rows_alone_would_promise_too_much():
    """With strong template effects, an interval over rows only misses the truth far too often; ours does not."""
    random = np.random.default_rng(1)
    both = rows_only = 0
    for _ in range(100):
        matrix = simulated(random, row_spread=0.1, template_spread=0.15)
        found = interval(resample_tasks([[matrix]], samples=300).means[0])
        narrow = interval(resample_tasks([[matrix.mean(axis=1, keepdims=True)]], samples=300).means[0])
        assert width(found) > width(narrow)
        both += found.low <= 0.6 <= found.high
        rows_only += narrow.low <= 0.6 <= narrow.high
    assert both >= 88
    assert rows_only < both - 10


def test_the_gain_of_a_model_over_itself_is_exactly_zero():
    matrix = simulated(np.random.default_rng(2))
    means = resample_tasks([[matrix, matrix.copy()]], samples=500).means
    assert (means[1] - means[0] == 0).all()


def test_a_paired_gain_is_surer_than_two_intervals():
    random = np.random.default_rng(3)
    base = simulated(random, row_spread=0.4)
    tuned = np.where(random.random(base.shape) < 0.2, 1.0, base)
    means = resample_tasks([[base, tuned]], samples=500).means
    gain = interval(means[1] - means[0])
    assert gain.low > 0
    assert width(gain) < width(interval(means[0])) + width(interval(means[1]))


def test_resampled_means_centre_on_the_mean():
    matrix = simulated(np.random.default_rng(4))
    means = resample_tasks([[matrix]], samples=4_000).means[0]
    assert means.mean() == pytest.approx(matrix.mean(), abs=0.003)


def test_the_spread_is_that_of_a_mean_over_rows():
    """With one template the interval is the textbook one: 1.96 standard errors either side."""
    answers = (np.random.default_rng(5).random((400, 1)) < 0.3).astype(np.float64)
    found = interval(resample_tasks([[answers]], samples=4_000).means[0])
    assert width(found) == pytest.approx(2 * 1.96 * answers.std() / 20, rel=0.06)


def test_a_cluster_is_the_mean_over_its_tasks_whatever_their_size():
    ones, zeros = np.ones((10, 3)), np.zeros((200, 5))
    assert resample_tasks([[ones], [zeros]], samples=100).means == pytest.approx(0.5)


def test_more_tasks_make_a_narrower_interval():
    random = np.random.default_rng(6)
    tasks = [[simulated(random)] for _ in range(9)]
    one = width(interval(resample_tasks(tasks[:1], samples=1_000).means[0]))
    nine = width(interval(resample_tasks(tasks, samples=1_000).means[0]))
    assert nine == pytest.approx(one / 3, rel=0.35)


def test_cells_without_a_score_are_left_out_not_counted_as_wrong():
    matrix = np.ones((20, 4))
    matrix[:15, 3] = np.nan
    assert resample_tasks([[matrix]], samples=200).means == pytest.approx(1)


def test_a_cell_without_a_score_could_hold_anything():
    random = np.random.default_rng(7)
    matrix = simulated(random)
    gaps = random.random(matrix.shape) < 0.3
    holed = np.where(gaps, np.nan, matrix)
    found = resample_tasks([[holed]], samples=2_000).means[0]
    assert found.mean() == pytest.approx(matrix[~gaps].mean(), abs=0.01)


def test_the_same_seed_gives_the_same_interval():
    matrix = simulated(np.random.default_rng(8))
    one, two = (resample_tasks([[matrix]], samples=100).means for _ in range(2))
    assert (one == two).all()
    assert not (one == resample_tasks([[matrix]], samples=100, seed=1).means).all()


def test_an_interval_is_the_middle_95_percent():
    found = interval(np.arange(1_001) / 1_000)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
