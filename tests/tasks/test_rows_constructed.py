"""Cleaning steps that build something: completions, numbered dialogues, damaged sentences, facts, rounded scores."""

import pytest

from openflan.tasks.rows import STEPS, UNROLL


@pytest.mark.parametrize(
    ("score", "rounded"), [(0.5, "0"), (1.5, "2"), (2.5, "2"), (3.5, "4"), (4.6, "5"), (0.0, "0"), (5.0, "5")]
)
def test_scores_are_rounded_half_to_even(score, rounded):
    assert STEPS["rounded_score"]({"label": score})["rounded"] == rounded


def test_neutral_tweets_count_as_negative_only_where_asked():
    assert [STEPS["neutral_tweets_are_negative"]({"sentiment": s})["sentiment"] for s in (0, 2, 4)] == [0, 0, 4]


RECORD = {
    "passage": "Ann met Bo in Rome.\n@highlight\nAnn met Bo\n@highlight\nIn Rome",
    "query": "Later @placeholder's bag was found.",
    "entities": ["Ann", "Bo", "Rome"],
    "answers": ["Ann", "Bo"],
}


def test_record_completes_the_query_with_every_entity_and_hides_the_highlights():
    row = STEPS["record_completions"](RECORD)
    assert row["before"] == "Later"
    assert row["completions"] == ["Ann's bag was found.", "Bo's bag was found.", "Rome's bag was found."]
    assert row["right"] == ["Ann's bag was found.", "Bo's bag was found."]
    assert row["passage"] == "Ann met Bo in Rome."


@pytest.mark.parametrize("change", [{"answers": []}, {"answers": ["Cy"]}, {"entities": ["Ann"]}])
def test_record_rows_without_a_choice_are_dropped(change):
    assert STEPS["record_completions"]({**RECORD, **change}) is None


@pytest.mark.parametrize(
    ("text", "pronoun", "options", "before", "completions"),
    [
        (
            "The box fell as it was wet.",
            "it",
            ["The box", "Tom"],
            "The box fell as",
            ["the box was wet.", "Tom was wet."],
        ),
        ("Al left. His car broke.", "His", ["Al", "James"], "Al left.", ["Al's car broke.", "James' car broke."]),
        ("Eva saw her brother.", "her", ["Eva", "My aunt"], "Eva saw", ["Eva's brother.", "my aunt's brother."]),
        ("Eva left and Ida saw her.", "her", ["Eva", "Ida"], "Eva left and Ida saw", ["Eva.", "Ida."]),
        ("It broke.", "It", ["The jar", "Tom"], "", ["The jar broke.", "Tom broke."]),
    ],
)
def test_options_take_the_pronouns_place(text, pronoun, options, before, completions):
    row = {"text": text, "pronoun": pronoun, "pronoun_loc": text.index(pronoun), "options": options}
    result = STEPS["completions_at_pronoun"](row)
    assert (result["before"], result["completions"]) == (before, completions)


def test_the_last_word_is_set_apart():
    row = STEPS["last_word_apart"]({"text": "he shut the old door \n"})
    assert (row["before"], row["word"]) == ("he shut the old", "door")


def test_the_last_occurrence_of_the_pronoun_is_marked():
    row = {"sentence": "They think that they won.", "pronoun": "they"}
    assert STEPS["mark_pronoun_in_text"](row)["marked"] == "They think that *they* won."
    assert STEPS["mark_pronoun_in_text"]({**row, "pronoun": "she"})["marked"] == row["sentence"]


QUAC = {
    "wikipedia_page_title": "Ada", "background": "b", "section_title": "s", "context": "She wrote. CANNOTANSWER",
    "questions": ["What?", "Why?"], "turn_ids": ["0", "1"], "orig_answers": {"texts": ["She wrote.", "CANNOTANSWER"]},
}  # fmt: skip


def test_a_dialogue_becomes_a_row_a_question_and_the_marker_plain_words():
    rows = [STEPS["drop_unanswerable_marker"](row) for row in UNROLL["quac_turns"](QUAC)]
    assert [row["question"] for row in rows] == ["What?", "Why?"]
    assert [row["answer"] for row in rows] == ["She wrote.", "This can't be answered from the text."]
    assert {row["context"] for row in rows} == {"She wrote."}
    kept = [STEPS["keep_unanswerable_marker"](row) for row in UNROLL["quac_turns"](QUAC)]
    assert kept[1]["answer"] == "CANNOTANSWER"
    assert kept[0]["context"].endswith("CANNOTANSWER")


def test_questions_and_answers_of_a_conversation_are_numbered():
    row = STEPS["numbered_dialogue"]({"questions": ["Who?", "When? "], "answers": {"input_text": ["Ada", "in May"]}})
    assert row["numbered_questions"] == "1. Who?\n2. When?"
    assert row["numbered_answers"] == "1. Ada\n2. in May"


@pytest.mark.parametrize(
    ("step", "text", "damaged"),
    [
        ("strip_punctuation", "Café Élan: it's 5 o'clock!", "Café Élan its 5 oclock"),
        ("strip_punctuation_ascii", "Café Élan: it's 5 o'clock!", "Caf lan its 5 oclock"),
        ("lower_case", "Élan AND Ada", "élan and ada"),
        ("lower_case_ascii", "Élan AND Ada", "Élan and ada"),
        ("remove_spaces", "to be  or not", "tobeornot"),
    ],
)
def test_sentences_are_damaged_as_the_task_says(step, text, damaged):
    row = STEPS[step]({"translation": {"en": text}})
    assert row["damaged"] == damaged
    assert row["text"] == " ".join(text.split())


def test_sentences_that_lost_nothing_are_dropped():
    assert STEPS["drop_unchanged"](STEPS["lower_case"]({"translation": {"en": "all small"}})) is None
    assert STEPS["drop_unchanged"](STEPS["lower_case"]({"translation": {"en": "One large"}})) is not None


def test_attributes_become_facts_and_references_are_told_once():
    row = {
        "meaning_representation": "name[The Oak], customer rating[5 out of 5]",
        "target": "a",
        "references": ["a", "b"],
    }
    assert STEPS["e2e_facts"](row)["facts"] == ["name = The Oak", "customer rating = 5 out of 5"]
    assert STEPS["all_references"](row)["texts"] == ["a", "b"]
