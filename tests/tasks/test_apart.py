"""Rows get their roles so that no text stands in two of them, and answers keep their shares."""

import itertools
from collections import Counter

import pytest

from openflan.tasks.apart import Apart, SaidRoles, part_rows

ALL = {"train": "all", "validation": "all", "test": "all"}
ROWS = [
    {"passage": f"The {n // 4}th story is about a kite.", "question": f"What of line {n}?", "label": "ab"[n % 3 == 0]}
    for n in range(400)
]


def texts_in(rows, places, column):
    return {rows[place][column].lower() for place in places}


def test_no_passage_and_no_question_stands_in_two_roles_and_labels_keep_their_shares():
    given = part_rows(Apart(columns=("passage", "question"), even="label"), {"all": ROWS}, ALL)
    assert sorted(itertools.chain(*given.values())) == list(range(400))
    for one, other in itertools.combinations(given, 2):
        assert texts_in(ROWS, given[one], "passage").isdisjoint(texts_in(ROWS, given[other], "passage"))
    for role, size in (("train", 320), ("validation", 40), ("test", 40)):
        assert len(given[role]) == pytest.approx(size, abs=4)
        share = Counter(ROWS[place]["label"] for place in given[role])["b"] / len(given[role])
        assert share == pytest.approx(1 / 3, abs=0.05)


def test_the_seed_says_which_rows_and_the_order_of_columns_does_not():
    one, same, other = (
        part_rows(Apart(columns=columns, seed=seed), {"all": ROWS}, ALL)["test"]
        for columns, seed in ((("passage", "question"), 0), (("question", "passage"), 0), (("passage", "question"), 1))
    )
    assert one == same
    assert one != other


def test_texts_are_the_same_whatever_their_case_and_blanks_and_whichever_column_they_stand_in():
    rows = [
        {"left": "Ada flew her kite today", "right": "it rained"},
        {"left": "no wind", "right": "ada  flew her KITE today"},
        *({"left": f"a line of number {n}", "right": f"another of number {n}"} for n in range(8)),
    ]
    for seed in range(20):
        given = part_rows(Apart(columns=("left", "right"), seed=seed), {"all": rows}, ALL)
        assert any({0, 1} <= set(places) for places in given.values())
        assert all(given.values())


def test_where_roles_have_files_of_their_own_training_leaves_out_what_is_measured():
    files = {
        "train": [{"text": f"number {n} of the long list", "label": n % 2} for n in range(50)],
        "test": [{"text": f"Number {n} of the  long list", "label": n % 2} for n in range(45, 60)],
    }
    given = part_rows(Apart(columns=("text",)), files, {"train": "train", "validation": "train", "test": "test"})
    assert given["test"] == list(range(15))
    assert sorted(given["train"] + given["validation"]) == list(range(45))
    assert len(given["validation"]) == pytest.approx(5, abs=1)


def test_every_role_has_rows_though_each_label_stands_in_a_few():
    rows = [{"text": f"please do thing number {n} now", "label": f"intent {n // 3}"} for n in range(60)]
    given = part_rows(Apart(columns=("text",), even="label"), {"all": rows}, ALL)
    assert [len(given[role]) for role in ("validation", "test")] == [6, 6]


def test_ids_and_lists_are_compared_as_well():
    rows = [{"set": n // 2, "words": ["kite", f"wind {n}"], "text": f"text {n}"} for n in range(40)]
    given = part_rows(Apart(columns=("set",)), {"all": rows}, ALL)
    assert all(len({n // 2 for n in places}) * 2 == len(places) for places in given.values())
    with pytest.raises(ValueError, match="less than a fifth"):
        Apart(columns=("set",), validation=0.45, test=0.45)


def test_where_a_column_says_the_roles_rows_stay_in_theirs_and_training_leaves_out_what_is_measured():
    rows = [
        {"text": f"number {n} of the long list", "part": "dev" if n < 20 else "held" if n < 30 else "train"}
        for n in range(200)
    ]
    rows.append({"text": "Number 3 of the  long list", "part": "train"})
    roles = SaidRoles(column="part", roles={"train": "train", "dev": "validation"})
    given = part_rows(Apart(columns=("text",), said=roles), {"all": rows}, ALL)
    assert given["validation"] == list(range(20))
    assert sorted(given["train"] + given["test"]) == list(range(30, 200))
    assert len(given["test"]) == pytest.approx(17, abs=1)


def test_a_rule_without_a_column_of_roles_says_nothing_of_one():
    assert "said" not in Apart(columns=("text",)).model_dump()


def test_twins_that_share_a_run_of_words_are_in_one_role():
    start = "kite {n} of Ada flew {n} times over mill {n} and river {n} when the wind of day {n} was"
    rows = [{"text": f"{start.format(n=n // 2)} {['strong', 'weak'][n % 2]}", "label": n % 2} for n in range(200)]
    rule = Apart(columns=("text",), even="label", run=13)
    given = part_rows(rule, {"all": rows}, ALL)
    twins = [{place // 2 for place in places} for places in given.values()]
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(twins, 2))
    assert len(given["test"]) == pytest.approx(20, abs=2)
    whole = part_rows(Apart(columns=("text",), even="label"), {"all": rows}, ALL)
    assert {place // 2 for place in whole["test"]} & {place // 2 for place in whole["train"]}
