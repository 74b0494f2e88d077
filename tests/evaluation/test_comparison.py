"""Two models on the same rows: matched by content, tested as the metric asks, adjusted over tasks."""

from dataclasses import replace

import numpy as np
import pytest

from openflan.errors import UserError
from openflan.evaluation.comparison import compare_models
from openflan.evaluation.matrix import TaskMatrix

NAMES = ("runs/a", "runs/b")


def matrix(task, values, *, metric="accuracy", hashes=None, groups=None, templates=None):
    values = np.array(values, dtype=np.float64)
    rows = len(values)
    return TaskMatrix(
        task=task,
        cluster="sentiment",
        kind="ranked" if metric == "accuracy" else "generated",
        metric=metric,
        values=values,
        templates=tuple(templates or range(values.shape[1])),
        rows=tuple(range(rows)),
        expected=("yes",) * rows,
        options=(2,) * rows,
        others={},
        row_hashes=tuple(hashes or (f"hash {n}" for n in range(rows))),
        groups=tuple(groups or (f"row {n}" for n in range(rows))),
    )


def compared(*pairs, **how):
    a, b = ({one.task: one for one in side} for side in zip(*pairs, strict=True))
    return compare_models({"model": a}, {"model": b}, names=NAMES, **how)


def column(right, wrong):
    return [[1]] * right + [[0]] * wrong


def test_one_template_is_tested_by_mcnemar():
    # rows: both right 10, only A 1, only B 6, neither 3
    a = matrix("a", column(11, 9))
    b = matrix("a", [[1]] * 10 + [[0]] + [[1]] * 6 + [[0]] * 3)
    (task,) = compared((a, b)).tasks
    assert (task.a, task.b, task.difference) == (11 / 20, 16 / 20, pytest.approx(0.25))
    assert (task.test, task.n_rows, task.n_templates) == ("mcnemar", 20, 1)
    assert task.p == task.p_holm == pytest.approx(2 * (1 + 7) / 2**7)
    low, high = task.difference_ci95
    assert low < 0.25 < high


def test_several_templates_are_tested_by_row():
    a = matrix("a", [[0, 0], [0, 1], [1, 1], [0, 0], [1, 0]])
    b = matrix("a", [[1, 1], [1, 1], [1, 1], [1, 0], [0, 0]])
    (task,) = compared((a, b)).tasks
    # row differences 1, 1/2, 0, 1/2, -1/2: |sum| >= 3/2 for 8 of the 16 flips of the four that are not zero
    assert (task.test, task.p) == ("permutation", pytest.approx(8 / 16))


def test_ten_copies_of_a_template_are_no_more_evidence_than_one():
    random = np.random.default_rng(0)
    a, b = (random.random((60, 1)) < share for share in (0.5, 0.65))
    (once,) = compared((matrix("a", a), matrix("a", b))).tasks
    (often,) = compared((matrix("a", np.repeat(a, 10, 1)), matrix("a", np.repeat(b, 10, 1)))).tasks
    assert often.p == pytest.approx(once.p, abs=0.02)


def test_rows_of_one_question_are_flipped_together():
    a, b = matrix("a", column(0, 8), groups="xxxxyyyy"), matrix("a", column(8, 0), groups="xxxxyyyy")
    (task,) = compared((a, b)).tasks
    assert (task.test, task.p) == ("permutation", pytest.approx(2 / 4))


def test_other_metrics_are_bootstrapped():
    random = np.random.default_rng(1)
    a = random.random((80, 3))
    low = matrix("a", a * 0.5, metric="rouge")
    high = matrix("a", a * 0.5 + 0.2, metric="rouge")
    (task,) = compared((low, high)).tasks
    assert task.test == "bootstrap"
    assert task.p < 0.01
    assert task.difference == pytest.approx(0.2)


def test_rows_are_matched_by_content_not_by_place():
    a = matrix("a", [[1], [0], [1], [0]], hashes="wxyz")
    b = matrix("a", [[0], [0], [1], [1]], hashes="zvwy")
    (task,) = compared((a, b)).tasks
    assert (task.n_rows, task.a, task.b, task.rows_left_out) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3), 2)
    assert task.p == 1


def test_other_templates_are_compared_by_row():
    a = matrix("a", np.zeros((30, 2)))
    b = matrix("a", np.ones((30, 1)), templates=[-1])
    (task,) = compared((a, b)).tasks
    assert (task.difference, task.test) == (1, "permutation")


def test_p_values_are_adjusted_for_the_number_of_tasks():
    a, b = matrix("a", column(0, 12)), matrix("a", column(12, 0))
    same = matrix("b", column(5, 5))
    comparison = compared((a, b), (same, same), (replace(a, task="c"), replace(b, task="c")))
    assert [task.p for task in comparison.tasks] == pytest.approx([2 / 2**12, 1, 2 / 2**12])
    assert [task.p_holm for task in comparison.tasks] == pytest.approx([6 / 2**12, 1, 6 / 2**12])
    assert comparison.sentence == "runs/b is better on 2 of 3 tasks (Holm-adjusted, 5 %)."
    assert comparison.difference == pytest.approx(2 / 3)


def test_a_model_does_not_differ_from_itself():
    random = np.random.default_rng(2)
    one = matrix("a", random.random((50, 4)) < 0.5)
    comparison = compared((one, one))
    assert (comparison.difference, comparison.difference_ci95, comparison.tasks[0].p) == (0, (0, 0), 1)
    assert comparison.sentence == "No difference is shown (5 %)."


def test_more_rows_detect_smaller_differences():
    random = np.random.default_rng(3)
    few, many = (
        compared(*[[matrix("a", random.random((rows, 1)) < 0.5) for _ in range(2)]]).tasks[0].detectable
        for rows in (100, 1_600)
    )
    # differences of two fair coins have a variance of 1/2
    assert few == pytest.approx(2.8016 * (0.5 / 100) ** 0.5, rel=0.25)
    assert many == pytest.approx(few / 4, rel=0.25)


def test_seeds_are_averaged_and_their_spread_told():
    seeds = {f"seed-{n}": {"a": matrix("a", column(right, 10 - right))} for n, right in enumerate((5, 6, 7))}
    comparison = compare_models({"model": {"a": matrix("a", column(4, 6))}}, seeds, names=NAMES)
    (task,) = comparison.tasks
    assert (task.b, task.difference, task.a_seeds) == (pytest.approx(0.6), pytest.approx(0.2), None)
    assert (task.b_seeds.mean, task.b_seeds.std) == (pytest.approx(0.6), pytest.approx(0.1))


def test_what_can_not_be_compared_is_said():
    a = matrix("a", column(3, 3))
    with pytest.raises(UserError, match="no task in common"):
        compared((a, matrix("b", column(3, 3))))
    with pytest.raises(UserError, match="no row of a in common"):
        compared((a, matrix("a", column(3, 3), hashes="uvwxyz")))
    with pytest.raises(UserError, match="accuracy in one and by rouge"):
        compared((a, matrix("a", column(3, 3), metric="rouge")))
