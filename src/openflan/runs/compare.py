"""Two models side by side, or one model's answers decided anew: from stored answers, without a model.

    compare("runs/a-1a2b3c4d", "runs/b-5e6f7a8b").sentence
    compare("runs/a-1a2b3c4d/evaluation/untuned", "runs/a-1a2b3c4d")

Invariant: reads stored answers only. Cost: 60 ms a task at 200 rows and 10 templates.
"""

from pathlib import Path
from typing import Protocol

from openflan.evaluation.comparison import Comparison, compare_models
from openflan.evaluation.scores import Ends, Score, as_ends, as_score
from openflan.evaluation.task_results import TaskResult, task_results
from openflan.runs.sides import read_models

__all__ = ["Answers", "compare", "place_of", "rescore"]


class Answers(Protocol):
    """What answers can be read from: a `Run`, an `Evaluation`."""

    @property
    def folder(self) -> Path:
        """Where it is."""
        ...


def place_of(answers: str | Path | Answers) -> Path:
    """The folder that is meant."""
    return Path(answers) if isinstance(answers, str | Path) else answers.folder


def compare(
    a: str | Path | Answers, b: str | Path | Answers, *, score: Score = "sum", samples: int = 2_000
) -> Comparison:
    """Test on the same rows whether two models differ, task by task (paired; Holm's method over tasks).

    Args:
        a: a run or its folder (its tuned models, a seed each), one model's folder in it (`RUN/evaluation/untuned`), or
            what `evaluate` made.
        b: another one, compared with the first.
        score: decide ranked answers by this normalisation: `sum`, `mean_token`, `per_character`, `per_byte`, `pmi`.
        samples: bootstrap resamples, at least 100.

    Raises:
        UserError: there are no answers, a file is damaged, or the two have no task in common.
    """
    rule = as_score(score)
    left, right = place_of(a), place_of(b)
    models = read_models(left, rule), read_models(right, rule)
    return compare_models(*models, names=(str(left), str(right)), samples=samples)


def rescore(answers: str | Path | Answers, score: Score, *, ends: Ends = "as_tuned") -> list[TaskResult]:
    """Every task under every model of a folder, with ranked answers decided by another normalisation.

    Args:
        answers: as for `compare`; of a run, its untuned model too.
        score: as for `compare`.
        ends: whether the end of an answer counts where one option begins another: `as_tuned`, `always` or `never`.

    Raises:
        UserError: there are no answers, or a file is damaged.
    """
    models = read_models(place_of(answers), as_score(score), ends=as_ends(ends), untuned=True)
    return task_results(models, dict.fromkeys(next(iter(models.values())), "asked"))
