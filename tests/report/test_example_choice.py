"""Which prompts are shown."""

import random
from dataclasses import replace

import pytest

from openflan.evaluation.answered import Answered
from openflan.report.examples import choose_examples


def cell(row: int, value: float, *, cluster: str = "sentiment", kind: str = "ranked") -> Answered:
    options = ("good", "bad") if kind == "ranked" else ()
    return Answered(
        task=f"{cluster}_task", cluster=cluster, row=row, template=0, kind=kind, metric="accuracy", value=value,
        prompt=f"prompt {row}", answer="good" if value else "bad", expected="good", options=options,
        scores=(0.0,) * len(options), option_tokens=(1,) * len(options), others=(), further=(), group="",
    )  # fmt: skip


def test_every_kind_of_change_is_counted_and_shown_once():
    before = [cell(row, value) for row, value in enumerate([0, 0, 0, 1, 1, 1, 1])]
    after = [cell(row, value) for row, value in enumerate([1, 1, 0, 0, 1, 1, 1])]
    (examples,) = choose_examples(before, after, score="sum")
    assert examples.tally == {"newly right": 2, "newly wrong": 1, "right both times": 3, "wrong both times": 1}
    assert examples.total == 7
    assert [example.kind for example in examples.shown] == list(examples.tally)


def test_a_model_that_only_lost_shows_only_losses():
    (examples,) = choose_examples([cell(n, 1) for n in range(5)], [cell(n, 0) for n in range(5)], score="sum")
    assert [example.kind for example in examples.shown] == ["newly wrong"]


def test_options_carry_who_chose_them():
    (examples,) = choose_examples([cell(0, 0)], [cell(0, 1)], score="sum")
    good, bad = examples.shown[0].options
    assert (good.expected, good.untuned, good.tuned) == (True, False, True)
    assert (good.untuned_probability, bad.tuned_probability) == (0.5, 0.5)
    assert (bad.expected, bad.untuned, bad.tuned) == (False, True, False)


def test_graded_scores_are_better_worse_or_the_same():
    values = [(0.2, 0.4), (0.5, 0.4), (0.3, 0.3), (0.0, 0.0)]
    before = [cell(n, old, kind="generated") for n, (old, _) in enumerate(values)]
    after = [cell(n, new, kind="generated") for n, (_, new) in enumerate(values)]
    (examples,) = choose_examples(before, after, score="sum")
    assert examples.tally == {"better after tuning": 1, "worse after tuning": 1, "same score": 2}


@pytest.mark.parametrize("seed", range(3))
def test_the_choice_does_not_depend_on_the_order_of_answers(seed):
    before = [cell(n, n % 2, cluster=c) for n in range(40) for c in ("paraphrase", "sentiment", "misc")]
    after = [replace(answer, value=float(answer.row % 3 == 0)) for answer in before]
    straight = choose_examples(before, after, score="sum", first=["sentiment"])
    shuffled = random.Random(seed).sample(list(zip(before, after, strict=True)), len(before))
    again = choose_examples(
        [old for old, _ in shuffled], [new for _, new in shuffled], score="sum", first=["sentiment"]
    )
    assert again == straight
    assert [one.cluster for one in straight] == ["sentiment", "misc", "paraphrase"]


def test_a_prompt_that_only_one_model_answered_is_left_out():
    (examples,) = choose_examples([cell(0, 1), cell(1, 1)], [cell(1, 1)], score="sum")
    assert examples.total == 1
