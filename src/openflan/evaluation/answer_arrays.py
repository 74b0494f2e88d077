"""One task's answers as arrays, decided by a score: what matrices and measures are computed from.

Prompts and what models wrote are most of a stored answer and no number is made of them, so none of them becomes a
Python object here: a file is read by its columns, and all its answers are decided at once.

Legend: N answers, K options of the answer that has most. Invariant: decisions are those of `answered.rescored`, bit
for bit. Cost: 4 ms a file of 600 answers, a tenth of one record an answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from openflan.errors import UserError
from openflan.evaluation.arrow_numbers import list_numbers, numbers, places_in_lists
from openflan.evaluation.scores import Ends, Rule, Score

__all__ = ["ARRAY_COLUMNS", "BASELINE_NUMBER", "AnswerArrays"]

_Floats = NDArray[np.float64]
_Integers = NDArray[np.int64]
_Truths = NDArray[np.bool_]

BASELINE_NUMBER = -1
"""Stands for the task's baseline where templates are numbers."""

_RULES: tuple[Rule, ...] = ("option", "option_and_end")
_TEXTS = ("task", "cluster", "kind", "metric")
ARRAY_COLUMNS = (
    *_TEXTS, "row", "row_hash", "template", "turn", "listed", "split", "value", "score", "cut", "answer", "expected",
    "options", "gold", "scores", "option_tokens", "unconditional", "ends", "ends_alone", "together", "written", "rule",
    "value_with_end", "tied", "close", "further", "others", "group",
)  # fmt: skip
"""Fields of `Answered` that are needed: all but prompts and hashes of them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Options:
    """What the options of ranked answers were scored with; (N, K) each, NaN where an answer has fewer."""

    logprob: _Floats
    tokens: _Floats
    characters: _Floats
    bytes: _Floats
    unconditional: _Floats
    ends: _Floats
    ends_alone: _Floats

    def normalised(self, score: Score, ended: _Truths) -> _Floats:
        """Scores to rank by.

        Args:
            ended: (N,) where the end of an answer counts.
        """
        values = self.logprob - self.unconditional if score == "pmi" else self.logprob / self._sizes(score)
        ends = self.ends - self.ends_alone if score == "pmi" else self.ends
        return np.where(ended[:, None] & ~np.isnan(ends), values + ends, values)

    def _sizes(self, score: Score) -> _Floats:
        match score:
            case "mean_token":
                sizes = self.tokens
            case "per_character":
                sizes = self.characters
            case "per_byte":
                sizes = self.bytes
            case _:
                return np.ones((1, 1))
        return np.maximum(1.0, sizes)

    def per_nat(self, score: Score, places: Sequence[_Integers]) -> _Floats:
        """(N,) What one nat of one of some options is worth in the score's own unit, the most."""
        sizes = np.broadcast_to(self._sizes(score), self.logprob.shape)
        worth: _Floats = np.max([1 / sizes[np.arange(len(sizes)), place] for place in places], axis=0)
        return worth


@dataclass(frozen=True, kw_only=True, eq=False)
class AnswerArrays:
    """Answers to one task."""

    task: str
    cluster: str
    kind: str
    metric: str
    further: tuple[str, ...]
    """Names of the task's further metrics."""
    words: NDArray[np.object_]
    """Every different option."""
    row: _Integers
    row_hash: NDArray[np.object_]
    group: NDArray[np.object_]
    expected: NDArray[np.object_]
    template: _Integers
    """`BASELINE_NUMBER` is the baseline."""
    turn: _Integers
    split: NDArray[np.object_]
    value: _Floats
    with_end: _Floats
    """What the value is if the ends count; NaN where they were not scored."""
    cut: _Truths
    tied: _Truths
    close: _Truths
    rule: _Integers
    """Place of the rule among `option` and `option_and_end`; -1 where no option begins another."""
    counts: _Integers
    """How many options each has."""
    options: _Integers
    """(N, K) Each option's place in `words`; -1 where an answer has fewer."""
    right: _Integers
    """Place of the right answer among the options; -1 where there is none."""
    chosen: _Integers
    """Place of the model's answer among the options; -1 where it was written."""
    gold: _Truths
    """(N, K) Which options count as right."""
    scores: _Floats
    """(N, K) What they were ranked by; NaN where an answer has fewer."""
    first: _Floats
    """Place of the option that is listed first; NaN where none is listed."""
    together: _Floats
    """NaN where it is not known."""
    written: _Truths
    """Whether greedy writing begins with an option."""
    others: _Floats
    """(N, metrics) Written answers under the further metrics."""

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def of(cls, table: Any, *, score: Score | None = None, ends: Ends = "as_tuned", noise: float = 0.0) -> Self:
        """The answers of a table with the columns `ARRAY_COLUMNS`.

        Args:
            table: a pyarrow table of one task's answers, at least one.
            score: decide ranked answers by this normalisation; None: as they were decided.
            ends: and count the end of an answer so, where a score is given.
            noise: how many nats a log-likelihood may be off.

        Raises:
            UserError: the options were never scored without the prompt, and the score is PMI.
            KeyError: a right answer is none of the options.
        """
        columns = _Columns(table)
        arrays = columns.as_decided(cls)
        if arrays.kind != "ranked":
            return arrays
        options = columns.options()
        scores = columns.texts("score") if score is None else np.array([score])
        if "pmi" in scores and (np.isnan(options.unconditional) & ~np.isnan(options.logprob)).any():
            how = "measure again, or take another score"
            raise UserError(
                "the options were not scored without the prompt", where=f"{arrays.task}, score pmi", how=how
            )
        if score is not None:
            return arrays._decided(options, score, ends, noise)
        own = arrays.scores.copy()
        for word in {*scores}:
            own[scores == word] = options.normalised(word, arrays.rule == 1)[scores == word]
        return replace(arrays, scores=own)

    def where(self, mask: _Truths) -> Self:
        """Some of the answers."""
        each = [name for name in self.__dataclass_fields__ if name not in _ALIKE]
        return replace(self, **{name: getattr(self, name)[mask] for name in each})

    def words_of(self, place: int) -> tuple[str, ...]:
        """The options of an answer."""
        return tuple(self.words[self.options[place, : self.counts[place]]])

    @property
    def templates(self) -> list[int]:
        """The templates that the answers are under, in order, without the baseline."""
        return [int(number) for number in np.unique(self.template) if number != BASELINE_NUMBER]

    @property
    def rules(self) -> list[Rule]:
        """Of the answers to options of which one begins another, what was scored."""
        return [_RULES[place] for place in self.rule if place >= 0]

    def _decided(self, options: _Options, score: Score, ends: Ends, noise: float) -> Self:
        scored: _Truths = np.any(~np.isnan(options.ends), axis=1)
        count = (ends == "always") | ((ends == "as_tuned") & (self.rule == 1))
        rule = np.where(self.rule < 0, -1, (scored & count).astype(np.int64))
        each = np.arange(len(self))
        scores = options.normalised(score, rule == 1)
        best, second = _best_two(scores)
        ended, _ = _best_two(options.normalised(score, scored))
        per_nat = np.where(rule == 1, 1.0, options.per_nat(score, (best, second)))
        return replace(
            self,
            rule=rule,
            scores=scores,
            chosen=_first_of(self.options, self.options[each, best]),
            value=self.gold[each, best].astype(np.float64),
            with_end=np.where(scored, self.gold[each, ended], np.nan),
            tied=(self.counts > 1) & (scores[each, best] == scores[each, second]),
            close=scores[each, best] - scores[each, second] < noise * per_nat,
        )


_ALIKE = {*_TEXTS, "further", "words"}
"""What all answers have in common."""


def _best_two(scores: _Floats) -> tuple[_Integers, _Integers]:
    """(N,) Places of the highest option and of the next, the first of equals; the same twice where there is one."""
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    best = ranked.argmax(axis=1)
    ranked[np.arange(len(best)), best] = -np.inf
    several = (~np.isnan(scores)).sum(axis=1) > 1
    return best, np.where(several, ranked.argmax(axis=1), best)


def _first_of(options: _Integers, wanted: NDArray[Any]) -> _Integers:
    """(N,) The first place at which an answer's options have a word; -1 where none has (NaN never)."""
    same = options == wanted[:, None]
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)


_AnyArrays = TypeVar("_AnyArrays", bound=AnswerArrays)


class _Columns:
    """A table's columns as arrays."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def plain(self, name: str) -> NDArray[Any]:
        """A column of one number an answer; NaN where there is none."""
        return numbers(self._table[name])

    def texts(self, name: str) -> NDArray[np.object_]:
        """A column of one text an answer."""
        return np.array(self._table[name].to_pylist(), dtype=object)

    def lists(self, name: str) -> _Floats:
        """(N, longest) A column of lists of numbers; NaN where a list is shorter."""
        return list_numbers(self._table[name])

    def options(self) -> _Options:
        import pyarrow.compute as pc

        flat, inside = places_in_lists(self._table["options"])

        def wide(values: Any) -> _Floats:
            full = np.full(inside.shape, np.nan)
            full[inside] = numbers(values)
            return full

        def given(name: str) -> _Floats:
            """Of the lists that not every answer has."""
            values = self.lists(name)
            return np.pad(values, ((0, 0), (0, inside.shape[1] - values.shape[1])), constant_values=np.nan)

        return _Options(
            logprob=given("scores"),
            tokens=given("option_tokens"),
            characters=wide(pc.utf8_length(flat)),
            bytes=wide(pc.binary_length(flat)),
            **{name: given(name) for name in ("unconditional", "ends", "ends_alone")},
        )

    def as_decided(self, kind: type[_AnyArrays]) -> _AnyArrays:
        """The answers as they were decided, without the scores."""
        import pyarrow.compute as pc

        flat, inside = places_in_lists(self._table["options"])
        codes = flat.dictionary_encode()
        options = np.full(inside.shape, -1)
        options[inside] = numbers(codes.indices)

        def place(name: str) -> _Integers:
            """Where an answer's options have a text; -1 where it is none of them."""
            return _first_of(options, numbers(pc.index_in(self._table[name], value_set=codes.dictionary)))

        right, split = place("expected"), self.texts("split")
        if ((right < 0) & inside.any(axis=1) & (split != "content_free")).any():
            raise KeyError("a right answer that is none of the options")
        gold, marked = self.lists("gold"), np.zeros(options.shape, dtype=bool)
        there = gold < inside.shape[1]  # so not where it is none
        marked[np.nonzero(there)[0], gold[there].astype(np.int64)] = True
        as_they_are: dict[str, Any] = {
            **{name: self._table[name][0].as_py() for name in _TEXTS},
            **{name: self.plain(name) for name in ("row", "turn", "value", "cut", "tied", "close", "together")},
            **{name: self.texts(name) for name in ("row_hash", "group", "expected")},
        }
        return kind(
            **as_they_are,
            further=tuple(self._table["further"][0].as_py()),
            words=np.array(codes.dictionary.to_pylist(), dtype=object),
            split=split,
            template=np.nan_to_num(self.plain("template"), nan=BASELINE_NUMBER).astype(np.int64),
            with_end=self.plain("value_with_end"),
            rule=np.array([-1 if rule is None else _RULES.index(rule) for rule in self.texts("rule")]),
            counts=inside.sum(axis=1),
            options=options,
            right=right,
            chosen=place("answer"),
            gold=marked,
            scores=np.full(options.shape, np.nan),
            first=self.lists("listed")[:, 0],
            written=self.plain("written").astype(np.float64) >= 0,
            others=self.lists("others"),
        )
