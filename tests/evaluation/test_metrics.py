"""Metrics against values worked out by hand."""

import pytest

from openflan.evaluation.metrics import AGGREGATES, METRICS, Choices, metric_signature


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("text", ["Ada has a red kite in the garden .", "yes", "Ada has a kite"])
def test_the_reference_itself_scores_one(metric, text):
    assert metric(text, ["something else entirely", text]) == pytest.approx(1)


WORDS = {name: metric for name, metric in METRICS.items() if name != "edit_distance"}


@pytest.mark.parametrize("metric", WORDS.values(), ids=WORDS)
def test_nothing_in_common_scores_next_to_nothing(metric):
    assert metric("grey owls fly south tonight", ["Ada has one red kite"]) == pytest.approx(0, abs=0.05)
    assert metric("", ["Ada has one red kite"]) == 0


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_more_references_never_lower_a_score(metric):
    answer, references = (
        "Ada has a red boat .",
        ["Ada has a boat .", "The red boat belongs to Ada .", "Ada likes boats ."],
    )
    one_by_one = [metric(answer, [reference]) for reference in references]
    assert metric(answer, references) >= max(one_by_one) - 1e-9
    assert 0 <= metric(answer, references) <= 1


def test_rouge_is_the_mean_of_rouge_1_and_rouge_l():
    # unigrams: 3 of 3 and 4 shared -> F = 6/7; longest common subsequence "red cat" or "cat sat": 2 -> F = 4/7
    assert METRICS["rouge"]("sat red cat", ["red cat quietly sat"]) == pytest.approx((6 / 7 + 4 / 7) / 2)


def test_bleu_is_sacrebleus_sentence_score():
    # precisions 4/5, 3/4, 2/3, 1/2 and no brevity penalty: the fourth root of their product
    answer, reference = "ada has a red boat", "ada has a red kite"
    assert METRICS["bleu"](answer, [reference]) == pytest.approx((4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)


def test_bleus_signature_is_sacrebleus_own():
    from sacrebleu.metrics import BLEU

    own = BLEU(tokenize="intl", effective_order=True)
    own.sentence_score("a red boat", ["a red kite"])
    settings = f"mean of sentences|{own.get_signature()}".replace("nrefs:1", "nrefs:var")
    assert metric_signature("bleu").endswith(settings)
    # only the international tokeniser takes marks of other scripts apart
    assert METRICS["bleu"]("a b c d«e»", ["a b c d « e »"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("answer", "reference", "value"),
    [("kitten", "sitting", 1 - 3 / 7), ("", "abcd", 0.0), ("same", "same", 1.0), ("ab", "abcd", 0.5)],
)
def test_edit_distance_counts_characters_to_change(answer, reference, value):
    assert METRICS["edit_distance"](answer, [reference]) == pytest.approx(value)


def choices(right, chosen, options=("no", "yes"), groups=()):
    return Choices(right=right, chosen=chosen, options=(options,) * len(right), groups=groups)


RIGHT, CHOSEN = (1, 1, 0, 0, 1), (1, 0, 0, 1, 1)
"""True positives 2, false positives 1, false negatives 1, true negatives 1."""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("f1_binary", 2 / 3),
        ("f1_answers", 2 / 3),
        ("f1_macro", (2 / 3 + 1 / 2) / 2),
        ("matthews", (2 * 1 - 1 * 1) / (3 * 3 * 2 * 2) ** 0.5),
    ],
)
def test_metrics_over_classes(name, value):
    assert AGGREGATES[name](choices(RIGHT, CHOSEN)) == pytest.approx(value)


def test_always_one_class_has_no_correlation():
    assert AGGREGATES["matthews"](choices((0, 1, 1), (1, 1, 1))) == 0
    assert AGGREGATES["pearson"](choices((0, 1, 1), (1, 1, 1), ("0", "5"))) == 0


def test_numbers_are_correlated_by_value_and_by_rank():
    options = ("0", "1", "10")
    answers = choices((0, 1, 2), (0, 2, 1), options)
    # deviations (-11/3, -8/3, 19/3) and (-11/3, 19/3, -8/3): covariance over variance
    assert AGGREGATES["pearson"](answers) == pytest.approx((121 - 152 - 152) / (121 + 64 + 361))
    assert AGGREGATES["spearman"](answers) == pytest.approx(0.5)


def test_a_group_counts_where_all_its_rows_are_right():
    answers = choices((1, 0, 1, 0), (1, 0, 1, 1), groups=("a", "a", "b", "b"))
    assert AGGREGATES["exact_match_groups"](answers) == 0.5
