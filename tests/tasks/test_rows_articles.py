"""The steps that prepare articles and their highlights."""

import pytest

from openflan.tasks.rows import STEPS

BYLINE = "By . Our Reporter . PUBLISHED: . 07:01 EST, 3 May 2013 . | . UPDATED: . 11:12 EST, 3 May 2013 . "


@pytest.mark.parametrize(
    ("article", "story"),
    [
        ("(CNN) -- A bridge fell.", "A bridge fell."),
        ("(CNN)      -- A bridge fell.", "A bridge fell."),
        ("LONDON, England (Reuters) -- A bridge -- the last -- fell.", "A bridge -- the last -- fell."),
        ("EL PASO, Texas (CNN)  -- A bridge fell.", "A bridge fell."),
        ("Port-au-Prince, Haiti (CNN) -- A bridge fell.", "A bridge fell."),
        ("ROME, Italy -- A bridge fell.", "A bridge fell."),
        ("ZÜRICH, Switzerland -- 20 bridges fell.", "20 bridges fell."),
        ("(CNN)A bridge fell.", "A bridge fell."),
        ("(CNN Student News) -- A bridge fell.", "A bridge fell."),
        (f"{BYLINE}A bridge fell in 2013 . No one was hurt.", "A bridge fell in 2013 . No one was hurt."),
        ("Last updated at 9:15 AM on 3rd May 2011 . A bridge fell.", "A bridge fell."),
        ("Editor's note: Our man -- an engineer -- was there. OSLO, Norway (CNN) -- A bridge fell.", "A bridge fell."),
        ('Editor’s note: He was there. (CNN) -- "A bridge fell."', '"A bridge fell."'),
        ("Editor's note: A bridge fell.", "Editor's note: A bridge fell."),
        ("A bridge fell -- the third this year.", "A bridge fell -- the third this year."),
        ("The agency (NASA) -- which built it -- wept.", "The agency (NASA) -- which built it -- wept."),
        ("By . Our Reporter . A bridge fell.", "By . Our Reporter . A bridge fell."),
        ("(CNN) --", "(CNN) --"),
        ("-- A bridge fell.", "-- A bridge fell."),
        ("", ""),
    ],
)
def test_the_story_after_its_dateline_is_kept(article, story):
    row = {"article": article, "highlights": "x"}
    assert STEPS["drop_dateline"](row) == {"article": story, "highlights": "x"}
    assert row["article"] == article


@pytest.mark.parametrize(
    ("article", "kept"),
    [
        ("(CNN) -- A bridge fell.", "(CNN"),
        ("LONDON, England (Reuters) -- A bridge (old) -- fell.", "LONDON, England (Reuters"),
        ("ROME, Italy -- A bridge fell.", "ROME, Italy -- A bridge fell."),
        (f"{BYLINE}A bridge fell.", "By . Our Reporter . PUBLISHED: . 07:01 EST, 3 May "),
        ("A bridge fell.", "A bridge fell."),
    ],
)
def test_the_released_code_keeps_what_stands_before_the_mark(article, kept):
    row = {"article": article}
    assert STEPS["keep_dateline"](row) == {"article": kept}
    assert row["article"] == article


@pytest.mark.parametrize(
    ("article", "highlights", "kept"),
    [("a", "b", True), ("", "b", False), ("a", " \n", False), ("\u00a0", "b", False)],
)
def test_rows_without_text_are_dropped(article, highlights, kept):
    row = {"article": article, "highlights": highlights}
    assert STEPS["drop_blank_articles"](row) == (row if kept else None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A bridge fell .\nNo one was hurt .", "A bridge fell.\nNo one was hurt."),
        ("A bridge fell . No one was hurt .", "A bridge fell.\nNo one was hurt."),
        ('He says "never"  She says so too  They agree .', 'He says "never"\nShe says so too\nThey agree.'),
        ('The  "Für Elise"\u00a0 bridge .  État: It fell .', 'The "Für Elise" bridge.\nÉtat: It fell.'),
        ("It fell at 6 a.m.\nWill it rise ?", "It fell at 6 a.m.\nWill it rise?"),
        ("NEW: .5 percent rise\n\n .\nÉté is over .", "NEW: .5 percent rise\nÉté is over."),
        ("", ""),
    ],
)
def test_each_highlight_stands_on_a_line_without_a_stray_space(before, after):
    row = {"article": "a", "highlights": before}
    assert STEPS["tidy_highlights"](row) == {"article": "a", "highlights": after}
    assert row["highlights"] == before
