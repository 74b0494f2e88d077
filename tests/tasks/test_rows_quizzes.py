"""The steps for questions with answers of several kinds."""

import pytest

from openflan.tasks.rows import STEPS


@pytest.mark.parametrize(
    ("spans", "types", "answers"),
    [
        (["3"], ["number"], ["3"]),
        (["26", "26"], ["number", "number"], ["26"]),
        (["61", "61 men", "61"], ["number", "span", "number"], ["61", "61 men"]),
        (["30 May 1640"], ["date"], ["30 May 1640"]),
        (["Gulls", "Gulls"], ["span", "span"], ["Gulls"]),
        (["Okafor", "Lindqvist"], ["span", "span"], ["Okafor, Lindqvist", "Okafor", "Lindqvist"]),
        (["the siege", "the plague"], ["spans", "spans"], ["the siege, the plague"]),
        ([" Škoda ", "", "Škoda"], ["span", "span", "span"], ["Škoda"]),
        ([], [], []),
    ],
)
def test_spans_become_accepted_answers(spans, types, answers):
    row = {"question": "who?", "answers_spans": {"spans": spans, "types": types}}
    assert STEPS["spans_as_answers"](row) == {**row, "answers": answers}
    assert "answers" not in row


@pytest.mark.parametrize(
    ("value", "aliases", "answers"),
    [
        ("mercury", ["mercury planet", "mercury", "planet mercury"], ["mercury", "mercury planet", "planet mercury"]),
        ("piano", [], ["piano"]),
        ("", ["", "k", "letter k"], ["k", "letter k"]),
        (" óbuda ", ["óbuda"], ["óbuda"]),
    ],
)
def test_the_normalised_value_comes_before_the_aliases(value, aliases, answers):
    row = {"answer": {"value": value.title(), "normalized_value": value, "normalized_aliases": aliases}}
    assert STEPS["aliases_as_answers"](row) == {**row, "answers": answers}
    assert "answers" not in row


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("What is a group of lions ?", "What is a group of lions?"),
        ("Which  isle , of two,\nis larger?", "Which isle, of two, is larger?"),
        ("Who led a revolt in 1070? ,", "Who led a revolt in 1070?"),
        ("Who split the atom ? ( both surnames required )", "Who split the atom? ( both surnames required )"),
        ("Which calibre is .22 or .38?", "Which calibre is .22 or .38?"),
        ("Name the four.", "Name the four."),
        ("El Prat serves which city", "El Prat serves which city"),
        ("Où est Orléans ?", "Où est Orléans?"),
    ],
)
def test_the_spacing_of_a_question_is_mended(before, after):
    row = {"question": before, "answer": 1}
    assert STEPS["close_up_question"](row) == {"question": after, "answer": 1}
    assert row["question"] == before


@pytest.mark.parametrize(
    ("texts", "answers"), [([], ["unanswerable"]), (["1790"], ["1790"]), (["a canal", "canal"], ["a canal", "canal"])]
)
def test_a_question_without_answers_is_unanswerable(texts, answers):
    row = {"question": "who?", "answers": {"text": texts, "answer_start": [0] * len(texts)}}
    assert STEPS["empty_answers_to_unanswerable"](row)["answers"] == {**row["answers"], "text": answers}
    assert row["answers"]["text"] == texts
