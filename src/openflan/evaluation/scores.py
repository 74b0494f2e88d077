"""How an option's log-likelihood becomes the score that it is ranked by.

    sum             log P(option | prompt): the paper's rule, with the options shown in the prompt
    mean_token      the sum over the option's tokens
    per_character   the sum over its characters
    per_byte        the sum over its UTF-8 bytes: the same for every tokenizer and script
    pmi             log P(option | prompt) - log P(option): what the prompt adds (Holtzman et al. 2021)

Where one option begins another ("1" and "10"), the longer one's event is a part of the shorter one's, which it can
never beat. There the end of an answer is scored after every option, where the model is known to write it: options
become answers that are that option and no more. The end is one event of the same size for every option, so it is
added whole, after the option's own tokens are normalised; for PMI it counts with and without the prompt.

Apart from which option is likeliest, `together` says whether the model answers by an option at all. Of options that
exclude each other it is the sum of their probabilities; where one begins another, the shorter one's holds the longer
one's, which is left out of the sum.

Invariant: all five come from the same stored log-likelihoods, so another one needs no model. The first of equal
options wins; `Ranking.tied` says that there were equals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from openflan.errors import UserError, did_you_mean

__all__ = ["SCORES", "Ends", "OptionScores", "Ranking", "Rule", "Score", "as_ends", "as_score"]

Score = Literal["sum", "mean_token", "per_character", "per_byte", "pmi"]

Ends = Literal["as_tuned", "always", "never"]
"""Whether the end of an answer is scored in rows where one option begins another."""

Rule = Literal["option", "option_and_end"]
"""What was scored in such a row."""

SCORES: tuple[Score, ...] = get_args(Score)


def as_score(word: str) -> Score:
    """The normalisation that a word names.

    Raises:
        UserError: there is none of that name.
    """
    for score in SCORES:
        if word == score:
            return score
    how = did_you_mean(word, SCORES) or f"one of {', '.join(SCORES)}"
    raise UserError(f"no score '{word}'", where="score", how=how)


def as_ends(word: str) -> Ends:
    """The way of counting the end of an answer that a word names.

    Raises:
        UserError: there is none of that name.
    """
    ways: tuple[Ends, ...] = get_args(Ends)
    for ends in ways:
        if word == ends:
            return ends
    raise UserError(f"no way '{word}'", where="ends", how=f"one of {', '.join(ways)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """The decision on one question."""

    best: int
    """The highest option; the first of equals."""
    tied: bool
    """Whether another option has the very same score."""
    margin: float
    """How far the best stands above the runner-up, in the score's own unit; 0 where tied."""
    per_nat: float
    """What one nat of either of the two is worth in that unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionScores:
    """Log-likelihoods of one question's options."""

    logprob: tuple[float, ...]
    """Sum over the option's tokens, in nats."""
    tokens: tuple[int, ...]
    """How many tokens each option has."""
    texts: tuple[str, ...]
    unconditional: tuple[float, ...] = ()
    """Log-likelihood of each option without the prompt; empty where it was not asked for."""
    nested: bool = False
    """Whether the tokens of one option begin those of another."""
    ends: tuple[float, ...] = ()
    """Log-likelihood of the end of an answer after each option; empty where it is not scored."""
    ends_alone: tuple[float, ...] = ()
    """The same without the prompt."""
    likeliest: tuple[bool, ...] = ()
    """Whether each of an option's tokens is the likeliest of all at its place, so that greedy writing begins so."""
    together: float = 0.0
    """Log-probability, in nats, that the answer begins with one of the options."""

    @property
    def written(self) -> int:
        """The option that greedy writing begins with, the longest of such; -1 where it begins with none."""
        places = [place for place, one in enumerate(self.likeliest) if one]
        return max(places, key=lambda place: self.tokens[place], default=-1)

    def normalised(self, score: Score) -> list[float]:
        """Scores to rank by.

        Raises:
            ValueError: PMI, and the options were never scored without the prompt.
        """
        if score == "pmi":
            values = [given - alone for given, alone in zip(self.logprob, self.unconditional, strict=True)]
            ends = [given - alone for given, alone in zip(self.ends, self.ends_alone, strict=True)]
        else:
            values = [value / size for value, size in zip(self.logprob, self._sizes(score), strict=True)]
            ends = list(self.ends)
        return [value + end for value, end in zip(values, ends, strict=True)] if ends else values

    def rank(self, score: Score) -> Ranking:
        """The decision under a score."""
        values = self.normalised(score)
        order = sorted(range(len(values)), key=lambda place: (-values[place], place))
        best, second = order[0], order[1] if len(order) > 1 else order[0]
        sizes = self._sizes(score)
        return Ranking(
            best=best,
            tied=len(order) > 1 and values[best] == values[second],
            margin=values[best] - values[second],
            per_nat=1.0 if self.ends else max(1 / sizes[best], 1 / sizes[second]),
        )

    def _sizes(self, score: Score) -> Sequence[int]:
        match score:
            case "sum" | "pmi":
                return [1] * len(self.tokens)
            case "mean_token":
                return [max(1, size) for size in self.tokens]
            case "per_character":
                return [max(1, len(text)) for text in self.texts]
            case "per_byte":
                return [max(1, len(text.encode())) for text in self.texts]
