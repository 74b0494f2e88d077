"""Differences from hand-made matrices, and the verdicts that follow from intervals."""

from types import SimpleNamespace

import numpy as np
import pytest

from openflan.evaluation.matrix import TaskMatrix
from openflan.study.findings import findings_of, verdict_of
from openflan.study.measuring import Difference, Measured, difference_of
from openflan.study.spec import ClaimPart


def difference(low, high, *seeds):
    return Difference(value=(low + high) / 2, ci95=(low, high), by_seed=dict(enumerate(seeds)), by_cluster={})


@pytest.mark.parametrize(
    ("result", "expect", "verdict"),
    [
        (difference(0.01, 0.05, 0.02, 0.03), "higher", "confirmed"),
        (difference(0.01, 0.05, 0.07, -0.01), "higher", "not seen"),  # a seed disagrees
        (difference(-0.01, 0.05, 0.02), "higher", "not seen"),
        (difference(-0.05, -0.01, -0.03), "higher", "reversed"),
        (difference(-0.05, -0.01, -0.03), "lower", "confirmed"),
        (difference(0.01, 0.05, 0.03), "lower", "reversed"),
        (difference(-0.01, 0.015, 0.0), "same", "confirmed"),
        (difference(-0.01, 0.03, 0.01), "same", "not seen"),
        (difference(0.025, 0.05, 0.04), "same", "reversed"),
        (difference(-0.05, -0.025, -0.04), "same", "reversed"),
    ],
)
def test_a_verdict_follows_from_the_interval_and_the_seeds(result, expect, verdict):
    assert verdict_of(result, expect, 0.02 if expect == "same" else 0.0) == verdict


def claim(**settings):
    return ClaimPart.model_validate({"says": "x", "measure": "gain", **settings})


@pytest.mark.parametrize(("rows", "verdict"), [(149, "not tested"), (150, "confirmed")])
def test_too_few_rows_cannot_show_that_nothing_differs(rows, verdict):
    cell = SimpleNamespace(name="a=1", values={"a": "1"})
    study = SimpleNamespace(file=SimpleNamespace(claims=[claim(expect="same", margin=0.02)], figure="F"), axes={})
    results = measured([constant("a1", 0.5, rows)], [constant("a1", 0.5, rows)])
    (finding,) = findings_of(study, [cell], {"a=1": results})
    assert finding.verdict == verdict
    assert (finding.difference is None) == (verdict == "not tested")


def test_cells_that_do_not_measure_a_claims_cluster_do_not_stand_in_its_way():
    cells = [SimpleNamespace(name=name, values={"a": name}) for name in ("1", "2")]
    claims = [claim(expect="same", margin=0.02, clusters=(cluster,)) for cluster in ("a", "b", "c")]
    study = SimpleNamespace(file=SimpleNamespace(claims=claims, figure="F"), axes={})
    one = measured([constant("a1", 0.5, 200)], [constant("a1", 0.5, 200)])
    other = measured([constant("b1", 0.5, 9)], [constant("b1", 0.5, 9)])
    many, few, none = findings_of(study, cells, {"1": one, "2": other})
    assert many.verdict == "confirmed"
    assert few.verdict == "not tested"
    assert "9 rows" in few.sentence
    assert none.sentence == "Not tested: these cells have no measured cluster in common."


def matrix(task, values, rows=None, templates=None):
    values = np.asarray(values, dtype=float)
    rows = tuple(rows or (f"r{n}" for n in range(len(values))))
    templates = tuple(templates or range(values.shape[1]))
    return TaskMatrix(
        task=task,
        cluster=task[0],
        kind="ranked",
        metric="accuracy",
        values=values,
        templates=templates,
        rows=tuple(range(len(values))),
        expected=("0",) * len(values),
        options=(2,) * len(values),
        others={},
        row_hashes=rows,
        groups=rows,
    )


def measured(untuned, *tuned):
    """Matrices of the untuned model and of each seed; a task's cluster is its first letter."""
    clusters = {}
    for one in untuned:
        clusters.setdefault(one.cluster, []).append(one.task)
    sizes = {one.task: len(one.rows) for one in untuned}
    verdicts = [
        SimpleNamespace(cluster=name, tasks=tasks, n_rows=sum(sizes[task] for task in tasks))
        for name, tasks in clusters.items()
    ]
    return Measured(
        untuned={one.task: one for one in untuned},
        tuned={seed: {one.task: one for one in each} for seed, each in enumerate(tuned)},
        roles={},
        verdicts={"held_out": verdicts, "seen": []},
        samples=400,
    )


def constant(task, score, rows=20):
    return matrix(task, np.full((rows, 2), score))


def test_scores_are_means_over_clusters_of_means_over_tasks():
    cell = measured(
        [constant("a1", 0.2), constant("a2", 0.4), constant("b1", 0.9)],
        [constant("a1", 0.3), constant("a2", 0.5), constant("b1", 0.7)],
        [constant("a1", 0.5), constant("a2", 0.5), constant("b1", 0.9)],
    )
    untuned, tuned, gain = (difference_of([cell], [], measure) for measure in ("untuned", "tuned", "gain"))
    assert untuned.value == pytest.approx((0.3 + 0.9) / 2)
    assert untuned.by_seed == pytest.approx({0: 0.6, 1: 0.6})
    assert tuned.by_cluster == pytest.approx({"a": 0.45, "b": 0.8})
    assert tuned.by_seed == pytest.approx({0: 0.55, 1: 0.7})
    assert gain.value == pytest.approx(tuned.value - untuned.value)
    assert gain.ci95 == pytest.approx((gain.value, gain.value))


def test_sides_are_paired_by_the_content_of_their_rows():
    random = np.random.default_rng(0)
    noise = random.integers(0, 2, (60, 3)).astype(float)
    names = [f"r{n}" for n in range(60)]
    order = random.permutation(60)
    one = measured([matrix("a1", noise, names)], [matrix("a1", noise, names)])
    other = measured(
        [matrix("a1", noise[order], [names[n] for n in order])],
        [matrix("a1", noise[order] * 0.9, [names[n] for n in order])],
    )
    result = difference_of([other], [one], "tuned")
    assert result.value == pytest.approx(-0.1 * noise.mean())
    spread = result.ci95[1] - result.ci95[0]
    alone = difference_of([one], [], "tuned")
    assert spread < 0.3 * (alone.ci95[1] - alone.ci95[0])


def test_sides_asked_under_other_templates_are_paired_by_rows_alone():
    hard = np.repeat([[0.0], [1.0]], 20, axis=0)
    one = measured([matrix("a1", np.tile(hard, 4))], [matrix("a1", np.tile(hard, 4))])
    other = measured([matrix("a1", hard)], [matrix("a1", hard)])
    result = difference_of([other], [one], "tuned")
    assert (result.value, result.ci95) == (pytest.approx(0.0), pytest.approx((0.0, 0.0)))


def test_what_only_one_side_measured_does_not_count():
    one = measured([constant("a1", 0.5), constant("b1", 0.5)], [constant("a1", 0.5), constant("b1", 0.5)])
    other = measured([constant("b1", 0.5), constant("c1", 0.1)], [constant("b1", 0.8), constant("c1", 0.1)])
    assert difference_of([other], [one], "tuned").by_cluster == pytest.approx({"b": 0.3})
    assert difference_of([other], [one], "tuned", clusters=["c"]) is None
    both = difference_of([one, other], [], "tuned")
    assert both.by_cluster == pytest.approx({"a": 0.5, "b": 0.65, "c": 0.1})
