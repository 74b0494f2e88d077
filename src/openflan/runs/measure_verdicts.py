"""The measures that accuracy is made of, cluster by cluster: the untuned model against the tuned ones.

Both are asked under the templates; the better of prompts, which counts for accuracy, is another for each measure, so
what the untuned model does under its texts to continue stands beside. A measure is the mean over those of the cluster's
tasks that have it.

Invariant: numbers depend on the matrices alone; rows and templates are drawn as for accuracy, and alike for all
measures. Cost: 20 ms a task.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.matrix import TaskMatrix
from openflan.evaluation.measures import MEASURES
from openflan.evaluation.statistics import bootstrap_p, holm, resample_task
from openflan.evaluation.task_results import groups_of, interval_of, mean_over_templates
from openflan.runs.results import MeasureVerdict, SeedMeasure

__all__ = ["adjusted_measures", "first_right", "measure_verdicts"]


def measure_verdicts(
    untuned: Sequence[TaskMatrix], tuned: Mapping[int, Sequence[TaskMatrix]], *, samples: int
) -> dict[str, MeasureVerdict]:
    """Each measure that a task of one cluster has, with plain p-values.

    Args:
        untuned: matrices of the cluster's tasks.
        tuned: the same by seed.
        samples: bootstrap resamples.
    """
    tasks = [[matrix, *(of_seed[number] for of_seed in tuned.values())] for number, matrix in enumerate(untuned)]
    names = [[name for name in MEASURES if all(name in one.measures for one in models)] for models in tasks]
    resampled = [
        _resampled(models, own, samples, number) for number, (models, own) in enumerate(zip(tasks, names, strict=True))
    ]
    return {
        name: _verdict(
            name,
            [models for models, own in zip(tasks, names, strict=True) if name in own],
            [means[name] for means in resampled if name in means],
            list(tuned),
        )
        for name in MEASURES
        if any(name in own for own in names)
    }


def adjusted_measures(clusters: Sequence[Mapping[str, MeasureVerdict]]) -> list[dict[str, MeasureVerdict]]:
    """The measures of several clusters, each with its p-values adjusted over the clusters that have it (Holm 1979)."""
    verdicts: list[dict[str, MeasureVerdict]] = [{} for _ in clusters]
    for name in MEASURES:
        having = [place for place, measures in enumerate(clusters) if name in measures]
        plain = [[seed.gain_p for seed in clusters[place][name].by_seed] for place in having]
        by_seed = [holm(p_values) for p_values in zip(*plain, strict=True)]
        for number, place in enumerate(having):
            measure = clusters[place][name]
            seeds = [
                seed.model_copy(update={"gain_p": adjusted[number]})
                for seed, adjusted in zip(measure.by_seed, by_seed, strict=True)
            ]
            verdicts[place][name] = measure.model_copy(update={"by_seed": seeds})
    return verdicts


def first_right(tasks: Sequence[TaskMatrix]) -> float | None:
    """Share of the questions of which the right option is listed first, mean over the tasks that list any."""
    shares = [task.cells.first_right for task in tasks if task.cells is not None]
    listed = [share for share in shares if share is not None]
    return float(np.mean(listed)) if listed else None


def _resampled(
    models: Sequence[TaskMatrix], names: Sequence[str], samples: int, number: int
) -> dict[str, NDArray[np.float64]]:
    """(models, S) Resampled means of each measure of one task."""
    if not names:
        return {}
    flat = [model.measures[name] for name in names for model in models]
    means = resample_task(flat, samples=samples, seed=(0, number), groups=groups_of(models[0]))
    return dict(zip(names, np.split(means, len(names)), strict=True))


def _verdict(
    name: str, tasks: Sequence[Sequence[TaskMatrix]], resampled: Sequence[NDArray[np.float64]], seeds: Sequence[int]
) -> MeasureVerdict:
    """A measure over the tasks that have it."""
    scores = np.mean([[mean_over_templates(one.measures[name]) for one in models] for models in tasks], axis=0)
    means = np.mean(resampled, axis=0)
    natural = [models[0].baseline_measures.get(name) for models in tasks]
    baselines = [value for value in natural if value is not None]
    after = means[1:].mean(axis=0)
    return MeasureVerdict(
        tasks=[models[0].task for models in tasks],
        untuned=float(scores[0]),
        untuned_baseline=float(np.mean(baselines)) if len(baselines) == len(tasks) else None,
        tuned=float(scores[1:].mean()),
        gain=float(scores[1:].mean() - scores[0]),
        untuned_ci95=interval_of(means[0]),
        tuned_ci95=interval_of(after),
        gain_ci95=interval_of(after - means[0]),
        by_seed=[
            SeedMeasure(
                seed=seed,
                tuned=float(scores[1 + place]),
                gain=float(scores[1 + place] - scores[0]),
                tuned_ci95=interval_of(means[1 + place]),
                gain_ci95=interval_of(means[1 + place] - means[0]),
                gain_p=bootstrap_p(means[1 + place] - means[0]),
            )
            for place, seed in enumerate(seeds)
        ],
    )
