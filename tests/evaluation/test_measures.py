"""What accuracy is made of: held against scikit-learn and arithmetic by hand, on answers whose scores are known."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from openflan.evaluation.answered import Answered, rescored
from openflan.evaluation.comparison import compare_models
from openflan.evaluation.matrix import task_matrices
from openflan.evaluation.statistics import interval, resample_task
from openflan.evaluation.task_results import spread_of
from openflan.runs.verdicts import cluster_verdicts


def answers(scores, right, *, listed=None, template=0, split="test", score="sum", turn=0):
    """One a row: log-likelihoods of its options, and which is right."""
    order = listed or [tuple(range(len(own))) for own in scores]
    plain = [
        Answered(
            task="t", cluster="c", row=row, template=template, split=split, kind="ranked", metric="accuracy", value=0.0,
            prompt="", answer="", expected="abcdefgh"[gold], options=tuple("abcdefgh"[: len(own)]), gold=(int(gold),),
            scores=tuple(map(float, own)), option_tokens=(1,) * len(own), further=(), others=(), group="",
            listed=order[row], together=float(np.log(np.exp(own).sum())), written=int(np.argmax(own)), turn=turn,
        )
        for row, (own, gold) in enumerate(zip(scores, right, strict=True))
    ]  # fmt: skip
    return rescored(plain, score)


def drawn(rows, options, seed=0, *, signal=0.8, leaning=0.0):
    """Log-likelihoods that tell right options a little, and lean to the first."""
    random = np.random.default_rng(seed)
    right = random.integers(0, options, rows)
    scores = random.normal(0, 1, (rows, options)) - 5
    scores[np.arange(rows), right] += signal
    scores[:, 0] += leaning
    return scores, right


def measured(records):
    (matrix,) = task_matrices(records).values()
    return {name: float(np.nanmean(values)) for name, values in matrix.measures.items()}


@pytest.mark.parametrize("options", [2, 3, 5])
def test_the_area_under_the_curve_is_scikit_learns(options):
    scores, right = drawn(120, options)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    if options == 2:
        wanted = roc_auc_score(right, chances[:, 1])
    else:
        wanted = roc_auc_score(right, chances, average="macro", multi_class="ovr")
    assert measured(answers(scores, right))["auc"] == pytest.approx(wanted, abs=1e-12)


def test_equal_scores_count_half_in_the_area():
    scores, right = np.round(drawn(200, 2)[0]), drawn(200, 2)[1]
    wanted = roc_auc_score(right, scores[:, 1] - scores[:, 0])
    assert measured(answers(scores, right))["auc"] == pytest.approx(wanted, abs=1e-12)


def test_the_areas_interval_is_that_of_drawing_rows_again():
    scores, right = drawn(150, 2, signal=1.0)
    random = np.random.default_rng(1)
    again = []
    for _ in range(600):
        chosen = random.integers(0, 150, 150)
        again.append(roc_auc_score(right[chosen], (scores[:, 1] - scores[:, 0])[chosen]))
    spread = spread_of(task_matrices(answers(scores, right))["t"]).measures["auc"]
    assert spread.ci95 == pytest.approx(np.percentile(again, [2.5, 97.5]), abs=0.015)


def test_rows_of_one_question_widen_the_areas_interval():
    scores, right = drawn(60, 2)
    records = [
        replace(answer, row=3 * answer.row + copy, group=str(answer.row))
        for answer in answers(scores, right)
        for copy in range(3)
    ]
    widths = []
    for group in (True, False):
        own = records if group else [replace(answer, group="") for answer in records]
        low, high = spread_of(task_matrices(own)["t"]).measures["auc"].ci95
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1]


def test_leaning_to_an_option_costs_accuracy_and_moves_no_area():
    straight, leaning = (drawn(300, 2, signal=1.5, leaning=by) for by in (0.0, 3.0))
    before, after = (measured(answers(*side)) for side in (straight, leaning))
    accuracy = [np.mean([a.value for a in answers(*side)]) for side in (straight, leaning)]
    assert accuracy[1] < accuracy[0] - 0.15
    assert after["auc"] == pytest.approx(before["auc"], abs=1e-12)
    assert after["first"] > 0.85 > 0.6 > before["first"]
    assert accuracy[1] + 0.1 < after["batch"] < accuracy[0] + 0.03


def test_what_a_model_says_without_content_is_taken_off():
    scores, right = drawn(300, 3, signal=1.5, leaning=3.0)
    nothing = answers([[-2.0, -5.0, -5.0], [-2.0, -5.0, -5.0]], [0, 0], split="content_free")
    without = [replace(answer, row=-1 - answer.row) for answer in nothing]
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    prior = np.exp([-2.0, -5.0, -5.0]) / np.exp([-2.0, -5.0, -5.0]).sum()
    values = measured([*answers(scores, right), *without])
    assert values["content_free"] == pytest.approx(np.mean(np.argmax(chances / prior, axis=1) == right))
    assert values["batch"] == pytest.approx(np.mean(np.argmax(chances / chances.mean(axis=0), axis=1) == right))
    assert "content_free" not in measured(answers(scores, right))


def test_the_prior_is_each_templates_own():
    first, second = (answers(*drawn(200, 2, signal=1.5, leaning=by), template=n) for n, by in enumerate((3.0, -3.0)))
    together = measured([*first, *second])["batch"]
    assert together == pytest.approx((measured(first)["batch"] + measured(second)["batch"]) / 2)
    assert together > 0.75


def test_form_is_the_probability_on_the_options_together():
    values = measured(answers([[np.log(0.2), np.log(0.3)], [np.log(0.1), np.log(0.1)]], [0, 1]))
    assert values["form"] == pytest.approx((0.5 + 0.2) / 2)
    off = [replace(answer, written=-1) if answer.row else answer for answer in answers(*drawn(4, 2))]
    assert measured(off)["written"] == 0.25


def test_the_first_option_is_the_one_that_is_listed_first():
    scores, right = [[-1.0, -2.0, -3.0]] * 2, [0, 0]
    assert measured(answers(scores, right, listed=[(0, 1, 2), (2, 0, 1)]))["first"] == 0.5
    assert "first" not in measured(answers(scores, right, listed=[(), ()]))


def test_rotated_options_count_once_a_question():
    first, second = drawn(40, 2)[0], drawn(40, 2, seed=5)[0]
    right = drawn(40, 2)[1]
    straight = answers(first, right)
    turned = answers(second, right, listed=[(1, 0)] * 40, turn=1)
    (matrix,) = task_matrices([*straight, *turned]).values()
    assert matrix.values.shape == (40, 1)
    assert matrix.values.mean() == pytest.approx(np.mean([a.value for a in [*straight, *turned]]))
    values = measured([*straight, *turned])
    assert values["class_order"] == pytest.approx(np.mean([answer.value for answer in straight]))
    same = [a.answer == b.answer for a, b in zip(straight, turned, strict=True)]
    assert values["same_answer"] == pytest.approx(np.mean(same))
    assert values["auc"] == pytest.approx((measured(straight)["auc"] + measured(turned)["auc"]) / 2)
    chosen_first = [a.options.index(a.answer) == a.turn for a in [*straight, *turned]]
    assert values["first"] == pytest.approx(np.mean(chosen_first))
    assert matrix.answers == 80


def test_options_that_differ_by_row_are_told_apart_by_their_place():
    rows = [[-1.0, -2.0], [-3.0, -1.0, -9.0], [-2.0, -1.5, -7.0], [-1.0, -4.0, -8.0]]
    values = measured(answers(rows, [0, 1, 0, 1]))
    odds = [rows[0][0] - rows[0][1], *(own[0] - np.log(np.exp(own[1:]).sum()) for own in rows[1:])]
    other = [rows[0][1] - rows[0][0], *(own[1] - np.log(np.exp(own[0]) + np.exp(own[2])) for own in rows[1:])]
    wanted = (roc_auc_score([1, 0, 1, 0], odds) + roc_auc_score([0, 1, 0, 1], other)) / 2  # no third one is right
    assert values["auc"] == pytest.approx(wanted)


def test_a_draw_without_a_template_that_has_values_is_left_out():
    values = np.full((30, 4), np.nan)
    values[:, 1] = 0.75
    (means,) = resample_task([values], samples=400)
    assert np.isnan(means).any()
    bounds = interval(means)
    assert (bounds.low, bounds.high) == (0.75, 0.75)


def test_a_task_whose_answers_are_written_has_no_such_measures():
    plain = answers(*drawn(4, 2))
    written = [replace(a, kind="generated", options=(), together=None, written=None) for a in plain]
    (matrix,) = task_matrices(written).values()
    assert matrix.measures == {}
    assert spread_of(matrix).measures == {}


def test_two_sides_are_compared_on_the_rows_that_both_answered():
    first, right = drawn(80, 2, signal=0.2)
    second = first + np.random.default_rng(3).normal(0, 0.2, first.shape)
    second[np.arange(80), right] += 2.5
    a, b = (task_matrices(answers(*side)) for side in ((first[:60], right[:60]), (second[20:], right[20:])))
    hashes = [[f"row {n}" for n in places] for places in (range(60), range(20, 80))]
    a, b = ({"t": replace(side["t"], row_hashes=tuple(own))} for side, own in zip((a, b), hashes, strict=True))
    (task,) = compare_models({"a": a}, {"b": b}, names=("A", "B")).tasks
    auc = task.measures["auc"]
    shared = slice(20, 60)
    assert auc.a == pytest.approx(roc_auc_score(right[shared], (first[:, 1] - first[:, 0])[shared]))
    assert auc.b == pytest.approx(roc_auc_score(right[shared], (second[:, 1] - second[:, 0])[shared]))
    assert auc.difference_ci95[0] < auc.difference < auc.difference_ci95[1]
    assert auc.p_holm == auc.p < 0.05
    same = compare_models({"a": a}, {"b": a}, names=("A", "B")).tasks[0].measures["auc"]
    assert (same.difference, same.p) == (0, 1)


def test_a_verdict_tells_form_and_judgement_apart_and_adjusts_over_clusters():
    """The second model answers by an option where the first does not, and tells no more than it."""
    scores, right = drawn(150, 2, signal=1.0)
    nothing, _ = drawn(150, 2, seed=9, signal=0.0)
    sides = []
    for form, own_scores in ((0.02, scores), (0.97, np.where(np.arange(150)[:, None] % 5 == 0, nothing, scores))):
        own = [replace(answer, together=float(np.log(form))) for answer in answers(own_scores, right)]
        other = [replace(answer, task="u", cluster="d") for answer in own]
        sides.append(task_matrices([*own, *other]))
    first, second = cluster_verdicts(sides[0], {0: sides[1]}, ["t", "u"], samples=300)
    form, area = first.measures["form"], first.measures["auc"]
    assert (form.untuned, form.tuned) == pytest.approx((0.02, 0.97))
    assert form.gain_ci95[0] > 0.9
    assert area.gain < 0
    assert area.gain == pytest.approx(area.tuned - area.untuned)
    (plain,) = cluster_verdicts(sides[0], {0: sides[1]}, ["t"], samples=300)
    assert first.measures["form"].by_seed[0].gain_p == pytest.approx(2 * plain.measures["form"].by_seed[0].gain_p)
    assert second.measures["auc"].tasks == ["u"]
    assert first.first_right == pytest.approx(np.mean(right == 0))
