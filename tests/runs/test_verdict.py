"""The verdict's arithmetic on matrices small enough to do by hand."""

from dataclasses import replace

import numpy as np
import pytest

from openflan.evaluation.matrix import TaskMatrix
from openflan.evaluation.task_results import task_results
from openflan.runs.verdicts import cluster_verdicts, own_sentence, task_verdicts, verdict_sentence


def matrix(task, values, *, cluster="sentiment", kind="ranked", expected=None, options=2, metric="accuracy"):
    values = np.array(values, dtype=np.float64)
    rows, templates = values.shape
    return TaskMatrix(
        task=task,
        cluster=cluster,
        kind=kind,
        metric=metric,
        values=values,
        templates=tuple(range(templates)),
        rows=tuple(range(rows)),
        expected=tuple(expected or ["yes"] * rows),
        options=(options,) * rows if isinstance(options, int) else options,
        others={},
    )


def verdicts(untuned, tuned, tasks=None, samples=400):
    by_task = {m.task: m for m in untuned}
    seeds = {seed: {m.task: m for m in matrices} for seed, matrices in tuned.items()}
    return cluster_verdicts(by_task, seeds, tasks or list(by_task), samples=samples)


BASE = matrix("a", [[1, 0], [0, 0], [0, 1], [0, 0]], expected=["yes", "no", "yes", "yes"])
BETTER = matrix("a", [[1, 1], [1, 0], [0, 1], [1, 1]], expected=["yes", "no", "yes", "yes"])


def test_one_task_by_hand():
    (verdict,) = verdicts([BASE], {0: [BETTER]})
    assert verdict.base == pytest.approx(2 / 8)
    assert verdict.tuned == pytest.approx(6 / 8)
    assert verdict.gain == pytest.approx(4 / 8)
    assert verdict.chance == pytest.approx(1 / 2)
    assert verdict.majority == pytest.approx(3 / 4)
    assert (verdict.n_rows, verdict.n_templates, verdict.tasks, verdict.metric) == (4, 2, ["a"], "accuracy")
    for low, high in (verdict.base_ci95, verdict.tuned_ci95, verdict.gain_ci95):
        assert low <= high
    assert verdict.gain_ci95[0] <= verdict.gain <= verdict.gain_ci95[1]


def test_the_untuned_model_counts_with_its_text_to_continue_where_that_is_better():
    with_baseline = replace(BASE, baseline=np.array([1.0, 1.0, 0.0, 1.0]))
    (verdict,) = verdicts([with_baseline], {0: [BETTER]})
    assert (verdict.base, verdict.base_templates, verdict.base_baseline) == (0.75, 0.25, 0.75)
    assert verdict.gain == pytest.approx(0)
    worse = replace(BASE, baseline=np.zeros(4))
    (verdict,) = verdicts([worse], {0: [BETTER]})
    assert (verdict.base, verdict.base_templates, verdict.base_baseline) == (0.25, 0.25, 0.0)


def test_p_values_are_adjusted_over_the_clusters_of_a_verdict():
    rng = np.random.default_rng(0)
    low, high = rng.random((60, 4)) < 0.45, rng.random((60, 4)) < 0.62
    alone = verdicts([matrix("a", low)], {0: [matrix("a", high)]}, samples=2_000)[0].by_seed[0]
    crowd = [matrix(name, low, cluster=name) for name in "abcdef"]
    tuned = [matrix(name, high if name == "a" else low, cluster=name) for name in "abcdef"]
    together = verdicts(crowd, {0: tuned}, samples=2_000)[0].by_seed[0]
    assert together.gain_p == pytest.approx(min(1.0, 6 * alone.gain_p))
    assert together.gain_ci95 == alone.gain_ci95


def test_a_cluster_weighs_its_tasks_alike():
    other = matrix("b", np.ones((40, 3)), options=4, expected=["x", "y"] * 20)
    (verdict,) = verdicts([BASE, other], {0: [BETTER, other]})
    assert verdict.base == pytest.approx((2 / 8 + 1) / 2)
    assert verdict.gain == pytest.approx((4 / 8 + 0) / 2)
    assert verdict.chance == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert verdict.majority == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert (verdict.n_rows, verdict.n_templates) == (44, 5)


def test_seeds_are_averaged_and_told_apart():
    (verdict,) = verdicts([BASE], {3: [BETTER], 5: [BASE]})
    assert verdict.tuned == pytest.approx((6 / 8 + 2 / 8) / 2)
    assert [(s.seed, s.gain) for s in verdict.by_seed] == [(3, pytest.approx(4 / 8)), (5, 0)]
    assert verdict.by_seed[1].gain_ci95 == (0, 0)


def test_chance_counts_the_options_of_each_row():
    uneven = matrix("a", [[1], [0], [1], [0]], options=(2, 4, 4, 2))
    (verdict,) = verdicts([uneven], {0: [uneven]})
    assert verdict.chance == pytest.approx((1 / 2 + 1 / 4 + 1 / 4 + 1 / 2) / 4)


def test_a_cell_without_a_score_is_no_wrong_answer():
    holed = matrix("a", [[1, np.nan], [1, 1], [0, np.nan]])
    (verdict,) = verdicts([holed], {0: [holed]})
    assert verdict.base == pytest.approx(3 / 4)


def test_accuracy_and_rouge_are_not_averaged():
    written = matrix("w", [[0.2], [0.4]], kind="generated", options=0, metric="rouge", expected=["a b", "c d"])
    (mixed,) = verdicts([BASE, written], {0: [BETTER, written]})
    assert (mixed.tasks, mixed.metric) == (["a"], "accuracy")
    (alone,) = verdicts([written], {0: [written]})
    assert (alone.base, alone.metric, alone.chance) == (pytest.approx(0.3), "rouge", 0)


def test_clusters_stand_apart_and_only_the_tasks_asked_for_count():
    other = matrix("b", np.zeros((4, 2)), cluster="misc")
    assert [v.cluster for v in verdicts([BASE, other], {0: [BETTER, other]})] == ["misc", "sentiment"]
    assert [v.cluster for v in verdicts([BASE, other], {0: [BETTER, other]}, tasks=["a"])] == ["sentiment"]


def strong(cluster, base, tuned):
    random = np.random.default_rng(0)
    draw = [(random.random((200, 5)) < share).astype(float) for share in (base, tuned)]
    return matrix(cluster, draw[0], cluster=cluster), matrix(cluster, draw[1], cluster=cluster)


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        ([(0.5, 0.8)], "Tuning on other clusters helped on the held-out cluster: misc."),
        ([(0.5, 0.5)], "On the held-out cluster (misc) no gain over the untuned model is shown."),
        (
            [(0.8, 0.5)],
            "On the held-out cluster (misc) no gain over the untuned model is shown. Tuning made misc worse.",
        ),
        (
            [(0.5, 0.8), (0.5, 0.5)],
            "Tuning on other clusters helped on 1 of the 2 held-out clusters: misc.",
        ),
    ],
)
def test_the_sentence_says_what_the_intervals_show_and_no_more(levels, says):
    pairs = [strong(name, *level) for name, level in zip(("misc", "translation"), levels, strict=False)]
    results = verdicts([base for base, _ in pairs], {0: [tuned for _, tuned in pairs]})
    assert verdict_sentence(results) == says


def test_a_gain_of_one_seed_only_is_no_gain():
    base, tuned = strong("misc", 0.5, 0.8)
    assert "no gain over the untuned model" in verdict_sentence(verdicts([base], {0: [tuned], 1: [base]}))


def test_without_held_out_clusters_nothing_is_claimed():
    assert "says nothing about new kinds of task" in verdict_sentence([])


def test_the_spread_over_templates_by_hand():
    (task,) = task_results({"untuned": {"a": BASE}, "seed-0": {"a": BETTER}}, {"a": "held_out"})
    spread = task.models["seed-0"]
    assert spread.by_template == {"0": 0.75, "1": 0.75}
    assert task.models["untuned"].mean == pytest.approx(0.25)
    uneven = matrix("a", [[1, 0, 0], [1, 1, 0]])
    spread = task_results({"untuned": {"a": uneven}}, {"a": "seen"})[0].models["untuned"]
    assert (spread.mean, spread.min, spread.max) == (pytest.approx(0.5), 0, 1)
    assert spread.std == pytest.approx(0.5)  # of 1, 1/2 and 0, with one degree of freedom less


def test_scores_on_leaked_items_are_told_apart():
    tuned = {"untuned": {"a": BASE}, "seed-0": {"a": BETTER}}
    (task,) = task_results(tuned, {"a": "held_out"}, {"a": [1, 3, 99]})
    # rows 1 and 3 of BETTER score 1 0 and 1 1, rows 0 and 2 score 1 1 and 0 1
    split = task.leakage["seed-0"]
    assert (split.clean, split.dirty, split.clean_rows, split.dirty_rows) == (0.75, 0.75, 2, 2)
    assert task.leakage["untuned"].dirty == 0
    (clean,) = task_results(tuned, {"a": "held_out"}, {"a": []})
    assert clean.leakage == {}


def of_own(*pairs, roles=None):
    """Verdicts of own tasks from pairs of an untuned and a tuned matrix."""
    untuned, tuned = ({pair[side].task: pair[side] for pair in pairs} for side in (0, 1))
    return task_verdicts(untuned, {0: tuned}, roles or dict.fromkeys(untuned, "seen"), samples=400)


def test_an_own_task_is_held_against_the_one_prompt_that_the_untuned_model_does_best_with():
    wordy = matrix("a", [[1, 0], [1, 0], [0, 1], [1, 0]])  # 3/4 under the first template, 1/4 under the second
    (verdict,) = of_own((wordy, BETTER), roles={"a": "held_out"})
    assert (verdict.base, verdict.best_prompt, verdict.base_templates) == (0.75, 0, 0.5)
    assert (verdict.tuned, verdict.gain, verdict.role) == (0.75, 0, "held_out")
    with_baseline = replace(wordy, baseline=np.ones(4))
    (verdict,) = of_own((with_baseline, BETTER))
    assert (verdict.base, verdict.best_prompt, verdict.base_baseline) == (1.0, -1, 1.0)
    assert verdict.gain == pytest.approx(-0.25)


def test_a_prompt_that_does_not_fit_every_row_is_not_taken_for_the_best():
    holed = matrix("a", [[1, np.nan], [0, 1], [0, 1], [0, 1]])
    (verdict,) = of_own((holed, BETTER))
    assert (verdict.base, verdict.best_prompt) == (pytest.approx(1 / 7), 0)  # of the answers under all templates


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        ([(0.5, 0.8)], "Tuning helped on your own task (misc) over the untuned model at its best prompt."),
        (
            [(0.3, 0.9), (0.8, 0.8)],
            "Tuning helped on 1 of your 2 own tasks over the untuned model at its best prompt: misc.",
        ),
        (
            [(0.8, 0.4)],
            "On your own task (misc) no gain over the untuned model at its best prompt is shown. It made misc worse."
            " Not shown to beat the most frequent answer: misc.",
        ),
    ],
)
def test_the_sentence_on_own_tasks_says_what_the_intervals_show_and_no_more(levels, says):
    half = ["yes", "no"] * 100
    pairs = [strong(name, *level) for name, level in zip(("misc", "translation"), levels, strict=False)]
    results = of_own(*(tuple(replace(one, expected=tuple(half)) for one in pair) for pair in pairs))
    assert own_sentence(results) == says
    assert own_sentence([]) == ""
