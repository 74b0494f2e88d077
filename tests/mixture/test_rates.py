"""How tasks divide the draws: by size with a maximum, by temperature, alike, by fixed shares, by groups."""

import json
from fractions import Fraction
from math import gcd

import pytest
from pydantic import ValidationError

from openflan.errors import UserError
from openflan.mixture.rates import LONGEST_ROUND, draws_per_round, mixing_shares
from openflan.recipes.mixture_part import MixturePart
from openflan.tasks.catalog import open_catalog

CATALOG = list(open_catalog(collections=["catalog"]).entries.values())
ROWS = {"cb": 250, "rte": 500, "snli": 400_000, "copa": 250, "cola": 8_551, "wic": 5_428, "trec": 5_252}
ENTRIES = [entry for entry in CATALOG if entry.spec.name in {*ROWS, "arc_easy"}]
"""As in a recipe whose hold-out leaves arc_easy out of tuning."""


def mixture(settings):
    """As a recipe says it."""
    return MixturePart.model_validate_json(json.dumps(settings))


def share(rows, **settings):
    return mixing_shares(rows, ENTRIES, mixture(settings))


def draws(rows, **settings):
    return draws_per_round(rows, ENTRIES, mixture(settings))


def test_a_large_task_counts_as_no_more_than_the_maximum():
    assert draws({"cb": 250, "rte": 500, "snli": 400_000}) == {"cb": 1, "rte": 2, "snli": 12}


@pytest.mark.parametrize(
    ("rows", "maximum", "expected"),
    [
        ({"cb": 7}, 3_000, {"cb": 1}),
        ({"cb": 3, "rte": 5}, 3_000, {"cb": 3, "rte": 5}),
        ({"cb": 3, "rte": 5}, 1, {"cb": 1, "rte": 1}),
    ],
)
def test_rates_are_the_smallest_whole_numbers(rows, maximum, expected):
    assert draws(rows, maximum=maximum) == expected
    assert gcd(*draws(rows, maximum=maximum).values()) == 1


def test_a_task_without_rows_is_an_error_never_a_rate_of_zero():
    with pytest.raises(UserError, match="no rows left in rte, trec"):
        draws({"cb": 1, "rte": 0, "wic": 2, "trec": 0})


def test_temperature_takes_the_root_after_the_maximum_as_seqio_does():
    shares = share({"cb": 400, "snli": 400_000}, maximum=2_500, temperature=2.0)
    assert shares["snli"] / shares["cb"] == Fraction(50, 20)
    cool = share({"cb": 400, "snli": 400_000}, maximum=2_500, temperature=0.5)
    assert cool["snli"] / cool["cb"] == Fraction(2_500**2, 400**2)


def test_equal_tasks_are_drawn_alike():
    assert set(draws(ROWS, rule="equal").values()) == {1}


def test_a_weight_is_a_tasks_share_of_the_mixture_and_the_rest_keep_their_relative_rates():
    shares = share(ROWS, weights={"cb": 0.1})
    free = share(ROWS)
    assert shares["cb"] == Fraction(1, 10)
    assert sum(shares.values()) == 1
    assert shares["rte"] / shares["snli"] == free["rte"] / free["snli"]


def test_a_weight_of_a_cluster_is_that_of_the_whole_cluster_divided_by_the_rule():
    shares = share(ROWS, weights={"natural_language_inference": 0.4})
    assert shares["cb"] + shares["rte"] + shares["snli"] == Fraction(2, 5)
    assert shares["snli"] / shares["rte"] == 6
    assert shares["cola"] == shares["wic"] == shares["trec"]


def test_a_task_takes_its_weight_out_of_its_clusters():
    shares = share(ROWS, weights={"misc": 0.2, "cola": 0.05, "word_sense": 0.07})
    assert shares["cola"] == Fraction(5, 100)
    assert shares["wic"] == Fraction(7, 100)
    assert shares["trec"] == Fraction(8, 100)


def test_weights_of_all_tasks_are_scaled_to_fill_the_mixture():
    assert share({"cb": 5, "rte": 6}, weights={"cb": 0.1, "rte": 0.3}) == {"cb": Fraction(1, 4), "rte": Fraction(3, 4)}


def test_a_weight_of_a_held_out_task_is_passed_over():
    assert share(ROWS, weights={"closed_book_qa": 0.5, "arc_easy": 0.1}) == share(ROWS)


def test_groups_have_a_share_each_and_a_rule_of_their_own():
    groups = {
        "inference": {"use": ["natural_language_inference"], "share": 0.4, "maximum": 30_000},
        "small": {"use": ["cola", "word_sense"], "share": 0.35, "rule": "equal", "weights": {"wic": 0.25}},
    }
    shares = share(ROWS, groups=groups)
    assert shares["cb"] + shares["rte"] + shares["snli"] == Fraction(4, 10)
    assert shares["snli"] / shares["cb"] == 30_000 / 250
    assert shares["wic"] == Fraction(35, 100) / 4
    assert shares["copa"] + shares["trec"] == Fraction(1, 4)
    assert shares["trec"] / shares["copa"] == 3_000 / 250


def test_groups_that_take_in_every_task_are_scaled_to_the_whole():
    groups = {
        "a": {"use": ["cb"], "share": 0.4},
        "b": {"use": ["rte"], "share": 0.2},
        "gone": {"use": ["arc_easy"], "share": 0.4},
    }
    assert share({"cb": 5, "rte": 6}, groups=groups) == {"cb": Fraction(2, 3), "rte": Fraction(1, 3)}


def test_shares_that_no_short_round_can_hold_are_rounded_by_largest_remainder():
    rows = {"cb": 1, "rte": 3_000_017, "snli": 2_999_999}
    exact, counts = share(rows, maximum=10**9), draws(rows, maximum=10**9)
    assert sum(counts.values()) == LONGEST_ROUND
    assert counts["cb"] == 1
    assert all(abs(counts[name] - exact[name] * LONGEST_ROUND) <= 1 for name in rows)
    hot = draws(ROWS, temperature=3.0)
    assert all(abs(hot[name] / sum(hot.values()) - share(ROWS, temperature=3.0)[name]) < 2e-6 for name in ROWS)


def test_shares_as_written_are_exact():
    counts = draws(ROWS, rule="equal", weights={"cb": 0.1})
    assert counts == {name: 3 if name != "cb" else 2 for name in ROWS}


NEAREST = "did you mean 'natural_language_inference'"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": {"natural_language_inferense": 0.1}}, f"weights.natural_language_inferense.*{NEAREST}"),
        ({"weights": {"cb": 0.6, "rte": 0.5}}, "mixture.weights: cb, rte sum to 1.1, over the 1 there"),
        ({"weights": {"misc": 0.2, "cola": 0.3}}, "weights: cola sum to 0.3, over the 0.2"),
        ({"weights": {"cb": 0.5, "rte": 0.5}}, "the shares leave nothing for cola, copa, snli and 2 others"),
        ({"groups": {"a": {"use": ["cola_"], "share": 0.5}}}, r"groups.a.use\[0\].*did you mean 'cola'"),
        ({"groups": {"a": {"use": ["cb"], "share": 1}}}, "leave nothing for rte, snli, copa and 3 others"),
        (
            {"groups": {"a": {"use": ["cb"], "share": 0.6}, "b": {"use": ["misc"], "share": 0.6}}},
            "mixture.groups: shares sum to 1.2, over 1",
        ),
        (
            {"groups": {"a": {"use": ["cb"], "share": 0.1}, "b": {"use": ["catalog"], "share": 0.6}}},
            "groups.b.use: group 'a' has cb too",
        ),
        (
            {"groups": {"a": {"use": ["cb"], "share": 0.1}}, "weights": {"cb": 0.2}},
            "mixture.weights.cb: no task or cluster 'cb' here",
        ),
    ],
)
def test_shares_that_do_not_fit_are_one_clear_line(settings, message):
    with pytest.raises(UserError, match=message):
        draws(ROWS, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": float("inf")},
        {"weights": {"cb": 1.5}},
        {"weights": {"cb": 0.0}},
        {"rule": "equal", "temperature": 2.0},
        {"rule": "equal", "maximum": 10},
        {"groups": {"a": {"use": [], "share": 0.5}}},
    ],
)
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        mixture(settings)
