"""Scores by option: normalisations by hand, ties, and what is reported on the way."""

import math

import pytest
import torch

from openflan.evaluation.ranking import Question, rank_options
from openflan.evaluation.scores import OptionScores
from openflan.models.load import find_model, load_model
from openflan.recipes.parts import ModelPart


def scores(logprob=(-2.0, -3.0, -4.5), tokens=(1, 2, 3), texts=("no", "über", "perhaps so")):
    return OptionScores(logprob=logprob, tokens=tokens, texts=texts, unconditional=(-1.0, -9.0, -4.0))


@pytest.mark.parametrize(
    ("rule", "expected", "best"),
    [
        ("sum", [-2.0, -3.0, -4.5], 0),
        ("mean_token", [-2.0, -1.5, -1.5], 1),
        ("per_character", [-1.0, -0.75, -0.45], 2),
        ("per_byte", [-1.0, -0.6, -0.45], 2),
        ("pmi", [-1.0, 6.0, -0.5], 1),
    ],
)
def test_scores_are_normalised_as_named(rule, expected, best):
    assert scores().normalised(rule) == pytest.approx(expected)
    assert scores().rank(rule).best == best


def test_the_first_of_equals_wins_and_is_told():
    ranking = scores(logprob=(-3.0, -1.0, -1.0)).rank("sum")
    assert (ranking.best, ranking.tied, ranking.margin) == (1, True, 0)
    assert not scores().rank("sum").tied


def test_the_margin_is_in_the_scores_own_unit():
    ranking = scores(logprob=(-2.0, -3.0, -9.0)).rank("per_byte")  # -1, -3/5, -9/10
    assert (ranking.best, ranking.margin, ranking.per_nat) == (1, pytest.approx(0.3), pytest.approx(1 / 5))
    assert scores().rank("sum").per_nat == 1


@pytest.fixture(scope="module")
def model(tiny_llama):
    return load_model(find_model(ModelPart(path=str(tiny_llama)), tiny_llama), device=torch.device("cpu"))


def test_all_first_tokens_together_have_probability_one(model):
    vocabulary = [[token] for token in range(model.config.vocab_size)]
    question = Question(prompt=[0, 50, 60], options=vocabulary, texts=["x"] * len(vocabulary))
    result = rank_options(model, [question], batch_tokens=100)[0]
    assert sum(map(math.exp, result.logprob)) == pytest.approx(1, abs=1e-5)
    assert set(result.tokens) == {1}


def test_an_option_is_at_most_as_likely_as_its_beginning(model):
    question = Question(prompt=[0, 50], options=[[7], [7, 8], [7, 8, 9]], texts=["a", "ab", "abc"])
    first, second, third = rank_options(model, [question], batch_tokens=100)[0].logprob
    assert first > second > third


def test_nothing_to_rank_gives_nothing(model):
    assert rank_options(model, [], batch_tokens=100) == []


@pytest.mark.parametrize("budget", [16, 60, 10_000])
def test_progress_adds_up_to_all_questions(model, budget):
    questions = [Question(prompt=[0] * n, options=[[5], [6, 7]], texts=["a", "b"]) for n in range(1, 20)]
    counts = []
    rank_options(model, questions, batch_tokens=budget, report=counts.append)
    assert sum(counts) == len(questions)
    assert (len(counts) == 1) == (budget == 10_000) or len(counts) > 1


def test_bfloat16_stays_near_float32(model):
    question = Question(prompt=[0, 50, 51], options=[[5, 9], [6, 7, 8]], texts=["a", "b"])
    exact = rank_options(model, [question], batch_tokens=100)[0].logprob
    rough = rank_options(model, [question], batch_tokens=100, autocast=True)[0].logprob
    assert rough == pytest.approx(exact, abs=0.5)
    assert rough != exact
