"""Rows: balanced, whole, different from each other, and of one split only."""

import hashlib
import json
from collections import Counter

import pytest

from openflan.errors import UserError
from openflan_starter import ROWS_VERSION
from openflan_starter.rows import COUNTS, TASKS, context_of, count, rows


@pytest.fixture(scope="module")
def heads():
    """The first rows of each split of each task (whole splits of 30 tasks take half a minute)."""
    from itertools import islice

    sizes = {"train": 60, "validation": 24, "test": 60}
    return {task: {split: list(islice(rows(task, split), n)) for split, n in sizes.items()} for task in TASKS}


def test_rows_are_those_of_their_version(heads):
    """Stored mixtures and answers are kept for as long as ROWS_VERSION and the word lists stay the same."""
    digest = hashlib.sha256(json.dumps(heads, sort_keys=True).encode()).hexdigest()[:16]
    assert (ROWS_VERSION, digest) == (1, "d64e8e0185982a46"), "other rows: raise ROWS_VERSION and write both here"


@pytest.mark.parametrize("task", TASKS)
def test_every_field_of_every_row_says_something(heads, task):
    for split in heads[task].values():
        for row in split:
            assert all(value or value == 0 for value in row.values()), row
            if "choices" in row:
                assert len(set(row["choices"])) == len(row["choices"]) > row["label"] >= 0, row


@pytest.mark.parametrize(
    "task", [t for t in TASKS if t not in ("velan_to_english", "english_to_velan", "card_to_text", "day_gist")]
)
def test_each_label_and_each_place_of_the_right_option_is_as_frequent_as_the_others(heads, task):
    labels = Counter(row["label"] for row in heads[task]["test"])
    assert len(labels) >= 2
    assert max(labels.values()) - min(labels.values()) <= 1


@pytest.mark.parametrize("task", TASKS)
def test_splits_share_no_context(heads, task):
    contexts = {split: {context_of(task, row) for row in split_rows} for split, split_rows in heads[task].items()}
    assert not contexts["train"] & contexts["test"]
    assert not contexts["train"] & contexts["validation"]
    assert not contexts["validation"] & contexts["test"]


@pytest.mark.parametrize("task", ["inference_yes_no", "world_question", "sum_pick"])
def test_a_whole_split_has_no_row_twice(task):
    lines = [repr(sorted(row.items())) for row in rows(task, "test")]
    assert len(lines) == len(set(lines)) == count(task, "test") == COUNTS["test"]


@pytest.mark.parametrize("task", ["inference_yes_no", "question_sort"])
def test_rows_to_confirm_by_are_none_of_the_test_rows(task):
    def plain(row):
        return str(sorted((k, sorted(v) if isinstance(v, list) else v) for k, v in row.items() if k != "label"))

    known = {plain(row) for row in rows(task, "test")}
    fresh = {plain(row) for row in rows(task, "confirm")}
    assert len(fresh) == COUNTS["confirm"]
    assert not known & fresh


def test_an_unknown_name_is_a_user_error_that_names_the_nearest():
    with pytest.raises(UserError, match="inference_yes_no"):
        next(rows("inference_yes_on", "test"))
    with pytest.raises(UserError, match="split"):
        count("inference_yes_no", "dev")


def test_a_negative_statement_often_names_what_the_premise_names():
    """Otherwise finding the word in the premise answers the question, and nothing is read."""
    negatives = [row for row in rows("reading_yes_no", "test") if row["label"] == 1]
    named = [row for row in negatives if row["question"].rstrip("?").split()[-1].lower() in row["story"].lower()]
    assert len(named) / len(negatives) > 0.3
