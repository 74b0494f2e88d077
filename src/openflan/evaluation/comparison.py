"""Two models on the same rows: by how much they differ on each task, and whether that is more than chance.

A model may be several (the seeds of a run): its cells are averaged. Rows are matched by content, so the two may have
been measured on files of another order; where both were asked under the same templates, cells are matched too.

    accuracy, one template       McNemar's exact test over the rows that only one side got right
    accuracy, several templates  permutation test: each row's mean difference keeps or changes its sign
    any other metric             paired bootstrap

P-values are adjusted over tasks by Holm's method. Beside each difference stands the smallest one that this many rows
would have shown (80 % power), so that "no difference shown" can be told from "no difference could have been shown".

Invariant: pure functions of the stored matrices. Cost: 60 ms a task at 200 × 10. Rejected: unpaired tests, which
throw away that both sides read the same rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from openflan.errors import UserError
from openflan.evaluation.matrix import TaskMatrix
from openflan.evaluation.measure_comparison import MeasureComparison, adjusted_over_tasks, compare_measures
from openflan.evaluation.pairing import Paired, pair_rows
from openflan.evaluation.statistics import bootstrap_p, detectable, holm, interval, mcnemar, seed_spread
from openflan.records import Record

__all__ = ["COMPARISON_SCHEMA", "Comparison", "SideSpread", "TaskComparison", "compare_models"]

COMPARISON_SCHEMA = 1
"""Version of what `openflan compare --json` prints."""

Test = Literal["mcnemar", "permutation", "bootstrap"]
Models = Mapping[str, Mapping[str, TaskMatrix]]
"""Matrices by model (a seed each) and task."""


class SideSpread(Record):
    """One side's scores over its seeds."""

    mean: float
    std: float
    ci95: tuple[float, float]


class TaskComparison(Record):
    """One task: side B against side A; scores from 0 to 1."""

    task: str
    cluster: str
    metric: str
    n_rows: int
    n_templates: int
    a: float
    b: float
    difference: float
    """b - a."""
    difference_ci95: tuple[float, float]
    """Paired, over rows and templates."""
    test: Test
    p: float
    p_holm: float
    """Adjusted for the number of tasks."""
    detectable: float
    """Smallest true difference found with 80 % power at this size."""
    a_seeds: SideSpread | None
    b_seeds: SideSpread | None
    """Spread between seeds, where a side has several."""
    rows_left_out: int
    """Rows that only one side answered."""
    measures: dict[str, MeasureComparison] = {}
    """What accuracy is made of, by name: `form`, `auc` … (docs/reading-results.md)."""


class Comparison(Record):
    """Side B against side A on all tasks that both answered."""

    schema_version: int
    a: str
    b: str
    tasks: list[TaskComparison]
    difference: float
    """Mean over tasks."""
    difference_ci95: tuple[float, float]
    tasks_left_out: list[str]
    """Tasks that only one side answered."""
    sentence: str

    def __repr__(self) -> str:
        return f"Comparison({self.sentence})"


def compare_models(a: Models, b: Models, *, names: tuple[str, str], samples: int = 2_000) -> Comparison:
    """Compare two sides, each one model or several seeds of one.

    Args:
        names: how the sides are called.

    Raises:
        UserError: they have no task, or no row of a task, in common.
    """
    mine, theirs = _averaged(a), _averaged(b)
    shared = [task for task in mine if task in theirs]
    if not shared:
        how = "measure both on the same tasks"
        raise UserError("the two have no task in common", where=" and ".join(names), how=how)
    pairs = {task: pair_rows(mine[task], theirs[task], names) for task in shared}
    tests = {task: _test(pair, mine[task].metric, samples) for task, pair in pairs.items()}
    adjusted = dict(zip(tests, holm([p for _, p in tests.values()]), strict=True))
    measures = adjusted_over_tasks(
        [compare_measures(_of(a, task), _of(b, task), pair, samples=samples) for task, pair in pairs.items()]
    )
    tasks = [
        _compared(
            mine[task],
            pairs[task],
            tests[task],
            adjusted[task],
            samples,
            seeds=(_seeds(a, task), _seeds(b, task)),
            measures=of_task,
        )
        for task, of_task in zip(shared, measures, strict=True)
    ]
    means = np.mean([pair.resampled(samples, seed=place) for place, pair in enumerate(pairs.values())], axis=0)
    return Comparison(
        schema_version=COMPARISON_SCHEMA,
        a=names[0],
        b=names[1],
        tasks=tasks,
        difference=float(np.mean([task.difference for task in tasks])),
        difference_ci95=_ends(means),
        tasks_left_out=sorted(set(mine) ^ set(theirs)),
        sentence=_sentence(tasks, names),
    )


def _compared(
    matrix: TaskMatrix,
    pair: Paired,
    test: tuple[Test, float],
    p_holm: float,
    samples: int,
    *,
    seeds: tuple[list[float], list[float]],
    measures: dict[str, MeasureComparison],
) -> TaskComparison:
    resampled = pair.resampled(samples)
    a, b = float(np.nanmean(pair.a)), float(np.nanmean(pair.b))
    return TaskComparison(
        task=matrix.task,
        cluster=matrix.cluster,
        metric=matrix.metric,
        n_rows=len(pair.a),
        n_templates=pair.a.shape[1],
        a=a,
        b=b,
        difference=b - a,
        difference_ci95=_ends(resampled),
        test=test[0],
        p=test[1],
        p_holm=p_holm,
        detectable=detectable(float(resampled.std(ddof=1))),
        a_seeds=_spread(seeds[0]),
        b_seeds=_spread(seeds[1]),
        rows_left_out=pair.left_out,
        measures=measures,
    )


def _test(pair: Paired, metric: str, samples: int) -> tuple[Test, float]:
    """The test that fits the metric and the number of templates, and its p-value."""
    if metric != "accuracy":
        return "bootstrap", bootstrap_p(pair.resampled(samples))
    a, b = pair.row_means
    alone = pair.groups is None and {*a.tolist(), *b.tolist()} <= {0.0, 1.0}
    if alone and pair.a.shape[1] == pair.b.shape[1] == 1:
        return "mcnemar", mcnemar(int((a > b).sum()), int((b > a).sum()))
    return "permutation", pair.permutation_p()


def _averaged(models: Models) -> dict[str, TaskMatrix]:
    """One matrix a task: the mean over the seeds, of the tasks and rows that all of them answered."""
    first, *others = models.values()
    tasks = [task for task in first if all(task in other for other in others)]
    return {
        task: replace(first[task], values=np.mean([matrices[task].values for matrices in models.values()], axis=0))
        for task in tasks
    }


def _of(models: Models, task: str) -> list[TaskMatrix]:
    return [matrices[task] for matrices in models.values()]


def _seeds(models: Models, task: str) -> list[float]:
    return [float(np.nanmean(matrices[task].values)) for matrices in models.values()]


def _spread(scores: Sequence[float]) -> SideSpread | None:
    spread = seed_spread(scores)
    if spread is None:
        return None
    return SideSpread(mean=spread.mean, std=spread.std, ci95=(spread.interval.low, spread.interval.high))


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    ends = interval(values)
    return ends.low, ends.high


def _sentence(tasks: Sequence[TaskComparison], names: tuple[str, str]) -> str:
    shown = [task for task in tasks if task.p_holm < 0.05]
    better = sum(task.difference > 0 for task in shown)
    rule = "(5 %)" if len(tasks) == 1 else "(Holm-adjusted, 5 %)"
    if not shown:
        return f"No difference is shown{'' if len(tasks) == 1 else f' on any of {len(tasks)} tasks'} {rule}."
    if len(tasks) == 1:
        return f"{names[1]} is {'better' if better else 'worse'} than {names[0]} {rule}."
    words = [f"{what} on {count}" for what, count in (("better", better), ("worse", len(shown) - better)) if count]
    return f"{names[1]} is {' and '.join(words)} of {len(tasks)} tasks {rule}."
