"""Verdicts: the untuned model against the tuned ones, by cluster and by own task, from stored matrices.

A cluster's score is the mean over its tasks of the mean over rows and templates. An untuned model that was asked a
task's baseline too, a text to continue without options, counts with that where it does better (section 3 of Wei et al.
gives untuned models such prompts). A cluster that gains nothing stays in the table.

Invariant: numbers depend on the matrices alone. Cost: a second or two for 25 tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.matrix import TaskMatrix
from openflan.evaluation.statistics import bootstrap_p, holm, resample_tasks
from openflan.evaluation.task_results import chance, groups_of, interval_of, majority
from openflan.runs.measure_verdicts import adjusted_measures, first_right, measure_verdicts
from openflan.runs.results import ClusterVerdict, SeedVerdict, TaskVerdict, VerdictScores

__all__ = [
    "adjusted",
    "at_its_best",
    "best_prompt",
    "cluster_verdicts",
    "own_sentence",
    "scores_of",
    "task_verdicts",
    "verdict_sentence",
]

_LEVEL = 0.05

AnyVerdict = TypeVar("AnyVerdict", bound=VerdictScores)


def cluster_verdicts(
    untuned: Mapping[str, TaskMatrix],
    tuned: Mapping[int, Mapping[str, TaskMatrix]],
    tasks: Sequence[str],
    *,
    samples: int,
) -> list[ClusterVerdict]:
    """Compare untuned and tuned models cluster by cluster.

    Args:
        untuned: matrices by task.
        tuned: matrices by seed and task.
        tasks: which tasks count.
        samples: bootstrap resamples.
    """
    chosen = [untuned[task] for task in tasks if task in untuned]
    clusters: dict[str, list[TaskMatrix]] = {}
    for matrix in chosen:
        clusters.setdefault(matrix.cluster, []).append(matrix)
    verdicts = []
    for name, members in clusters.items():
        ranked = [matrix for matrix in members if matrix.kind == "ranked"]
        base = ranked or members
        scores = scores_of(
            [at_its_best(matrix).values for matrix in base],
            base,
            {seed: [matrices[m.task] for m in base] for seed, matrices in tuned.items()},
            samples,
        )
        verdicts.append(ClusterVerdict(cluster=name, tasks=[matrix.task for matrix in base], **dict(scores)))
    return adjusted(sorted(verdicts, key=lambda verdict: verdict.cluster))


def task_verdicts(
    untuned: Mapping[str, TaskMatrix],
    tuned: Mapping[int, Mapping[str, TaskMatrix]],
    roles: Mapping[str, Literal["held_out", "seen"]],
    *,
    samples: int,
) -> list[TaskVerdict]:
    """Compare untuned and tuned models on single tasks, the untuned one under the prompt that it does best with.

    Args:
        untuned: matrices by task.
        tuned: matrices by seed and task.
        roles: the tasks that count, in order, and whether tuning saw them.
        samples: bootstrap resamples.
    """
    verdicts = []
    for task, role in roles.items():
        matrix = untuned[task]
        prompt, values = best_prompt(matrix)
        seeds = {seed: [matrices[task]] for seed, matrices in tuned.items()}
        scores = scores_of([values], [matrix], seeds, samples)
        verdicts.append(TaskVerdict(task=task, cluster=matrix.cluster, role=role, best_prompt=prompt, **dict(scores)))
    return adjusted(verdicts)


def adjusted(verdicts: Sequence[AnyVerdict]) -> list[AnyVerdict]:
    """The verdicts with every seed's p-values adjusted over these (Holm 1979); give plain ones, once.

    Each measure is adjusted by itself, over those that have it.
    """
    verdicts = [
        verdict.model_copy(update={"measures": measures})
        for verdict, measures in zip(verdicts, adjusted_measures([v.measures for v in verdicts]), strict=True)
    ]
    columns: dict[tuple[int, str], list[float]] = {}
    for seed in range(len(verdicts[0].by_seed) if verdicts else 0):
        for name in ("gain_p", "chance_p"):
            columns[seed, name] = holm([getattr(verdict.by_seed[seed], name) for verdict in verdicts])
    return [
        verdict.model_copy(
            update={
                "by_seed": [
                    one.model_copy(update={name: columns[seed, name][place] for name in ("gain_p", "chance_p")})
                    for seed, one in enumerate(verdict.by_seed)
                ]
            }
        )
        for place, verdict in enumerate(verdicts)
    ]


def scores_of(
    best: Sequence[NDArray[np.float64]],
    untuned: Sequence[TaskMatrix],
    tuned: Mapping[int, Sequence[TaskMatrix]],
    samples: int,
) -> VerdictScores:
    """Scores of some tasks together, and what tuning gained on them.

    Args:
        best: the untuned model's values at its best, task by task.
        untuned: its matrices.
        tuned: matrices by seed, in the same order.
        samples: bootstrap resamples.
    """
    seeds = list(tuned)
    per_task = [[values, *(tuned[seed][number].values for seed in seeds)] for number, values in enumerate(best)]
    groups = [groups_of(matrix) for matrix in untuned]
    means = resample_tasks(per_task, samples=samples, groups=groups).means
    base_means, seed_means = means[0], means[1:]
    base = _mean(best)
    guess = float(np.mean([chance(matrix) for matrix in untuned]))
    baselines = [matrix.baseline for matrix in untuned if matrix.baseline is not None]
    by_seed = []
    for place, seed in enumerate(seeds):
        score = _mean([matrix.values for matrix in tuned[seed]])
        by_seed.append(
            SeedVerdict(
                seed=seed,
                tuned=score,
                gain=score - base,
                tuned_ci95=interval_of(seed_means[place]),
                gain_ci95=interval_of(seed_means[place] - base_means),
                gain_p=bootstrap_p(seed_means[place] - base_means),
                chance_p=bootstrap_p(seed_means[place] - guess),
            )
        )
    after = float(np.mean([verdict.tuned for verdict in by_seed]))
    return VerdictScores(
        metric=" + ".join(sorted({matrix.metric for matrix in untuned})),
        base=base,
        base_templates=_mean([matrix.values for matrix in untuned]),
        base_baseline=_mean(baselines) if len(baselines) == len(untuned) else None,
        tuned=after,
        gain=after - base,
        base_ci95=interval_of(base_means),
        tuned_ci95=interval_of(seed_means.mean(axis=0)),
        gain_ci95=interval_of(seed_means.mean(axis=0) - base_means),
        chance=guess,
        majority=float(np.mean([majority(matrix) for matrix in untuned])),
        n_rows=sum(len(matrix.values) for matrix in untuned),
        n_templates=sum(len(matrix.templates) for matrix in untuned),
        by_seed=by_seed,
        measures=measure_verdicts(untuned, tuned, samples=samples),
        first_right=first_right(untuned),
    )


def at_its_best(matrix: TaskMatrix) -> TaskMatrix:
    """An untuned model's scores under the templates; or with the ends of answers, which it is not known to write, or
    under its baseline in each column, where that is better."""
    candidates = _decided(matrix)
    if matrix.baseline is not None:
        candidates.append(np.where(np.isnan(matrix.values), np.nan, matrix.baseline[:, None]))
    best = max(candidates, key=np.nanmean)
    return matrix if best is matrix.values else replace(matrix, values=best)


def best_prompt(matrix: TaskMatrix) -> tuple[int, NDArray[np.float64]]:
    """The prompt that a model does best with, of those that fit every row, and its values beside each template's.

    -1 stands for the baseline. Where no prompt fits all rows, that is the first template, and the values are at best.
    """
    columns = [(n, values[:, at]) for values in _decided(matrix) for at, n in enumerate(matrix.templates)]
    if matrix.baseline is not None:
        columns.append((-1, matrix.baseline))
    whole = [
        (number, np.where(np.isnan(matrix.values), np.nan, column[:, None]))
        for number, column in columns
        if not np.isnan(column).any()
    ]
    if not whole:
        return matrix.templates[0], at_its_best(matrix).values
    return max(whole, key=lambda pair: float(np.nanmean(pair[1])))


def _decided(matrix: TaskMatrix) -> list[NDArray[np.float64]]:
    """An untuned model's values under the templates; also with ends of answers where it's not known to write them."""
    ends = matrix.with_end if matrix.rule == "option" else None
    return [matrix.values] if ends is None else [matrix.values, ends]


def verdict_sentence(held_out: Sequence[ClusterVerdict]) -> str:
    """What the held-out clusters show, in words.

    A gain counts where every seed's interval lies above zero and its p-value, adjusted over the clusters, below 0.05.
    """
    if not held_out:
        return "No cluster was held out, so this run says nothing about new kinds of task."
    gained = [v.cluster for v in held_out if all(s.gain_ci95[0] > 0 and s.gain_p < _LEVEL for s in v.by_seed)]
    lost = [v.cluster for v in held_out if all(seed.gain_ci95[1] < 0 for seed in v.by_seed)]
    many = "cluster" if len(held_out) == 1 else "clusters"
    every = "" if len(held_out[0].by_seed) == 1 else f", with each of {len(held_out[0].by_seed)} seeds"
    if gained:
        share = "the" if len(gained) == len(held_out) else f"{len(gained)} of the {len(held_out)}"
        text = f"Tuning on other clusters helped on {share} held-out {many}: {_words(gained)}{every}."
    else:
        text = (
            f"On the held-out {many} ({_words([v.cluster for v in held_out])}) no gain over the untuned model is shown."
        )
    return text + (f" Tuning made {_words(lost)} worse." if lost else "")


def own_sentence(own: Sequence[TaskVerdict]) -> str:
    """What the user's own tasks show on test rows of their own, in words, by the rule of `verdict_sentence`.

    A task that is not shown to beat the most frequent answer says so.
    """
    if not own:
        return ""
    gained = [v.task for v in own if all(s.gain_ci95[0] > 0 and s.gain_p < _LEVEL for s in v.by_seed)]
    lost = [v.task for v in own if all(seed.gain_ci95[1] < 0 for seed in v.by_seed)]
    level = [v.task for v in own if v.chance and v.tuned_ci95[0] <= max(v.majority, v.chance)]
    over = "over the untuned model at its best prompt"
    if len(gained) == len(own):
        text = f"Tuning helped on {'each of ' if len(own) > 1 else ''}your own {_tasks(gained)} {over}."
    elif gained:
        text = f"Tuning helped on {len(gained)} of your {len(own)} own tasks {over}: {', '.join(gained)}."
    else:
        text = f"On your own {_tasks([v.task for v in own])} no gain {over} is shown."
    text += f" It made {', '.join(lost)} worse." if lost else ""
    return text + (f" Not shown to beat the most frequent answer: {', '.join(level)}." if level else "")


def _tasks(names: Sequence[str]) -> str:
    return f"{'task' if len(names) == 1 else 'tasks'} ({', '.join(names)})"


def _words(clusters: Sequence[str]) -> str:
    return ", ".join(cluster.replace("_", " ") for cluster in clusters)


def _mean(values: Sequence[NDArray[np.float64]]) -> float:
    return float(np.mean([np.nanmean(matrix) for matrix in values]))
