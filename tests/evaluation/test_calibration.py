"""Probabilities of options, and whether they can be trusted."""

import math

import pytest

from openflan.evaluation.answered import Answered
from openflan.evaluation.calibration import calibration_of, option_probabilities


def answer(right: bool, *scores: float, kind: str = "ranked", tokens: tuple[int, ...] = (1, 1)) -> Answered:
    options = ("yes", "no", "perhaps")[: len(scores)]
    return Answered(
        task="rte", cluster="natural_language_inference", row=0, template=0, kind=kind, metric="accuracy",
        value=float(right), prompt="", answer="yes", expected="yes" if right else "no", options=options,
        scores=scores, option_tokens=tokens[: len(scores)], further=(), others=(), group="",
    )  # fmt: skip


def test_probabilities_are_those_of_the_options_alone():
    probabilities = option_probabilities(answer(True, -10 + math.log(0.3), -10 + math.log(0.1)), "sum")
    assert probabilities == pytest.approx([0.75, 0.25])


def test_they_follow_the_normalisation_that_ranks():
    longer = answer(True, -4.0, -4.0, tokens=(4, 2))
    assert option_probabilities(longer, "sum") == [0.5, 0.5]
    assert option_probabilities(longer, "mean_token")[0] == pytest.approx(1 / (1 + math.exp(-1)))


def test_a_model_that_is_right_as_often_as_it_is_sure_has_no_error():
    sure, unsure = math.log(0.8 / 0.2), 0.0
    answers = [answer(n % 5 > 0, sure, 0.0) for n in range(100)] + [answer(n % 2 > 0, unsure, 0.0) for n in range(50)]
    calibration = calibration_of(answers, "sum")
    assert calibration is not None
    assert calibration.error == pytest.approx(0, abs=1e-9)
    assert [(one.answers, one.accuracy) for one in calibration.bins] == [(50, 0.5), (100, 0.8)]


def test_a_model_that_is_always_sure_and_half_right_is_off_by_a_half():
    calibration = calibration_of([answer(n % 2 > 0, 0.0, -50.0) for n in range(10)], "sum")
    assert calibration is not None
    assert calibration.error == pytest.approx(0.5)
    assert (calibration.bins[0].low, calibration.bins[0].high) == (0.9, 1.0)


def test_generated_answers_have_no_probabilities():
    generated = answer(True, kind="generated")
    assert option_probabilities(generated, "sum") == []
    assert calibration_of([generated], "sum") is None
