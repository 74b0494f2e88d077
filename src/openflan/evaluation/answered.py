"""One answer of a model: a cell of the row × template × option matrix.

Invariant: an answer holds all that its value depends on, so another normalisation of ranked options or another
statistic is computed from it alone, years later and without the model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from openflan.evaluation.scores import Ends, OptionScores, Rule, Score
from openflan.prompts.render import BASELINE, TemplateId

__all__ = ["Answered", "of_test", "rescored", "rule_of", "undecided_share"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """One cell of the row × template matrix."""

    task: str
    cluster: str
    row: int
    """Place in the source split."""
    row_hash: str = ""
    """Hash of the row's content: the same row has it in every file and order."""
    template: TemplateId
    """Its number, or the task's baseline, a text to continue."""
    turn: int = 0
    """By how many places the prompt lists its options turned from class order (`evaluation.option_order: rotated`)."""
    listed: tuple[int, ...] = ()
    """The options in the order in which the prompt lists them, by their places in `options`; empty where it lists
    none."""
    split: str = "test"
    """`test`; `validation` for the rows that only choose a template; `content_free` for rows without content, which
    only tell what a model says whatever the row."""
    kind: str
    """`ranked` or `generated`."""
    metric: str
    value: float
    """The task's first metric, 0 to 1; accuracy of one answer is 0 or 1."""
    score: Score = "sum"
    """How the options' log-likelihoods were normalised, where they are ranked."""
    prompt: str
    """What the model read."""
    prompt_hash: str = ""
    cut: bool = False
    """Whether the prompt was too long for the model and lost a part."""
    answer: str
    """What the model chose or wrote."""
    expected: str
    options: tuple[str, ...]
    gold: tuple[int, ...] = ()
    """Places of the options that count as right."""
    scores: tuple[float, ...]
    """Log-likelihood of each option, in nats."""
    option_tokens: tuple[int, ...] = ()
    unconditional: tuple[float, ...] = ()
    """Log-likelihood of each option without the prompt."""
    ends: tuple[float, ...] = ()
    """Log-likelihood of the end of an answer after each option, where one of the options begins another."""
    ends_alone: tuple[float, ...] = ()
    """The same without the prompt."""
    together: float | None = None
    """Log-probability, in nats, that the answer begins with one of the options; None where it is generated."""
    written: int | None = None
    """The option that greedy writing begins with, -1 where it begins with none; None where the answer is generated."""
    rule: Rule | None = None
    """Whether the ends count; None where no option begins another."""
    value_with_end: float | None = None
    """What the value is if the ends count; None where they were not scored."""
    tied: bool = False
    """Whether another option scored the same as the answer."""
    close: bool = False
    """Whether the answer was decided by less than the noise of the arithmetic (bfloat16)."""
    further: tuple[str, ...]
    """Names of the task's further metrics, in its order."""
    others: tuple[float, ...]
    """This answer under the further metrics, where it is generated; ranked ones have metrics of many answers."""
    group: str
    """What the rows of one question share; empty where a row stands alone."""
    dirty: bool | None = None
    """Whether the model's tuning set holds the row; None where that is not known."""

    @property
    def option_scores(self) -> OptionScores:
        """The options' log-likelihoods."""
        return OptionScores(
            logprob=self.scores,
            tokens=self.option_tokens,
            texts=self.options,
            unconditional=self.unconditional,
            nested=self.rule is not None,
            ends=self.ends if self.rule == "option_and_end" else (),
            ends_alone=self.ends_alone if self.rule == "option_and_end" else (),
        )


def rescored(
    answers: Iterable[Answered], score: Score, *, noise: float = 0.0, ends: Ends = "as_tuned"
) -> list[Answered]:
    """Ranked answers decided anew under another normalisation or rule; generated ones as they are.

    Args:
        noise: how many nats a log-likelihood may be off (bfloat16).
        ends: whether the end of an answer counts where one option begins another; `as_tuned` is as it was decided.
    """
    return [answer if answer.kind != "ranked" else _decided(answer, score, noise, ends) for answer in answers]


def rule_of(*, nested: bool, scored: bool, known: bool, ends: Ends) -> Rule | None:
    """What is scored in a row.

    Args:
        nested: one of its options begins another.
        scored: the end of an answer was scored after each.
        known: the model is known to write that end.
    """
    if not nested:
        return None
    return "option_and_end" if scored and (ends == "always" or (ends == "as_tuned" and known)) else "option"


def undecided_share(answers: Iterable[Answered]) -> float:
    """Share of ranked answers to options of which one begins another, decided by the options alone: there the longer
    one's sum can't exceed the shorter one's."""
    ranked = [answer for answer in answers if answer.kind == "ranked"]
    return sum(answer.rule == "option" for answer in ranked) / len(ranked) if ranked else 0.0


def of_test(answers: Sequence[Answered]) -> list[Answered]:
    """The answers that make the score: test rows under the task's own templates."""
    return [answer for answer in answers if answer.split == "test" and answer.template != BASELINE]


def _decided(answer: Answered, score: Score, noise: float, ends: Ends) -> Answered:
    known = answer.rule == "option_and_end"
    rule = rule_of(nested=answer.rule is not None, scored=answer.ends != (), known=known, ends=ends)
    if (rule, score) != (answer.rule, answer.score):
        answer = replace(answer, rule=rule, score=score)
    ranking = answer.option_scores.rank(score)
    ended = replace(answer, rule="option_and_end").option_scores.rank(score) if answer.ends else None
    fields: dict[str, Any] = {
        "value_with_end": None if ended is None else float(ended.best in answer.gold),
        "answer": answer.options[ranking.best],
        "value": float(ranking.best in answer.gold),
        "tied": ranking.tied,
        "close": ranking.margin < noise * ranking.per_nat,
    }
    alike = all(getattr(answer, name) == value for name, value in fields.items())
    return answer if alike else replace(answer, **fields)  # a copy of so many fields takes longer than all else here
