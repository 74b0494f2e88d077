"""Texts as units: words where a script has blanks, characters where it has none."""

import unicodedata

import pytest

from openflan.writing import joined, plain_text, units_of, weights_of


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("It's Ada's, isn't it?", "it s ada s isn t it"),
        ("snake_case  A1", "snake case a1"),
        ("Größe über alles – 3,5 m²", "größe über alles 3 5 m2"),
        ("Ελλάδα и Россия", "ελλάδα и россия"),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया"),
        ("مرحبا بالعالم", "مرحبا بالعالم"),
        ("한국어 문장", "한국어 문장"),
        ("第3回の会議 on AI", "第 3 回 の 会 議 on ai"),
        ("人々は", "人 々 は"),
        ("ไปไหน 12 คน", "ไ ป ไ ห น 12 ค น"),
        ("😀🎉 …!?", ""),
        ("", ""),
    ],
)
def test_words_in_small_letters_and_single_characters_without_punctuation(text, units):
    assert units_of(text) == units.split()


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("ＡＢＣ　１２", "abc 12"),
        ("ｶﾞｽ会社", "ガス会社"),
        ("eﬃcient", "efficient"),
        ("葛\U000e0100城", "葛城"),
        ("កម្ពុជា\u200bថ្មី", "កម្ពុជាថ្មី"),
        (unicodedata.normalize("NFD", "Đà Nẵng, café"), "Đà Nẵng, CAFÉ"),
        ("soft\u00adware", "software"),
    ],
)
def test_compatible_forms_and_invisible_characters_make_no_difference(text, other):
    assert units_of(text) == units_of(other)


def test_a_unit_does_not_depend_on_what_stands_around_its_word():
    inside = "那位老师说 the old clock 又走了，ครับ"
    for before, after in [("前言：", "。后话"), ("Once, ", " and so on"), ("ก่อน ", "ไง")]:
        units = units_of(before + inside + after)
        here = units_of(inside)
        assert any(units[place : place + len(here)] == here for place in range(len(units)))


def test_a_character_weighs_less_than_a_word_and_a_sign_nothing():
    assert weights_of(units_of("word größe слово 한국어 東 あ ก")) == [3, 3, 3, 3, 2, 2, 1]
    assert sum(weights_of(units_of("ขึ้น"))) == 2
    assert sum(weights_of(units_of("ខ្មែរ"))) == 3


def test_units_are_joined_to_be_read():
    assert joined(units_of("第3回の会議 on AI")) == "第 3 回の会議 on ai"
    assert joined([]) == ""


@pytest.mark.parametrize(("text", "other"), [("  So\u3000GOOD! ", "so good!"), ("🎉🎉", "🎉🎉"), ("Ａ＋Ｂ", "a+b")])
def test_a_plain_text_keeps_what_is_no_word(text, other):
    assert plain_text(text) == other
