"""Two sides' values on the rows that both answered, in one order, and what is drawn from them.

Rows are matched by content. Where both sides were asked under the same templates, cells are matched too; of templates
that differ only the means of a row can be.

Legend: R rows, P templates. Invariant: pure functions of the stored matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openflan.errors import UserError
from openflan.evaluation.matrix import TaskMatrix
from openflan.evaluation.statistics import permutation_p, resample_task

__all__ = ["Paired", "pair_rows"]

_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """Both sides' values of the rows they share; (R, P) each."""

    a: _Floats
    b: _Floats
    rows: tuple[tuple[int, ...], tuple[int, ...]]
    """Where each side has those rows."""
    same_templates: bool
    groups: tuple[str, ...] | None
    left_out: int

    def with_values(self, a: _Floats, b: _Floats) -> "Paired":
        """Other values of the same rows; cells that one side lacks count for neither, where cells are matched."""
        if self.same_templates:
            absent = np.isnan(a) | np.isnan(b)
            a, b = np.where(absent, np.nan, a), np.where(absent, np.nan, b)
        return replace(self, a=a, b=b)

    @property
    def row_means(self) -> tuple[_Floats, _Floats]:
        """(R,) of each side; NaN where a row has no value."""
        a, b = ((~np.isnan(side)).sum(axis=1) for side in (self.a, self.b))
        return np.nansum(self.a, axis=1) / np.where(a, a, np.nan), np.nansum(self.b, axis=1) / np.where(b, b, np.nan)

    def resampled(self, samples: int, *, seed: int = 0) -> _Floats:
        """(S,) Resampled differences, b - a."""
        sides = [self.a, self.b] if self.same_templates else [side[:, None] for side in self.row_means]
        means = resample_task(sides, samples=samples, seed=(seed, 0), groups=self.groups, templates=self.same_templates)
        return np.asarray(means[1] - means[0], dtype=np.float64)

    def permutation_p(self) -> float:
        """P-value that the mean difference is zero, by flipped signs of row differences, or of whole groups'."""
        a, b = self.row_means
        valid = ~np.isnan(b - a)
        differences = (b - a)[valid]
        if self.groups is not None:
            numbers = np.unique(np.array(self.groups)[valid], return_inverse=True)[1]
            differences = np.bincount(numbers, weights=differences).astype(np.float64)
        return permutation_p(differences)


def pair_rows(a: TaskMatrix, b: TaskMatrix, names: tuple[str, str]) -> Paired:
    """The two sides' scores of the rows that both answered, in one order.

    Args:
        names: how the sides are called.

    Raises:
        UserError: they have no row in common, or were scored by other metrics.
    """
    if a.metric != b.metric:
        what = f"{a.task} was scored by {a.metric} in one and by {b.metric} in the other"
        raise UserError(what, where=" and ".join(names), how="measure both with the same task file")
    place = {row: number for number, row in enumerate(b.row_hashes)}
    both = [(number, place[row]) for number, row in enumerate(a.row_hashes) if row in place]
    if not both:
        how = "give both the same --data and split"
        raise UserError(f"the two have no row of {a.task} in common", where=" and ".join(names), how=how)
    first, second = (tuple(pair[side] for pair in both) for side in (0, 1))
    groups = tuple(a.groups[number] for number in first)
    return Paired(
        a=np.empty(0),
        b=np.empty(0),
        rows=(first, second),
        same_templates=a.templates == b.templates,
        groups=_shared_groups(groups),
        left_out=len(a.row_hashes) + len(b.row_hashes) - 2 * len(both),
    ).with_values(a.values[list(first)], b.values[list(second)])


def _shared_groups(groups: Sequence[str]) -> tuple[str, ...] | None:
    return tuple(groups) if len(set(groups)) < len(groups) else None
