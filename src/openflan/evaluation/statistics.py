"""Intervals and tests: how far a mean over rows and templates would move if both were drawn again.

A task's score is its mean over rows and templates; a cluster's is the mean over its tasks. The bootstrap resamples
rows (or groups of rows that belong to one question) and, independently, templates (two-way clustering), with the same
draws for all models of a comparison, so a gain's interval is paired. Tests of one task's difference resample rows
whole, so ten readings of one row never count as ten rows.

Legend: R rows, P templates, S resamples, G groups of rows.
Invariant: a pure function of the matrices and the seed. Cost: 30 ms a task at 200 × 10 and 1,000 resamples.
Rejected: binomial intervals over row × template cells, which take ten readings of one row for ten rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Interval",
    "Resamples",
    "SeedSpread",
    "bootstrap_p",
    "detectable",
    "holm",
    "interval",
    "mcnemar",
    "permutation_p",
    "resample_task",
    "resample_tasks",
    "seed_spread",
]

Matrix = NDArray[np.float64]
"""(R, P) scores from 0 to 1; NaN where a template does not fit a row."""

_EXACT = 12
"""Differences up to which all flips of their signs are tried (4,096)."""
_AT_ONCE = 4_000_000
"""Signs drawn at once."""
_KEPT_DRAWS = 2_000_000
"""Drawn rows that are kept, 16 MB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Resamples:
    """Bootstrap means of one or more score matrices that share rows and templates."""

    means: NDArray[np.float64]
    """(models, S)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedSpread:
    """How much a score moves when only the seed of tuning changes."""

    mean: float
    std: float
    """Between seeds, with one degree of freedom less."""
    interval: Interval
    """Where the mean over many seeds lies (Student's t)."""


def resample_tasks(
    tasks: Sequence[Sequence[Matrix]],
    *,
    samples: int,
    seed: int = 0,
    groups: Sequence[Sequence[str] | None] | None = None,
    templates: bool = True,
) -> Resamples:
    """Resampled cluster means of several models over the same tasks.

    Args:
        tasks: for each task, one matrix a model; the matrices of a task share rows, and templates where these are
            resampled.
        groups: for each task, the group of every row; rows of a group are drawn together. None: rows stand alone.
        templates: whether templates are drawn again too, not rows only.
    """
    by_task = [
        resample_task(
            matrices,
            samples=samples,
            seed=(seed, number),
            groups=None if groups is None else groups[number],
            templates=templates,
        )
        for number, matrices in enumerate(tasks)
    ]
    return Resamples(means=np.mean(by_task, axis=0))


def resample_task(
    matrices: Sequence[Matrix],
    *,
    samples: int,
    seed: Sequence[int] = (0, 0),
    groups: Sequence[str] | None = None,
    templates: bool = True,
) -> NDArray[np.float64]:
    """(matrices, S) Resampled means of matrices that share rows, and templates where these are resampled; NaN where a
    draw holds no value.

    Args:
        groups: the group of every row; rows of a group are drawn together. None: rows stand alone.
        templates: whether templates are drawn again too, not rows only.
    """
    rows, columns = matrices[0].shape
    members = None if groups is None else _group_numbers(groups)
    drawn = rows if members is None else int(members.max()) + 1
    draw = _draw_again if drawn * samples <= _KEPT_DRAWS else _draw
    row_weight, template_weight = draw(tuple(seed), drawn, columns if templates else 0, samples)
    if members is not None:
        row_weight = row_weight[:, members]
    means = []
    for matrix in matrices:
        present = ~np.isnan(matrix)
        top = row_weight @ np.where(present, matrix, 0.0)
        bottom = row_weight @ present.astype(np.float64)
        if template_weight is not None:
            top, bottom = top * template_weight, bottom * template_weight
        whole = bottom.sum(axis=1)
        means.append(np.divide(top.sum(axis=1), whole, out=np.full(samples, np.nan), where=whole > 0))
    return np.array(means)


def _draw(
    seed: tuple[int, ...], rows: int, columns: int, samples: int
) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
    """How often each row, and each template where there are columns, is drawn in each resample."""
    random = np.random.default_rng(seed)
    row_weight = random.multinomial(rows, np.full(rows, 1 / rows), size=samples).astype(np.float64)
    if not columns:
        return row_weight, None
    return row_weight, random.multinomial(columns, np.full(columns, 1 / columns), size=samples)


_draw_again = lru_cache(maxsize=2)(_draw)
"""The same, kept for the next task or measure of as many rows: drawing takes four fifths of resampling."""


def interval(values: NDArray[np.float64]) -> Interval:
    """The middle 95 % of resampled values; a draw that holds no value (NaN) is left out."""
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Interval(low=float(low), high=float(high))


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact p-value that two models are right equally often, from the rows that only one of them got right."""
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return 1.0 if not discordant else float(binomtest(only_first, discordant, 0.5).pvalue)


def permutation_p(differences: NDArray[np.float64], *, samples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of a mean of paired differences: how often flipped signs give one as far from zero.

    Args:
        differences: one a row, or one sum a group of rows. Up to 12 that are not zero are flipped in all ways.
    """
    moved = differences[differences != 0]
    if not len(moved):
        return 1.0
    # sums that are equal by symmetry may differ in their last bit
    enough = abs(moved.sum()) * (1 - 1e-9)
    if len(moved) <= _EXACT:
        flips = (np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved))) & 1
        return float((np.abs((1.0 - 2 * flips) @ moved) >= enough).mean())
    random = np.random.default_rng(seed)
    reached, left = 0, samples
    while left:
        now = min(left, max(1, _AT_ONCE // len(moved)))
        drawn = _first_signs(seed) if now == samples else random.integers(0, 2, now * len(moved), dtype=np.int8)
        signs = 1.0 - 2 * drawn[: now * len(moved)].reshape(now, len(moved))
        reached += int((np.abs(signs @ moved) >= enough).sum())
        left -= now
    return (1 + reached) / (1 + samples)


@lru_cache(maxsize=1)
def _first_signs(seed: int) -> NDArray[np.int8]:
    """What a generator draws first, 4 MB: the signs of every task whose resamples are drawn at once."""
    return np.random.default_rng(seed).integers(0, 2, _AT_ONCE, dtype=np.int8)


def bootstrap_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value from resampled differences: twice the share on the far side of zero; NaN are left out."""
    below, above = (1 + int((side <= 0).sum()) for side in (differences, -differences))
    return min(1.0, 2 * min(below, above) / (1 + int((~np.isnan(differences)).sum())))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number (Holm 1979): of all below 0.05, none is false in 95 % of studies."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def detectable(standard_error: float, *, level: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that a two-sided test of this size would find with this power."""
    from scipy.special import ndtri

    return float((ndtri(1 - level / 2) + ndtri(power)) * standard_error)


def seed_spread(scores: Sequence[float]) -> SeedSpread | None:
    """Mean and spread over seeds; None for fewer than two."""
    from scipy.special import stdtrit

    if len(scores) < 2:
        return None
    mean, std = float(np.mean(scores)), float(np.std(scores, ddof=1))
    reach = float(stdtrit(len(scores) - 1, 0.975)) * std / len(scores) ** 0.5
    return SeedSpread(mean=mean, std=std, interval=Interval(low=mean - reach, high=mean + reach))


def _group_numbers(groups: Sequence[str]) -> NDArray[np.int64]:
    """Groups by number: a, a, b → 0, 0, 1."""
    return np.unique(np.array(groups), return_inverse=True)[1]
