"""The part of a recipe that says what is tuned on, and how often each task is drawn (section 2.1 of the paper).

Invariant: as for the other parts (recipes/parts.py). Rejected: a rate a task, which tells nothing of one that is added.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from openflan.recipes.counting import MIXTURE, PROMPTS
from openflan.recipes.part import Part

__all__ = ["MixingRule", "MixtureGroup", "MixturePart"]


class MixingRule(Part):
    """How some tasks divide the draws among them (openflan.mixture.rates)."""

    rule: Annotated[Literal["proportional", "equal"], MIXTURE] = "proportional"
    """`proportional`: in proportion to min(rows, maximum) ** (1 / temperature); `equal`: all tasks alike."""
    maximum: Annotated[int, MIXTURE] = Field(default=3_000, ge=1)
    """Rows beyond this add nothing to a task's rate."""
    temperature: Annotated[float, MIXTURE] = Field(default=1.0, ge=0.1, allow_inf_nan=False)
    """Above 1, small tasks are drawn more often than their size says; 1 is the paper's rule."""
    weights: Annotated[dict[str, Annotated[float, Field(gt=0, le=1)]], MIXTURE] = {}
    """Fixed shares, by task or by cluster as a whole; the other tasks divide what is left by the rule."""

    @model_validator(mode="after")
    def _no_dead_setting(self) -> Self:
        if self.rule == "equal" and (self.temperature, self.maximum) != (1.0, 3_000):
            raise ValueError("rule: equal does not look at sizes; leave out temperature and maximum")
        return self


class MixtureGroup(MixingRule):
    """Tasks that together have a fixed share of the mixture, with a rule of their own."""

    use: Annotated[tuple[str, ...], MIXTURE] = Field(min_length=1)
    """Names of tasks, datasets, clusters, collections or folders; no task may be in two groups."""
    share: Annotated[float, MIXTURE] = Field(gt=0, le=1)


class MixturePart(MixingRule):
    """How often each task is drawn (section 2.1 of the paper)."""

    groups: Annotated[dict[str, MixtureGroup], MIXTURE] = {}
    """Named groups of tasks; what they leave goes to the tasks of no group, by the rule above."""
    rows_per_task: Annotated[int, MIXTURE] = Field(default=30_000, ge=1)
    """At most this many training rows a task are used."""
    rows_of: Annotated[dict[str, Annotated[int, Field(ge=1)]], MIXTURE] = {}
    """Other limits than `rows_per_task`, by task, dataset, cluster, collection or folder (`{mine: 100}`): the first
    rows, so that fewer are a part of more."""
    templates_per_task: Annotated[int | None, MIXTURE] = Field(default=None, ge=1)
    """Tuning prompts take so many of a task's templates, the first that fit a row, so that fewer are a part of more;
    all if None. Questions are asked under all of theirs (`evaluation.templates`)."""
    tasks_per_cluster: Annotated[int | None, MIXTURE] = Field(default=None, ge=1)
    """So many tasks of a cluster are tuned on, the first by name; all if None."""
    leakage: Annotated[Literal["rows", "strict", "warn"], MIXTURE] = "rows"
    """What happens to training rows whose text stands in a held-out task: `rows` drops them, `strict` drops their
    whole task, `warn` keeps them and says so in the certificate."""
    overlap: Annotated[Literal["ngram", "near_duplicates"], MIXTURE] = "ngram"
    """What is the same text: 13 words in a row (of scripts without blanks, as many characters as say the same), or
    what is nearly the same besides, by `similarity`."""
    similarity: Annotated[float, MIXTURE] = Field(default=0.7, gt=0, le=1)
    """With `near_duplicates`: from which share of common word pairs on two texts are nearly the same."""
    faulty_rows: Annotated[Literal["fail", "skip"], PROMPTS] = "fail"
    """What happens where a row, tuned or measured on, breaks its task's contract or can't be rendered: stop and name
    it, or leave it out and count it."""

    def most_rows(self, called: Sequence[str]) -> int:
        """So many training rows of a task are used at most.

        Args:
            called: what a recipe may call the task by, its own name first.
        """
        return next((self.rows_of[word] for word in called if word in self.rows_of), self.rows_per_task)
