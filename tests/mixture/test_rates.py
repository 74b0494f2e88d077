"""Examples-proportional mixing with a maximum, in whole draws."""

from math import gcd

import pytest

from openflan.errors import UserError
from openflan.mixture.rates import draws_per_round

# The published mixture: 59 of 69 tasks at the maximum of 3,000; ten below it, with these usable rows.
SMALL = {
    "cb": 200,
    "copa": 350,
    "wsc": 500,
    "wnli": 600,
    "arc_challenge": 910,
    "definite_pronoun_resolution": 1_120,
    "idebate": 1_650,
    "story_cloze": 1_670,
    "arc_easy": 2_040,
    "rte": 2_290,
}
FLAN = SMALL | {f"large_{number}": 30_000 - number for number in range(59)}
TOTAL = 188_330


@pytest.mark.parametrize("task", SMALL)
def test_small_tasks_have_the_papers_share(task):
    draws = draws_per_round(FLAN, maximum=3_000)
    assert draws[task] / sum(draws.values()) == pytest.approx(SMALL[task] / TOTAL, abs=1e-6)


def test_a_large_task_counts_as_no_more_than_the_maximum():
    draws = draws_per_round(FLAN, maximum=3_000)
    assert {draws[name] / sum(draws.values()) for name in FLAN if name.startswith("large")} == {3_000 / TOTAL}


@pytest.mark.parametrize(
    ("rows", "maximum", "draws"),
    [
        ({"a": 250, "b": 500, "c": 400_000}, 3_000, {"a": 1, "b": 2, "c": 12}),
        ({"a": 7}, 3_000, {"a": 1}),
        ({"a": 3, "b": 5}, 3_000, {"a": 3, "b": 5}),
        ({"a": 3, "b": 5}, 1, {"a": 1, "b": 1}),
    ],
)
def test_rates_are_the_smallest_whole_numbers(rows, maximum, draws):
    assert draws_per_round(rows, maximum=maximum) == draws
    assert gcd(*draws.values()) == 1


def test_a_task_without_rows_is_an_error_never_a_rate_of_zero():
    with pytest.raises(UserError, match="no rows left in b, d"):
        draws_per_round({"a": 1, "b": 0, "c": 2, "d": 0}, maximum=3)
