"""Metrics of generated text against values worked out by hand."""

import pytest

from openflan.evaluation.metrics import METRICS, bleu, exact_match, f1, normalise, rouge


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Cat", "cat"),
        ("a cat, an owl; the end.", "cat owl end"),
        ("  many \n\t spaces ", "many spaces"),
        ("anthem theatre", "anthem theatre"),
        ("it's", "its"),
        ("U.S.A.", "usa"),
        ("well-known", "wellknown"),
        ("3,000", "3000"),
        ("the", ""),
        ("Ünïcode", "ünïcode"),
    ],
)
def test_answers_are_normalised_as_squad_does(text, normal):
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("answer", "references", "value"),
    [
        ("The Eiffel Tower.", ["eiffel tower"], 1.0),
        ("eiffel", ["eiffel tower"], 0.0),
        ("two", ["2", "Two"], 1.0),
        ("", ["the"], 1.0),
        ("", ["x"], 0.0),
    ],
)
def test_exact_match(answer, references, value):
    assert exact_match(answer, references) == value


@pytest.mark.parametrize(
    ("answer", "references", "value"),
    [
        ("the red cat", ["red cat"], 1.0),
        ("red cat sleeps", ["red cat"], 2 * (2 / 3) * 1 / (2 / 3 + 1)),
        ("cat cat", ["cat dog"], 0.5),
        ("one two", ["three four"], 0.0),
        ("one two", ["three", "two"], 2 / 3),
        ("", [""], 1.0),
        ("", ["x"], 0.0),
        ("x", ["the"], 0.0),
    ],
)
def test_f1_counts_shared_words(answer, references, value):
    assert f1(answer, references) == pytest.approx(value)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("text", ["Ada has a red kite in the garden .", "yes", "Ada has a kite"])
def test_the_reference_itself_scores_one(metric, text):
    assert metric(text, ["something else entirely", text]) == pytest.approx(1)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
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
    assert rouge("sat red cat", ["red cat quietly sat"]) == pytest.approx((6 / 7 + 4 / 7) / 2)


def test_bleu_is_sacrebleus_sentence_score():
    # precisions 4/5, 3/4, 2/3, 1/2 and no brevity penalty: the fourth root of their product
    answer, reference = "ada has a red boat", "ada has a red kite"
    assert bleu(answer, [reference]) == pytest.approx((4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)
