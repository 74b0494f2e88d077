"""Verdicts: the untuned model against the tuned ones, cluster by cluster, from stored matrices.

A cluster's score is the mean over its tasks of the mean over rows and templates. An untuned model that was asked a
task's baseline too, a text to continue without options, counts with that where it does better (section 3 of Wei et al.
gives untuned models such prompts). A cluster that gains nothing stays in the table.

Invariant: numbers depend on the matrices alone. Cost: a second or two for 25 tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.matrix import TaskMatrix
from openflan.evaluation.statistics import bootstrap_p, holm, resample_tasks
from openflan.evaluation.task_results import chance, groups_of, interval_of, majority
from openflan.runs.measure_verdicts import adjusted_measures, first_right, measure_verdicts
from openflan.runs.results import ClusterVerdict, SeedVerdict

__all__ = ["adjusted", "at_its_best", "cluster_verdicts", "verdict_sentence"]

_LEVEL = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cluster:
    """Matrices of one cluster: the untuned model's and each seed's, by task."""

    base: list[TaskMatrix]
    tuned: dict[int, list[TaskMatrix]]


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
        cluster = _Cluster(
            base=base, tuned={seed: [matrices[m.task] for m in base] for seed, matrices in tuned.items()}
        )
        verdicts.append(_verdict(name, cluster, samples))
    return adjusted(sorted(verdicts, key=lambda verdict: verdict.cluster))


def adjusted(verdicts: Sequence[ClusterVerdict]) -> list[ClusterVerdict]:
    """The verdicts with every seed's p-values adjusted over these clusters (Holm 1979); give plain ones, once.

    Each measure is adjusted by itself, over the clusters that have it.
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


def _verdict(name: str, cluster: _Cluster, samples: int) -> ClusterVerdict:
    seeds = list(cluster.tuned)
    best = [at_its_best(matrix).values for matrix in cluster.base]
    per_task = [
        [best[number], *(cluster.tuned[seed][number].values for seed in seeds)] for number in range(len(cluster.base))
    ]
    groups = [groups_of(matrix) for matrix in cluster.base]
    means = resample_tasks(per_task, samples=samples, groups=groups).means
    base_means, seed_means = means[0], means[1:]
    base = _mean(best)
    guess = float(np.mean([chance(matrix) for matrix in cluster.base]))
    baselines = [matrix.baseline for matrix in cluster.base if matrix.baseline is not None]
    by_seed = []
    for place, seed in enumerate(seeds):
        score = _mean([matrix.values for matrix in cluster.tuned[seed]])
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
    tuned = float(np.mean([verdict.tuned for verdict in by_seed]))
    return ClusterVerdict(
        cluster=name,
        tasks=[matrix.task for matrix in cluster.base],
        metric=" + ".join(sorted({matrix.metric for matrix in cluster.base})),
        base=base,
        base_templates=_mean([matrix.values for matrix in cluster.base]),
        base_baseline=_mean(baselines) if len(baselines) == len(cluster.base) else None,
        tuned=tuned,
        gain=tuned - base,
        base_ci95=interval_of(base_means),
        tuned_ci95=interval_of(seed_means.mean(axis=0)),
        gain_ci95=interval_of(seed_means.mean(axis=0) - base_means),
        chance=guess,
        majority=float(np.mean([majority(matrix) for matrix in cluster.base])),
        n_rows=sum(len(matrix.values) for matrix in cluster.base),
        n_templates=sum(len(matrix.templates) for matrix in cluster.base),
        by_seed=by_seed,
        measures=measure_verdicts(cluster.base, cluster.tuned, samples=samples),
        first_right=first_right(cluster.base),
    )


def at_its_best(matrix: TaskMatrix) -> TaskMatrix:
    """An untuned model's scores under the templates; or with the ends of answers, which it is not known to write, or
    under its baseline in each column, where that is better."""
    candidates = [matrix.values]
    if matrix.with_end is not None and matrix.rule == "option":
        candidates.append(matrix.with_end)
    if matrix.baseline is not None:
        candidates.append(np.where(np.isnan(matrix.values), np.nan, matrix.baseline[:, None]))
    best = max(candidates, key=np.nanmean)
    return matrix if best is matrix.values else replace(matrix, values=best)


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


def _words(clusters: Sequence[str]) -> str:
    return ", ".join(cluster.replace("_", " ") for cluster in clusters)


def _mean(values: Sequence[NDArray[np.float64]]) -> float:
    return float(np.mean([np.nanmean(matrix) for matrix in values]))
