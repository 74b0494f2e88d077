"""Cleaning steps for reviews, arguments, dialogues and groups of articles."""

import pytest

from openflan.tasks.rows import STEPS


@pytest.mark.parametrize(
    ("document", "articles"),
    [
        ("One. ||||| Two.", ["One.", "Two."]),
        ("One. \n \n More. ||||| \n Two. |||||", ["One.\n\nMore.", "Two."]),
        ("||||| Été\u00a0chaud ||||| ", ["Été\u00a0chaud"]),
        ("a || b ||| c", ["a || b ||| c"]),
    ],
)
def test_documents_are_split_at_five_pipes(document, articles):
    row = {"document": document, "summary": "– A summary - in short."}
    cleaned = STEPS["split_documents"](row)
    assert cleaned["articles"] == articles
    assert cleaned["document"] == "\n\n".join(articles)
    assert cleaned["main_article"] in articles
    assert all(len(cleaned["main_article"]) >= len(article) for article in articles)
    assert cleaned["summary"] == "A summary - in short."
    assert row["document"] == document


@pytest.mark.parametrize(("document", "summary"), [(" ||||| \n", "Text."), ("Text.", " "), ("", "")])
def test_rows_without_articles_or_summary_are_dropped(document, summary):
    assert STEPS["split_documents"]({"document": document, "summary": summary}) is None


@pytest.mark.parametrize(
    ("dialogue", "expected"),
    [
        ("Ann: hi\r\nBob: ho", "Ann: hi\nBob: ho"),
        ("Ann: hi\r\rBob: ho\n", "Ann: hi\nBob: ho"),
        ("Ann: hi", "Ann: hi"),
        (None, ""),
    ],
)
def test_dialogues_have_plain_newlines(dialogue, expected):
    assert STEPS["dialogue_newlines"]({"dialogue": dialogue})["dialogue"] == expected


@pytest.mark.parametrize(
    ("dialogue", "expected"),
    [
        ("Ann: look <file_gif>\nBob: <3", "Ann: look\nBob: <3"),
        ("Ann: <file_photo> my cat <file_photo> again", "Ann: my cat again"),
        ("Ann: <file_photo>\nBob: nice", "Bob: nice"),
        ("Ann: love you <3 see <file_other> later >_<", "Ann: love you <3 see later >_<"),
        ("Zoë: 2 < 3 and 5 > 4", "Zoë: 2 < 3 and 5 > 4"),
        ("Ann: guess what:\nBob: what:", "Ann: guess what:\nBob: what:"),
    ],
)
def test_only_markers_go(dialogue, expected):
    assert STEPS["drop_chat_markers"]({"dialogue": dialogue})["dialogue"] == expected


@pytest.mark.parametrize("dialogue", ["", "Ann: <file_video>"])
def test_empty_dialogues_are_dropped(dialogue):
    assert STEPS["drop_chat_markers"]({"dialogue": dialogue}) is None


def test_the_first_ten_arguments_stand_under_plain_names():
    values = ["", *(f" Reason\n {n}. " for n in range(12))]
    row = {
        "_debate_name": "This_House  would_ban zoos",
        "_claim": "Zoos  harm animals.",
        "_argument_sentences": {"key": [str(n) for n in range(13)], "value": values},
    }
    cleaned = STEPS["first_arguments"](row)
    assert cleaned["debate"] == "This House would ban zoos"
    assert cleaned["claim"] == "Zoos harm animals."
    assert cleaned["arguments"] == [f"Reason {n}." for n in range(10)]
    assert STEPS["drop_without_opinions"](cleaned) is cleaned
    assert STEPS["drop_without_opinions"]({**cleaned, "arguments": []}) is None
    assert STEPS["drop_without_opinions"]({**cleaned, "claim": ""}) is None


def test_the_first_ten_reviews_stand_under_plain_names():
    row = {
        "_movie_name": "the_long_été",
        "_critic_consensus": " Slow\nbut lovely. ",
        "_critics": {"key": ["1", "2"], "value": ["Fine.", " "]},
    }
    cleaned = STEPS["first_reviews"](row)
    assert (cleaned["movie"], cleaned["consensus"]) == ("the long été", "Slow but lovely.")
    assert cleaned["reviews"] == ["Fine."]
    assert STEPS["drop_without_opinions"]({**cleaned, "reviews": []}) is None
