"""Known lengths: what follows from a curve, and what the file says."""

from statistics import mean

import numpy as np
import pytest

from openflan.mixture.lengths import (
    BytesPerToken,
    LengthCurve,
    Lengths,
    PromptStyle,
    fit,
    known_lengths,
    styles_of,
)
from openflan.recipes.parts import PromptsPart
from openflan.tasks.catalog import open_catalog

GRID = (0, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 1)
PART = PromptsPart(max_input_tokens=1024, max_target_tokens=256)
CATALOG = open_catalog(collections=["catalog"]).entries


@pytest.mark.parametrize("limit", [40, 150, 300, 700, 10_000])
def test_a_curve_tells_what_is_cut_and_how_long_the_rest_is(limit):
    lengths = np.random.default_rng(0).lognormal(5, 0.7, 5_000)
    curve = LengthCurve(ranks=GRID, values=tuple(np.quantile(lengths, GRID)), mean=float(lengths.mean()))
    assert curve.within(limit) == pytest.approx(np.minimum(lengths, limit).mean(), rel=0.03)
    assert curve.over(limit) == pytest.approx((lengths > limit).mean(), abs=0.01)


def test_a_curve_of_counted_lengths_is_those_lengths():
    curve = LengthCurve.of([3, 1, 2, 10])
    assert curve.within(100) == mean([3, 1, 2, 10])
    assert (curve.over(0.5), curve.over(10)) == (1.0, 0.0)
    assert LengthCurve.of([7]).within(5) == 5


def test_every_task_that_flan_tunes_on_has_known_lengths():
    tuned = [entry.spec.name for entry in CATALOG.values() if not entry.spec.evaluation_only]
    origins = {name: known_lengths(name, []).origin for name in tuned}
    assert "guess" not in origins.values()
    assert origins["sst2"] == "rows"
    assert origins["wmt16_translate_deen"] == "stand-in"
    assert origins["newsroom"] == "twin"


def test_a_task_that_the_file_lacks_is_a_guess_from_its_cluster():
    guess = known_lengths("mine", ["copa", "hellaswag", "piqa"])
    assert guess.origin == "guess"
    assert guess.input.mean == sorted(known_lengths(name, []).input.mean for name in ("copa", "hellaswag", "piqa"))[1]
    assert known_lengths("mine", []).input.mean > 0


def test_another_tokenizer_is_another_number_of_bytes_a_token():
    known = known_lengths("squad_v1", [])
    fine = known.tokens(BytesPerToken(input=known.reference.input / 2, target=known.reference.target / 2))
    assert fine.input.mean == pytest.approx(2 * known.tokens().input.mean)
    assert fine.target.mean == pytest.approx(2 * known.tokens().target.mean)


def test_hidden_options_make_inputs_shorter():
    known = known_lengths("hellaswag", [])
    hidden = PART.model_copy(update={"options": "hidden"})
    saved = fit(known.tokens(), PART).input - fit(known.tokens(), hidden).input
    assert saved == pytest.approx(known.options / known.reference.input)
    assert saved > 20


def test_styles_weigh_as_the_recipe_says():
    mixed = PromptsPart.model_validate_json(
        '{"styles": [{"weight": 1}, {"weight": 3, "shots": [1, 2], "options": "hidden"}]}'
    )
    styles = [(style.share, style.exemplars, style.options) for style in styles_of(mixed)]
    assert styles == [(1.0, 0, "shown"), (1.5, 1, "hidden"), (1.5, 2, "hidden")]
    lengths = known_lengths("sst2", []).tokens()
    plain, solved = (fit(lengths, PromptsPart(shots=shots)).input for shots in (0, 2))
    assert solved == pytest.approx(3 * plain + 2 * lengths.target.mean, rel=0.05)


def test_the_longest_articles_are_cut_and_short_questions_are_not():
    news = fit(known_lengths("multi_news", []).tokens(), PART)
    assert news.cut > 0.9
    assert news.input <= 1024
    assert news.target <= 256
    assert fit(known_lengths("natural_questions", []).tokens(), PART).cut == 0


def test_solved_examples_fill_the_room_that_is_left_for_them():
    lengths = Lengths(input=LengthCurve.of([98, 98]), target=LengthCurve.of([8, 8]))
    zero = fit(lengths, PART)
    few = fit(lengths, PART, [PromptStyle(exemplars=16)])
    assert zero.input == 99
    assert few.input == 99 + 7 * 108  # 960 tokens of room: 98 for the question and 7 examples of 98 + 8 + 2
    assert fit(lengths, PART, [PromptStyle(exemplars=2)]).input == 99 + 2 * 108
    mixed = fit(lengths, PART, [PromptStyle(share=1), PromptStyle(share=3, exemplars=16)])
    assert mixed.input == pytest.approx(0.25 * zero.input + 0.75 * few.input)
