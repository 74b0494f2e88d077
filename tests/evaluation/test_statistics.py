"""Intervals cover what they should, and comparisons are paired."""

import numpy as np
import pytest

from openflan.evaluation import statistics
from openflan.evaluation.statistics import (
    bootstrap_p,
    detectable,
    holm,
    interval,
    mcnemar,
    permutation_p,
    resample_tasks,
    seed_spread,
)


def simulated(random, *, rows=60, templates=8, row_spread=0.2, template_spread=0.05, centre=0.6):
    """Scores with row effects, template effects and 0/1 answers; the population mean is `centre`."""
    chance = centre + random.normal(0, row_spread, (rows, 1)) + random.normal(0, template_spread, (1, templates))
    return (random.random((rows, templates)) < chance.clip(0, 1)).astype(np.float64)


def width(bounds):
    return bounds.high - bounds.low


def test_the_interval_covers_the_truth_in_about_95_percent_of_repeats():
    random = np.random.default_rng(0)
    repeats, covered = 200, 0
    for _ in range(repeats):
        bounds = interval(resample_tasks([[simulated(random)]], samples=300).means[0])
        covered += bounds.low <= 0.6 <= bounds.high
    assert 0.91 <= covered / repeats <= 1


def test_rows_alone_would_promise_too_much():
    """With strong template effects, an interval over rows only misses the truth far too often; ours does not."""
    random = np.random.default_rng(1)
    both = rows_only = 0
    for _ in range(100):
        matrix = simulated(random, row_spread=0.1, template_spread=0.15)
        bounds = interval(resample_tasks([[matrix]], samples=300).means[0])
        narrow = interval(resample_tasks([[matrix.mean(axis=1, keepdims=True)]], samples=300).means[0])
        assert width(bounds) > width(narrow)
        both += bounds.low <= 0.6 <= bounds.high
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
    bounds = interval(resample_tasks([[answers]], samples=4_000).means[0])
    assert width(bounds) == pytest.approx(2 * 1.96 * answers.std() / 20, rel=0.06)


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
    means = resample_tasks([[holed]], samples=2_000).means[0]
    assert means.mean() == pytest.approx(matrix[~gaps].mean(), abs=0.01)


def test_the_same_seed_gives_the_same_interval():
    matrix = simulated(np.random.default_rng(8))
    one, two = (resample_tasks([[matrix]], samples=100).means for _ in range(2))
    assert (one == two).all()
    assert not (one == resample_tasks([[matrix]], samples=100, seed=1).means).all()


def test_an_interval_is_the_middle_95_percent():
    bounds = interval(np.arange(1_001) / 1_000)
    assert (bounds.low, bounds.high) == pytest.approx((0.025, 0.975))


def test_rows_of_one_question_are_drawn_together():
    """Four readings of one question are one question: copies of every row leave the interval as it was."""
    matrix = simulated(np.random.default_rng(9), rows=80)
    alone = interval(resample_tasks([[matrix]], samples=4_000).means[0])
    copies, groups = np.repeat(matrix, 4, axis=0), [[f"question {n // 4}" for n in range(4 * len(matrix))]]
    grouped = interval(resample_tasks([[copies]], samples=4_000, groups=groups).means[0])
    as_if_rows = interval(resample_tasks([[copies]], samples=4_000).means[0])
    assert width(grouped) == pytest.approx(width(alone), rel=0.05)
    assert width(as_if_rows) < 0.8 * width(alone)


def test_without_templates_only_rows_are_drawn():
    matrix = simulated(np.random.default_rng(10), template_spread=0.2)
    rows = resample_tasks([[matrix]], samples=2_000, templates=False).means[0]
    by_row = matrix.mean(axis=1)
    assert rows.std() == pytest.approx(by_row.std() / len(by_row) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(5, 1, 2 * (1 + 6) / 2**6), (0, 0, 1.0), (3, 3, 1.0), (0, 6, 2 / 2**6), (10, 0, 2 / 2**10)],
)
def test_mcnemar_is_a_sign_test_on_the_rows_where_one_was_right(first, second, p):
    assert mcnemar(first, second) == pytest.approx(p)
    assert mcnemar(second, first) == pytest.approx(p)


def test_all_flips_of_few_differences_by_hand():
    # sums of ±1 ±1 ±1 ±1: 4 or -4 twice, 2 or -2 eight times, 0 six times
    assert permutation_p(np.array([1.0, 1, 1, -1])) == pytest.approx(10 / 16)
    assert permutation_p(np.array([1.0, 1, 1, 1, 0, 0])) == pytest.approx(2 / 16)
    assert permutation_p(np.zeros(5)) == 1


@pytest.mark.parametrize(("count", "shift"), [(9, 0.4), (12, 0.1), (60, 0.25), (300, 0.05)])
def test_permutations_agree_with_scipys(count, shift):
    from scipy.stats import permutation_test

    first, second = np.random.default_rng(count).normal(0, 1, (2, count)) + np.array([[shift], [0.0]])
    theirs = permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9_999,
        rng=np.random.default_rng(0),
    ).pvalue
    assert permutation_p(first - second) == pytest.approx(theirs, abs=1e-9 if count <= 12 else 0.02)


def test_a_permutation_test_rejects_as_often_as_it_says():
    random = np.random.default_rng(11)
    rejected = [permutation_p(random.normal(0, 1, 40), samples=400) <= 0.05 for _ in range(400)]
    assert 0.02 <= np.mean(rejected) <= 0.08


def test_a_bootstrap_p_value_is_twice_the_smaller_tail():
    assert bootstrap_p(np.array([-1.0] * 10 + [1.0] * 989)) == pytest.approx(2 * 11 / 1_000)
    assert bootstrap_p(np.zeros(99)) == 1


def test_holms_method_on_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []


def test_the_detectable_difference_is_2_8_standard_errors():
    assert detectable(0.01) == pytest.approx(0.01 * (1.959964 + 0.841621))


def test_the_detectable_difference_is_found_in_80_percent_of_studies():
    random = np.random.default_rng(12)
    true = detectable(1 / 20)
    verdicts = [permutation_p(random.normal(true, 1, 400), samples=400) < 0.05 for _ in range(200)]
    assert 0.72 <= np.mean(verdicts) <= 0.88


def test_the_spread_over_seeds_by_hand():
    spread = seed_spread([0.5, 0.6, 0.7])
    assert (spread.mean, spread.std) == (pytest.approx(0.6), pytest.approx(0.1))
    assert spread.interval.high - 0.6 == pytest.approx(4.30265 * 0.1 / 3**0.5, rel=1e-5)
    assert seed_spread([0.5]) is None


def test_draws_that_are_kept_are_those_that_are_made_anew(monkeypatch):
    draw = np.random.default_rng(0)
    matrices = [draw.random((40, 5)) for _ in range(2)]
    cases = [{}, {"templates": False}, {"groups": [str(row // 3) for row in range(40)]}, {"seed": (1, 0)}]
    kept = [statistics.resample_task(matrices, samples=50, **case) for case in (*cases, *cases)]
    monkeypatch.setattr(statistics, "_KEPT_DRAWS", 0)
    anew = [statistics.resample_task(matrices, samples=50, **case) for case in (*cases, *cases)]
    for one, other in zip(kept, anew, strict=True):
        assert np.array_equal(one, other)
