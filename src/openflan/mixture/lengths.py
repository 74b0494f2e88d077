"""Prompt lengths that are known before a prompt is made.

`lengths.json` (made by benchmarks/measure_lengths.py) holds, for each task of the catalog, the lengths of its inputs
and targets in UTF-8 bytes as a curve of quantiles and a mean, and how many bytes a token of the reference tokenizer
takes in them. Another tokenizer is another number of bytes a token. From a curve follow the mean after truncation and
the share of prompts that are cut.

    bytes of an input ÷ bytes a token = tokens ─► style (few-shot: solved examples before it) ─► cut at the limit

Invariant: pure arithmetic over the file; a task that it lacks gets the median of its cluster and is marked a guess.
Cost: 2 ms to read, 40 KB. Rejected: one mean a task, from which no truncation follows; token counts of one tokenizer.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from statistics import median
from typing import Literal

from openflan.recipes.parts import PromptsPart

__all__ = [
    "ZERO_SHOT",
    "BytesPerToken",
    "KnownLengths",
    "LengthCurve",
    "Lengths",
    "PromptStyle",
    "TokenLengths",
    "fit",
    "known_lengths",
    "styles_of",
]

Origin = Literal["rows", "stand-in", "twin", "guess"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LengthCurve:
    """How long some texts are: lengths at ranks between 0 and 1, straight lines between them, and the mean."""

    ranks: tuple[float, ...]
    values: tuple[float, ...]
    mean: float

    @classmethod
    def of(cls, lengths: Iterable[float]) -> "LengthCurve":
        """The curve of counted lengths."""
        values = sorted(lengths)
        if len(values) == 1:
            values *= 2
        last = len(values) - 1
        ranks = tuple(number / last for number in range(len(values)))
        return cls(ranks=ranks, values=tuple(values), mean=sum(values) / len(values))

    def changed(self, change: Callable[[float], float]) -> "LengthCurve":
        """The curve of the lengths after a change that keeps their order."""
        values = tuple(change(value) for value in self.values)
        return LengthCurve(ranks=self.ranks, values=values, mean=change(self.mean))

    def within(self, limit: float) -> float:
        """Mean length when longer texts are cut at a limit."""
        if self.values[-1] <= limit:
            return self.mean
        # straight lines lie above the few longest texts, so that their mean is too large rather than too small
        return min(self.mean, self._under(limit))

    def _under(self, limit: float) -> float:
        """Mean of the lines, cut at a limit."""
        area = 0.0
        for rank, after, low, high in zip(self.ranks, self.ranks[1:], self.values, self.values[1:], strict=False):
            if high <= limit:
                area += (after - rank) * (low + high) / 2
            elif low >= limit:
                area += (after - rank) * limit
            else:
                part = (limit - low) / (high - low)
                area += (after - rank) * (part * (low + limit) / 2 + (1 - part) * limit)
        return area

    def over(self, limit: float) -> float:
        """Share of the texts that are longer than a limit."""
        if self.values[-1] <= limit:
            return 0.0
        if self.values[0] > limit:
            return 1.0
        place = bisect_right(self.values, limit)
        low, high = self.values[place - 1], self.values[place]
        return 1 - (self.ranks[place - 1] + (limit - low) / (high - low) * (self.ranks[place] - self.ranks[place - 1]))


@dataclass(frozen=True, kw_only=True, slots=True)
class BytesPerToken:
    """What a tokenizer makes of a task's texts."""

    input: float
    target: float


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownLengths:
    """A task's prompts in bytes."""

    input: LengthCurve
    target: LengthCurve
    reference: BytesPerToken
    """The reference tokenizer's."""
    options: float
    """Of the inputs' mean, what the options blocks take."""
    origin: Origin
    """The task's own rows, rows that read alike, its stretched twin, or the median of its cluster."""

    def tokens(self, rate: BytesPerToken | None = None) -> "Lengths":
        """The same in tokens of a tokenizer, by default of the reference."""
        rate = rate or self.reference
        return Lengths(
            input=self.input.changed(lambda size: size / rate.input),
            target=self.target.changed(lambda size: size / rate.target),
            options=self.options / rate.input,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """A task's prompts in tokens, before anything is cut."""

    input: LengthCurve
    target: LengthCurve
    options: float = 0.0
    """Of the inputs' mean, what the options blocks take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptStyle:
    """A way to write prompts, as far as their length goes."""

    share: float = 1.0
    """Of the prompts."""
    exemplars: int = 0
    """Solved examples before the question, at most."""
    options: Literal["shown", "hidden"] = "shown"


ZERO_SHOT: tuple[PromptStyle, ...] = (PromptStyle(),)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLengths:
    """What of a task's prompts is trained on: mean tokens after truncation, and how many are cut."""

    input: float
    target: float
    cut: float
    """Share of the prompts whose input or target is too long."""

    @property
    def total(self) -> float:
        """Mean tokens of a prompt."""
        return self.input + self.target


def styles_of(part: PromptsPart) -> Sequence[PromptStyle]:
    """The styles that a recipe mixes, as far as length goes.

    The ablation forms and drawn markers are taken to be as long as plain prompts.
    """
    weights = [style.weight for style in part.styles] or [1.0]
    return [
        PromptStyle(share=weight / len(style.all_shots), exemplars=shots, options=style.options)
        for style, weight in zip(part.tuning_styles, weights, strict=True)
        for shots in style.all_shots
    ]


def fit(lengths: Lengths, part: PromptsPart, styles: Sequence[PromptStyle] | None = None) -> TokenLengths:
    """Prompts in their styles, with the tokens between and after them, cut at the recipe's limits.

    Args:
        styles: other styles than the recipe's.
    """
    styles = styles_of(part) if styles is None else styles
    whole = sum(style.share for style in styles)
    joint = 1.0 if part.separator else 0.0  # a separator is one token of nearly every tokenizer
    target = lengths.target.changed(lambda size: size + 1)  # the end-of-text token
    curves = [(style.share / whole, _in_style(lengths, style, part, joint)) for style in styles]
    cut_target = target.over(part.max_target_tokens)
    return TokenLengths(
        input=sum(share * curve.within(part.max_input_tokens) for share, curve in curves),
        target=target.within(part.max_target_tokens),
        # long inputs and long targets are those of different templates, for only one of them holds the passage
        cut=min(1.0, cut_target + sum(share * curve.over(part.max_input_tokens) for share, curve in curves)),
    )


def _in_style(lengths: Lengths, style: PromptStyle, part: PromptsPart, joint: float) -> LengthCurve:
    """Inputs with as many mean examples before them as fit the room that examples may fill.

    With 960 tokens of room, a question of 100 and examples of 90, nine of sixteen wanted examples are kept.
    """
    hidden = lengths.options if style.options == "hidden" else 0.0
    question = lengths.input.changed(lambda size: max(1.0, size - hidden))
    if style.exemplars == 0:
        return question.changed(lambda size: size + joint)
    example = question.mean + lengths.target.mean + 2 * joint

    def with_examples(size: float) -> float:
        room = part.exemplar_budget - size
        return size + joint + example * min(style.exemplars, max(0, int(room / example)))

    grown = LengthCurve(ranks=question.ranks, values=tuple(sorted(map(with_examples, question.values))), mean=0.0)
    return replace(grown, mean=grown._under(math.inf))


def known_lengths(name: str, cluster: Sequence[str]) -> KnownLengths:
    """The lengths that the file has of a task, or the median of those of its cluster, of all tasks where it has none.

    Args:
        cluster: names of the tasks of its cluster.
    """
    table = _table()
    if name in table:
        return table[name]
    alike = [table[other] for other in cluster if other in table] or list(table.values())
    return KnownLengths(
        input=_middle([one.input for one in alike]),
        target=_middle([one.target for one in alike]),
        reference=BytesPerToken(
            input=median(one.reference.input for one in alike), target=median(one.reference.target for one in alike)
        ),
        options=0.0,
        origin="guess",
    )


def _middle(curves: Sequence[LengthCurve]) -> LengthCurve:
    values = zip(*(curve.values for curve in curves), strict=True)
    return LengthCurve(
        ranks=curves[0].ranks, values=tuple(map(median, values)), mean=median(curve.mean for curve in curves)
    )


@cache
def _table() -> Mapping[str, KnownLengths]:
    text = files("openflan.mixture").joinpath("lengths.json").read_text("utf-8")
    record = json.loads(text)
    ranks = tuple(record["grid"])
    return {
        name: KnownLengths(
            **{
                part: LengthCurve(ranks=ranks, values=tuple(task[part]["bytes"]), mean=task[part]["mean"])
                for part in ("input", "target")
            },
            reference=BytesPerToken(input=task["input"]["bytes_per_token"], target=task["target"]["bytes_per_token"]),
            options=task["options_bytes"],
            origin=task["from"],
        )
        for name, task in record["tasks"].items()
    }
