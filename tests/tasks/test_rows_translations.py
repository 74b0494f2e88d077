"""The step that takes sentence pairs apart."""

import pytest

from openflan.tasks.rows import STEPS


@pytest.mark.parametrize(
    ("pair", "english", "foreign"),
    [
        ({"cs": "Ano.", "en": "Yes."}, "Yes.", "Ano."),
        ({"en": "Yes.", "fi": "Kyllä."}, "Yes.", "Kyllä."),
        ({"ru": " Да.\u00a0", "en": "Yes. \n"}, "Yes.", "Да."),
    ],
)
def test_the_sides_of_a_pair_are_named(pair, english, foreign):
    row = {"translation": pair}
    assert STEPS["english_and_foreign"](row) == {"translation": pair, "english": english, "foreign": foreign}
    assert row == {"translation": pair}


@pytest.mark.parametrize(
    "pair",
    [
        {"de": "", "en": "Yes."},
        {"de": "Ja.", "en": " \n"},
        {"de": "\u00a0", "en": "Yes."},
        {"de": None, "en": "Yes."},
        {"de": "Ja.", "en": None},
        {"en": "Yes."},
    ],
)
def test_a_pair_with_an_empty_side_is_dropped(pair):
    assert STEPS["english_and_foreign"]({"translation": pair}) is None
