"""One task under all its templates: the numbers that a table shows.

The mean over templates is the score; beside it stand median, extremes and standard deviation, an interval over rows
and templates, and what a user gets who picks the template by validation rows: the test score of the best one there.

Invariant: numbers depend on the matrices alone. Cost: 30 ms a task and model for its interval.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.matrix import TaskMatrix
from openflan.evaluation.metrics import metric_signature
from openflan.evaluation.scores import Rule
from openflan.evaluation.statistics import interval, resample_task
from openflan.records import Record

__all__ = [
    "BestOnValidation",
    "CleanSplit",
    "MeasureSpread",
    "Pair",
    "TaskGain",
    "TaskResult",
    "TemplateSpread",
    "chance",
    "groups_of",
    "interval_of",
    "majority",
    "mean_over_templates",
    "spread_of",
    "task_results",
]

Pair = tuple[float, float]


class BestOnValidation(Record):
    """The template that validation rows choose, and what it scores on the test rows."""

    template: int
    score: float
    """On the test rows."""
    validation_score: float
    validation_rows: int


class MeasureSpread(Record):
    """One of the measures that accuracy is made of (openflan.evaluation.measures), over templates."""

    mean: float
    ci95: Pair
    """Over rows and templates."""
    by_template: dict[str, float]


class TemplateSpread(Record):
    """A model's score on a task over its templates."""

    mean: float
    ci95: Pair
    """Over rows and templates."""
    std: float
    """Between templates, with one degree of freedom less."""
    median: float
    min: float
    max: float
    by_template: dict[str, float]
    best_on_validation: BestOnValidation | None = None
    """None where the task has no validation rows or one template only."""
    baseline: float | None = None
    """Under the task's text to continue, where that was asked."""
    measures: dict[str, MeasureSpread] = {}
    """By name, of ranked answers: `form`, `written`, `auc`, `batch`, `content_free`, `first`, and where the options
    were rotated `class_order` and `same_answer`."""
    baseline_measures: dict[str, float] = {}
    """The same under the task's text to continue."""
    other_metrics: dict[str, float]
    """The task's further metrics by name, mean over templates."""
    answers: int = 0
    """Rows times templates, times the turns of the options where these were rotated."""
    nested: int = 0
    """Answers to options of which one begins another ("1" and "10")."""
    rule: Rule | None = None
    """What told those apart: `option_and_end` where the model is known to write the end of an answer, which is then
    scored after the option; `option` alone else, by whose sum the longer one never wins; None where there are none."""
    mean_with_end: float | None = None
    """The mean if ends count, whatever the rule; None where none was scored."""
    ties: int = 0
    """Answers that another option equalled; the first of equals is taken."""
    close: int = 0
    """Answers decided by less than bfloat16 is off; 0 in float32."""
    cut: int = 0
    """Prompts that were too long for the model and lost the end of their longest field."""


class CleanSplit(Record):
    """A model's score apart on items that the tuning set holds and on those that it does not."""

    clean: float | None
    """None where no item is clean."""
    dirty: float | None
    clean_rows: int
    dirty_rows: int


class TaskGain(Record):
    """The tuned models, mean over seeds, against the untuned one; intervals over rows and templates."""

    tuned: float
    gain: float
    tuned_ci95: Pair
    gain_ci95: Pair
    """Paired."""


class TaskResult(Record):
    """One task under all its templates."""

    task: str
    cluster: str
    role: Literal["held_out", "seen", "asked"]
    """`asked` where the model's tuning set is not known."""
    metric: str
    n_rows: int
    rows_left_out: int = 0
    """Test and validation rows that were at fault (`mixture.faulty_rows: skip`)."""
    chance: float
    majority: float
    models: dict[str, TemplateSpread]
    """By model: `untuned`, `seed-0`, …"""
    signatures: dict[str, str] = {}
    """By metric of generated answers: in which normal form it compares, and a library's settings and version."""
    gain: TaskGain | None = None
    """None where there is no untuned or no tuned model."""
    measure_gains: dict[str, TaskGain] = {}
    """The same for the measures that both have."""
    first_right: float | None = None
    """Share of questions of which the right option is listed first; None where none is listed."""
    leakage: dict[str, CleanSplit] = {}
    """By model, where the leak certificate found items of the task in the tuning set and left them there."""


def _signatures(metrics: Sequence[str]) -> dict[str, str]:
    signed = {name: metric_signature(name) for name in metrics}
    return {name: signature for name, signature in signed.items() if signature is not None}


def task_results(
    models: Mapping[str, Mapping[str, TaskMatrix]],
    roles: Mapping[str, Literal["held_out", "seen", "asked"]],
    dirty: Mapping[str, Sequence[int]] | None = None,
    *,
    untuned: str | None = None,
    samples: int = 1_000,
) -> list[TaskResult]:
    """Every task's spread over templates, for every model.

    Args:
        dirty: by task, places in the source split of the items that the tuning set holds.
        untuned: which model the others were tuned from.
        samples: bootstrap resamples.
    """
    leaked = dirty or {}
    first = next(iter(models.values()))
    return [
        TaskResult(
            task=task,
            cluster=matrix.cluster,
            role=roles[task],
            metric=matrix.metric,
            n_rows=len(matrix.values),
            chance=chance(matrix),
            majority=majority(matrix),
            models={name: spread_of(matrices[task], samples=samples) for name, matrices in models.items()},
            signatures=_signatures((matrix.metric, *matrix.others)),
            first_right=None if matrix.cells is None else matrix.cells.first_right,
            **(
                {}
                if untuned is None or len(models) < 2
                else _gains(
                    models[untuned][task],
                    [matrices[task] for name, matrices in models.items() if name != untuned],
                    samples,
                )
            ),
            leakage={name: _apart(matrices[task], leaked[task]) for name, matrices in models.items()}
            if leaked.get(task)
            else {},
        )
        for task, matrix in sorted(first.items(), key=lambda item: (roles[item[0]], item[1].cluster, item[0]))
    ]


def spread_of(matrix: TaskMatrix, *, samples: int = 1_000) -> TemplateSpread:
    """One model's numbers on a task."""
    by_template = np.nanmean(matrix.values, axis=0)
    every = [matrix.values, *matrix.measures.values()]
    resampled = iter(resample_task(every, samples=samples, groups=groups_of(matrix)))
    return TemplateSpread(
        mean=float(by_template.mean()),
        ci95=interval_of(next(resampled)),
        std=float(by_template.std(ddof=1)) if len(by_template) > 1 else 0.0,
        median=float(np.median(by_template)),
        min=float(by_template.min()),
        max=float(by_template.max()),
        by_template=_named(matrix, by_template),
        best_on_validation=_best(matrix, by_template),
        baseline=None if matrix.baseline is None else float(np.nanmean(matrix.baseline)),
        measures={
            name: MeasureSpread(
                mean=mean_over_templates(values),
                ci95=interval_of(next(resampled)),
                by_template=_named(matrix, column_means(values)),
            )
            for name, values in matrix.measures.items()
        },
        baseline_measures=dict(matrix.baseline_measures),
        other_metrics=dict(matrix.others),
        answers=matrix.answers,
        nested=matrix.nested,
        rule=matrix.rule,
        mean_with_end=None if matrix.with_end is None else mean_over_templates(matrix.with_end),
        ties=matrix.ties,
        close=matrix.close,
        cut=matrix.cut,
    )


def chance(matrix: TaskMatrix) -> float:
    """Score of guessing."""
    return float(np.mean([1 / n if n else 0.0 for n in matrix.options]))


def majority(matrix: TaskMatrix) -> float:
    """Score of always giving the most frequent answer."""
    return max(Counter(matrix.expected).values()) / len(matrix.expected)


def interval_of(values: NDArray[np.float64]) -> Pair:
    """The middle 95 % of resampled values."""
    bounds = interval(values)
    return bounds.low, bounds.high


def _gains(untuned: TaskMatrix, tuned: Sequence[TaskMatrix], samples: int) -> dict[str, Any]:
    """What tuning changed of the score and of each measure, under the keys of `TaskResult`."""
    every = [untuned, *tuned]
    names = [name for name in untuned.measures if all(name in matrix.measures for matrix in tuned)]
    sides = [[matrix.values for matrix in every], *([matrix.measures[name] for matrix in every] for name in names)]
    flat = [values for side in sides for values in side]
    resampled = iter(np.split(resample_task(flat, samples=samples, groups=groups_of(untuned)), len(sides)))
    gains = [_gain(side, next(resampled)) for side in sides]
    return {"gain": gains[0], "measure_gains": dict(zip(names, gains[1:], strict=True))}


def _gain(matrices: Sequence[NDArray[np.float64]], means: NDArray[np.float64]) -> TaskGain:
    """Of the first model's values and the others', with their resampled means."""
    after = means[1:].mean(axis=0)
    score = float(np.mean([mean_over_templates(values) for values in matrices[1:]]))
    return TaskGain(
        tuned=score,
        gain=score - mean_over_templates(matrices[0]),
        tuned_ci95=interval_of(after),
        gain_ci95=interval_of(after - means[0]),
    )


def mean_over_templates(values: NDArray[np.float64]) -> float:
    """Mean over templates of the means over rows; a template without values is left out."""
    return float(np.nanmean(column_means(values)))


def column_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) Mean over the rows of each template; NaN where it has none."""
    present = ~np.isnan(values)
    count = present.sum(axis=0)
    return np.where(count > 0, np.where(present, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _named(matrix: TaskMatrix, means: NDArray[np.float64]) -> dict[str, float]:
    """Means by template, of those that have one."""
    return {str(n): float(v) for n, v in zip(matrix.templates, means, strict=True) if not np.isnan(v)}


def groups_of(matrix: TaskMatrix) -> tuple[str, ...] | None:
    """The rows' groups, where any has several rows."""
    return matrix.groups if len(set(matrix.groups)) < len(matrix.groups) else None


def _best(matrix: TaskMatrix, by_template: NDArray[np.float64]) -> BestOnValidation | None:
    """The first of the templates that are best on the validation rows."""
    scores = {number: score for number, score in (matrix.validation or {}).items() if number in matrix.templates}
    if not scores:
        return None
    best = max(scores, key=lambda number: (scores[number], -number))
    return BestOnValidation(
        template=best,
        score=float(by_template[matrix.templates.index(best)]),
        validation_score=scores[best],
        validation_rows=matrix.validation_rows,
    )


def _apart(matrix: TaskMatrix, dirty: Sequence[int]) -> CleanSplit:
    """Scores on clean and on dirty rows."""
    marked = np.isin(matrix.rows, np.array(dirty, dtype=np.int64))
    clean, leaked = matrix.values[~marked], matrix.values[marked]
    return CleanSplit(
        clean=float(np.nanmean(clean)) if len(clean) else None,
        dirty=float(np.nanmean(leaked)) if len(leaked) else None,
        clean_rows=len(clean),
        dirty_rows=len(leaked),
    )
