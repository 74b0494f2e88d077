"""The catalog's task files and the row cleaning they name."""

import pytest

from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.local import TWINS
from openflan.tasks.rows import STEPS
from openflan.tasks.sources import load_rows

ENTRIES = open_catalog(collections=["catalog"]).entries
every_task = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)


@every_task
def test_only_classifications_show_an_option_list_and_turned_around_templates_never_ask_for_the_answer(entry: Entry):
    for template in entry.spec.templates:
        if not entry.spec.is_classification or template.inverted:
            assert "{{options}}" not in template.input
        assert ("answer}}" not in template.target.replace(" ", "").replace("row.answer", "")) == template.inverted


@every_task
def test_twins_are_rows_of_every_role(entry: Entry):
    for role in entry.spec.splits:
        assert load_rows(entry, role, data=TWINS)


@pytest.mark.parametrize("label", [-1, "", None])
def test_unlabelled_rows_are_dropped(label):
    assert STEPS["drop_unlabelled"]({"premise": "a", "label": label}) is None


def test_a_row_of_class_zero_is_kept():
    row = {"premise": "a", "label": 0}
    assert STEPS["drop_unlabelled"](row) == row


@pytest.mark.parametrize(("sentiment", "kept"), [(0, True), (2, False), (4, True)])
def test_neutral_tweets_are_dropped(sentiment, kept):
    assert (STEPS["drop_neutral_tweets"]({"text": "hm", "sentiment": sentiment}) is not None) == kept


@pytest.mark.parametrize(
    ("document", "kept"), [("shares rose", True), ("shares rose # percent", False), ("UNK", False)]
)
def test_headlines_with_masked_words_are_dropped(document, kept):
    assert (STEPS["drop_masked_words"]({"document": document, "summary": "up"}) is not None) == kept


@pytest.mark.parametrize(("texts", "kept"), [("abcd", True), ("abc", False), ("abcde", False), ("abca", False)])
def test_questions_without_four_different_choices_are_dropped(texts, kept):
    row = {"choices": {"text": list(texts), "label": ["1", "2", "3", "4", "5"][: len(texts)]}, "answerKey": "1"}
    assert (STEPS["keep_four_choices"](row) is not None) == kept


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ("break_tags_to_newlines", "Good. <br /><br />Bad.<br>End", "Good.\n\nBad.\nEnd"),
        ("newlines_to_spaces", "Hello,\n\n  see you\tsoon \n", "Hello, see you soon"),
        ("unescape_reviews", r'I said \""hi\"" twice.\n\nNice ""d\u00e9cor"".', 'I said "hi" twice.\n\nNice "décor".'),
        ("unescape_entities", "me &amp; you &lt;3", "me & you <3"),
        ("doubled_quotes_to_apostrophes", 'What does ""no"" mean?', "What does 'no' mean?"),
        ("mend_news_entities", r"Canada #39;s  quot;best quot; up\$2\on Monday", 'Canada\'s "best" up$2 on Monday'),
        ("mend_news_entities", "IBM &lt;A HREF=x&gt;IBM.N&lt;/A&gt; rose", "IBM IBM.N rose"),
        ("unwrap_bytes_literals", r"b'Solve 2*x = 4 for x.\n'", "Solve 2*x = 4 for x."),
        ("unwrap_bytes_literals", "-3", "-3"),
    ],
)
def test_texts_are_cleaned(step, before, after):
    row = {"text": before, "label": 1}
    assert STEPS[step](row) == {"text": after, "label": 1}
    assert row["text"] == before


@pytest.mark.parametrize("question", ["who wrote it", "who wrote it?", "who wrote it ?"])
def test_a_question_ends_with_one_question_mark(question):
    assert STEPS["question_mark"]({"question": question}) == {"question": "who wrote it?"}


def test_page_names_become_titles():
    assert STEPS["tidy_title"]({"title": "Beyonc%C3%A9_Knowles"}) == {"title": "Beyoncé Knowles"}


def test_wikihow_markers_leave_contexts_and_endings():
    row = {
        "ctx": "[header] How to knit [title] Buy wool. [step] Any wool will do.",
        "endings": ["[substeps] Take it home.", "Eat it. [title] Sleep.", "Use [red] wool.", "No."],
    }
    cleaned = STEPS["wikihow_markers_to_newlines"](row)
    assert cleaned["ctx"] == "How to knit\nBuy wool.\nAny wool will do."
    assert cleaned["endings"] == ["Take it home.", "Eat it. Sleep.", "Use [red] wool.", "No."]


@pytest.mark.parametrize(("row", "fact"), [({}, ""), ({"fact1": None}, ""), ({"fact1": "ice melts"}, "ice melts")])
def test_a_missing_science_fact_is_blank(row, fact):
    assert STEPS["fact_or_blank"](row)["fact1"] == fact


def test_winogrande_is_cut_at_the_blank():
    cleaned = STEPS["cut_at_blank"]({"sentence": "Ann beat Sue because _ 's car was fast."})
    assert (cleaned["before"], cleaned["after"]) == ("Ann beat Sue because", " 's car was fast.")


@pytest.mark.parametrize(
    ("text", "spot", "marked"),
    [
        ("He saw that he slept.", 3, "He saw that *he* slept."),
        ('"I saw he," Tom said.', 2, '"I saw *he*," Tom said.'),
        ("The one she saw, he saw.", 1, "The one she saw, *he* saw."),
    ],
)
def test_the_pronoun_in_question_is_starred(text, spot, marked):
    row = {"text": text, "span2_index": spot, "span2_text": "he"}
    assert STEPS["star_pronoun"](row)["marked"] == marked


def test_dart_triples_become_facts_without_placeholders():
    row = {
        "tripleset": [
            ["Ada", "BIRTH_PLACE", "London"],
            ["[TABLECONTEXT]", "[TITLE]", "Poets"],
            ["The Mill", "eatType", "pub"],
        ]
    }
    assert STEPS["dart_facts"](row)["facts"] == [
        "Ada | birth place | London",
        "title | Poets",
        "The Mill | eat type | pub",
    ]


def test_web_nlg_triples_become_facts_without_underscores_and_datatypes():
    triples = ['Schiphol_Airport | runwayLength | "3500.0"^^xsd:double', "A_Long_Way | mediaType | Hard_cover"]
    row = {"modified_triple_sets": {"mtriple_set": [triples]}}
    expected = ["Schiphol Airport | runway length | 3500.0", "A Long Way | media type | Hard cover"]
    assert STEPS["web_nlg_facts"](row)["facts"] == expected
