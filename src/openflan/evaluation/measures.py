"""What a ranked task's accuracy is made of: whether a model answers by an option at all, whether it tells right from
wrong, and how much it goes by the place of an option.

    form             probability on the options together: that the answer begins with one of them
    written          share of answers that, written greedily, begin with an option
    auc              area under the curve of an option's log-odds against the others, mean over options: 0.5 tells
                     nothing, 1 all; no leaning to an option moves it
    batch            accuracy after the mean probability of each option over all rows of the template is taken off
                     (batch calibration, Zhou et al. 2024)
    content_free     accuracy after the mean probability of each option for rows without content is taken off
                     (contextual calibration, Zhao et al. 2021); only where all rows have the same options
    first            share of answers that are the option listed first
    class_order      accuracy where the options are listed in class order    } only where they were
    same_answer      share of questions answered alike in every order        } rotated

Options are told apart by their place in class order, which where they differ by row is their place in the row.
Probabilities are the softmax of the scores that decided the answers, except for `form`, which needs none.

Every measure is a value a row and template, of which it is the mean, so intervals and paired tests are those of
accuracy. The area under the curve is one by DeLong's placements (1988): a right option's share of the wrong ones below
it, as far from the area as its class is rare. Intervals of calibrated accuracies take what was taken off as given.

Legend: R rows, C columns (a template in one turn of its options), P templates, K options.
Invariant: pure functions of stored answers; means of `auc` are scikit-learn's `roc_auc_score(average="macro",
multi_class="ovr")`. Cost: 20 ms for 2,000 answers. Rejected: bootstrapping the area itself, 1,000 sorts a column.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openflan.evaluation.answer_arrays import AnswerArrays

__all__ = ["MEASURES", "OptionCells", "option_cells"]

Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]

MEASURES = ("form", "written", "auc", "batch", "content_free", "first", "class_order", "same_answer")
"""In the order in which they are told."""

_COMMON = 0.5
"""Share of the rows that must have an option for it to count in the area under the curve."""


@dataclass(frozen=True, kw_only=True)
class OptionCells:
    """One task's ranked answers as arrays; NaN where a template does not fit a row."""

    columns: tuple[tuple[int, int], ...]
    """Template and turn of each; -1 for the baseline."""
    scores: Floats
    """(R, C, K) What options were ranked by; NaN where a row has fewer."""
    right: NDArray[np.bool_]
    """(R, C, K) Which of them count as right."""
    together: Floats
    """(R, C) Log-probability that the answer begins with an option."""
    written: Floats
    """(R, C) 1 where greedy writing begins with an option, else 0."""
    chosen: Floats
    """(R, C) Place of the answer among the options."""
    first: Floats
    """(R, C) Place of the option that is listed first; NaN where none is listed."""
    prior: Floats
    """(C, K) Mean log-probability of each option for rows without content; NaN where none was asked."""

    def rows(self, places: Sequence[int]) -> "OptionCells":
        """Those of some rows."""
        return OptionCells(
            columns=self.columns,
            prior=self.prior,
            **{name: getattr(self, name)[list(places)] for name in _BY_ROW},
        )

    @property
    def first_right(self) -> float | None:
        """Share of the questions of which the right option is listed first; None where none is listed."""
        return None if np.isnan(self.first).all() else float(np.nanmean(_at(self.right, self.first)))

    @property
    def measures(self) -> dict[str, Floats]:
        """(R, P) Values of each measure that the answers have."""
        log_probabilities = _log_softmax(self.scores)
        taken_off = {"batch": _log_mean(log_probabilities, axis=0), "content_free": self.prior}
        by_cell = {
            "form": np.exp(self.together),
            "written": self.written,
            "auc": self._placements(),
            **{name: self._accuracy(log_probabilities - prior) for name, prior in taken_off.items()},
            "first": np.where(np.isnan(self.first), np.nan, self.chosen == self.first),
        }
        values = {name: self._over_turns(cells) for name, cells in by_cell.items()}
        if any(turn for _, turn in self.columns):
            straight = [turn == 0 for _, turn in self.columns]
            plain = np.where(straight, self._accuracy(self.scores), np.nan)
            values |= {"class_order": self._over_turns(plain), "same_answer": self._alike()}
        return {name: values[name] for name in MEASURES if name in values and not np.isnan(values[name]).all()}

    def _placements(self) -> Floats:
        """(R, C) Values whose mean over rows is the area under the curve, mean over options."""
        present = ~np.isnan(self.scores)
        mask: NDArray[np.bool_] = np.any(present, axis=2)
        odds = _log_odds(self.scores)
        placements = np.full(mask.shape, np.nan)
        for column in range(mask.shape[1]):
            rows = np.flatnonzero(mask[:, column])
            options = [
                _linear_area(odds[rows, column, option], self.right[rows, column, option])
                for option in range(self.scores.shape[2])
                if present[rows, column, option].mean() >= _COMMON
            ]
            if areas := [area for area in options if area is not None]:
                placements[rows, column] = np.mean(areas, axis=0)
        return placements

    def _accuracy(self, scores: Floats) -> Floats:
        """(R, C) Whether the best option under some scores is right."""
        none = np.isnan(scores).all(axis=2)
        best = np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=2)
        return np.where(none, np.nan, _at(self.right, best.astype(np.float64)))

    def _over_turns(self, cells: Floats) -> Floats:
        """(R, P) Means over the turns of each template."""
        templates = sorted({template for template, _ in self.columns})
        return np.stack([_mean(cells[:, self._of(template)]) for template in templates], axis=1)

    def _alike(self) -> Floats:
        """(R, P) Whether the answer is the same option in all turns; NaN where a row has one turn."""
        templates = sorted({template for template, _ in self.columns})
        alike = []
        for template in templates:
            chosen = self.chosen[:, self._of(template)]
            counts = (~np.isnan(chosen)).sum(axis=1)
            low, high = (
                np.where(counts > 0, end(np.where(np.isnan(chosen), other, chosen), axis=1), np.nan)
                for end, other in ((np.min, np.inf), (np.max, -np.inf))
            )
            alike.append(np.where(counts > 1, low == high, np.nan))
        return np.stack(alike, axis=1)

    def _of(self, template: int) -> list[int]:
        return [place for place, (number, _) in enumerate(self.columns) if number == template]


_BY_ROW = ("scores", "right", "together", "written", "chosen", "first")


def option_cells(answers: AnswerArrays, places: _Integers, without_content: AnswerArrays) -> OptionCells | None:
    """A task's ranked answers by row, template and turn; None where it has none that say what they need.

    Args:
        answers: to its rows.
        places: which row of the result each is of, from 0.
        without_content: answers to rows without content.
    """
    if not len(answers) or answers.kind != "ranked" or np.isnan(answers.together[0]):
        return None
    keys, column = np.unique(_columns(answers), axis=0, return_inverse=True)
    columns, cells = tuple((int(template), int(turn)) for template, turn in keys), (places, column.reshape(-1))
    most = int(answers.counts.max())
    shape = (int(places.max()) + 1, len(columns))
    scores, right = np.full((*shape, most), np.nan), np.zeros((*shape, most), dtype=bool)
    scores[cells], right[cells] = answers.scores[:, :most], answers.gold[:, :most]
    flat = {}
    for name in ("together", "written", "chosen", "first"):
        flat[name] = np.full(shape, np.nan)
        flat[name][cells] = getattr(answers, name)
    return OptionCells(
        columns=columns, scores=scores, right=right, prior=_prior(without_content, columns, most), **flat
    )


def _prior(answers: AnswerArrays, columns: Sequence[tuple[int, int]], options: int) -> Floats:
    """(C, K) What the answers to rows without content say, in a column's own turn where it was asked in that one."""
    prior = np.full((len(columns), options), np.nan)
    for number, (template, turn) in enumerate(columns):
        own = answers.template == template
        if any(t for _, t in columns):
            own &= answers.turn == turn
        if own.any():
            values = answers.scores[own][:, : answers.counts[own].max()]
            prior[number, : values.shape[1]] = _log_mean(_log_softmax(values), axis=0)
    return prior


def _columns(answers: AnswerArrays) -> _Integers:
    """(N, 2) Template and turn of each."""
    return np.stack([answers.template, answers.turn], axis=1)


def _linear_area(odds: Floats, right: NDArray[np.bool_]) -> Floats | None:
    """(R,) Values whose mean is the area under the curve; None where all rows, or none, are right.

    Rows without the option have the area itself.
    """
    valid = ~np.isnan(odds)
    upper, lower = np.sort(odds[valid & right]), np.sort(odds[valid & ~right])
    if not len(upper) or not len(lower):
        return None
    above = _share_below(odds[valid & right], lower)
    below = 1 - _share_below(odds[valid & ~right], upper)
    area = float(above.mean())
    values = np.full(len(odds), area)
    values[valid & right] += (above - area) * len(odds) / len(upper)
    values[valid & ~right] += (below - area) * len(odds) / len(lower)
    return values


def _share_below(values: Floats, ordered: Floats) -> Floats:
    """Share of some ordered numbers that lie below each value; equal ones count half."""
    ends = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return np.asarray(sum(ends) / (2 * len(ordered)), dtype=np.float64)


def _log_odds(scores: Floats) -> Floats:
    """Of each option against all others of its row: log P(option) - log P(any other)."""
    odds = np.full(scores.shape, np.nan)
    for option in range(scores.shape[-1]):
        odds[..., option] = scores[..., option] - _log_sum(np.delete(scores, option, axis=-1))
    return odds


def _log_softmax(scores: Floats) -> Floats:
    return np.asarray(scores - _log_sum(scores)[..., None], dtype=np.float64)


def _log_sum(scores: Floats) -> Floats:
    """Logarithm of the sum of exponentials over the last axis, NaN left out; NaN where all are."""
    present = ~np.isnan(scores)
    largest = np.where(present, scores, -np.inf).max(axis=-1)
    finite = np.where(np.isfinite(largest), largest, 0.0)
    total = np.where(present, np.exp(np.where(present, scores, 0.0) - finite[..., None]), 0.0).sum(axis=-1)
    with np.errstate(divide="ignore"):
        return np.where(present.any(axis=-1), finite + np.log(total), np.nan)


def _log_mean(log_probabilities: Floats, axis: int) -> Floats:
    """Logarithm of mean probabilities, NaN left out."""
    moved = np.moveaxis(log_probabilities, axis, -1)
    with np.errstate(divide="ignore"):
        return np.asarray(_log_sum(moved) - np.log((~np.isnan(moved)).sum(axis=-1)), dtype=np.float64)


def _mean(cells: Floats) -> Floats:
    """Means over the last axis, NaN left out; NaN where all are."""
    count = (~np.isnan(cells)).sum(axis=-1)
    return np.where(count > 0, np.nansum(cells, axis=-1) / np.maximum(count, 1), np.nan)


def _at(right: NDArray[np.bool_], place: Floats) -> Floats:
    """(R, C) Whether the option at a place is right; NaN where there is no place."""
    valid = ~np.isnan(place)
    chosen = np.take_along_axis(right, np.where(valid, place, 0).astype(np.int64)[..., None], axis=2)[..., 0]
    return np.where(valid, chosen, np.nan)
