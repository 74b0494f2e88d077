"""One answer of a model: a cell of the row × template × option matrix.

Invariant: an answer holds all that its value depends on, so another normalisation of ranked options or another
statistic is computed from it alone, years later and without the model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from openflan.evaluation.scores import OptionScores, Score
from openflan.prompts.render import BASELINE, TemplateId

__all__ = ["Answered", "of_test", "rescored"]


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
    split: str = "test"
    """`test`, or `validation` for the rows that only choose a template."""
    kind: str
    """`ranked` or `generated`."""
    metric: str
    value: float
    """The task's first metric, 0 to 1; accuracy of one answer is 0 or 1."""
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
        )


def rescored(answers: Iterable[Answered], score: Score, *, noise: float = 0.0) -> list[Answered]:
    """Ranked answers decided anew under another normalisation; generated ones as they are.

    Args:
        noise: how many nats a log-likelihood may be off (bfloat16).
    """
    return [answer if answer.kind != "ranked" else _decided(answer, score, noise) for answer in answers]


def of_test(answers: Sequence[Answered]) -> list[Answered]:
    """The answers that make the score: test rows under the task's own templates."""
    return [answer for answer in answers if answer.split == "test" and answer.template != BASELINE]


def _decided(answer: Answered, score: Score, noise: float) -> Answered:
    ranking = answer.option_scores.rank(score)
    return replace(
        answer,
        answer=answer.options[ranking.best],
        value=float(ranking.best in answer.gold),
        tied=ranking.tied,
        close=ranking.margin < noise * ranking.per_nat,
    )
