"""One side of a comparison: a run's tuned models, one model of a run, or a folder of `openflan eval`.

    runs/NAME-HASH                      the tuned models, a seed each
    runs/NAME-HASH/evaluation/untuned   one model of a run
    runs/eval-MODEL-HASH                one model, measured without a recipe

Invariant: reads stored answers and accounts only. Rejected: naming sides by path on the page, which tells a reader of
another machine nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.evaluation.answer_files import read_matrix
from openflan.evaluation.answered import Answered
from openflan.evaluation.matrix import TaskMatrix, read_matrices, task_matrices
from openflan.evaluation.scores import Ends, Score
from openflan.runs.results import Results
from openflan.runs.stages import UNTUNED, RunPlaces

__all__ = ["Side", "places_of", "read_models", "read_side"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side, with all that it answered."""

    name: str
    answers: dict[str, list[Answered]]
    """By model: a seed each, or one."""
    results: Results | None
    """Account of the run it belongs to; None for a model that was measured without a recipe."""
    tuned: bool | None
    """Whether it is the run's tuned models; None where that is not known."""

    @property
    def matrices(self) -> dict[str, dict[str, TaskMatrix]]:
        """By model and task."""
        return {model: task_matrices(of_model) for model, of_model in self.answers.items()}

    @property
    def settings(self) -> Mapping[str, Any]:
        """The run's recipe; empty where there is none."""
        return self.results.recipe if self.results else {}

    def tuned_on(self, task: str) -> bool | None:
        """Whether the side was tuned on a task by this run; None where that is not known."""
        if self.results is None or self.tuned is None:
            return None
        return self.tuned and task in self.results.tuned_tasks


def places_of(folder: Path, *, untuned: bool = False) -> dict[str, Path]:
    """Where the answers of a side's models are, by model.

    Args:
        untuned: of a run, the untuned model too.

    Raises:
        UserError: there is no such folder, or nothing was evaluated in it yet.
    """
    if not folder.is_dir():
        raise UserError("no such folder", where=str(folder), how="check the path")
    run = RunPlaces(folder)
    if not run.is_run:
        return {"model": folder}
    names = [name for name in run.asked if untuned or name != UNTUNED]
    if not names:
        raise UserError("no tuned model was evaluated yet", where=str(folder), how="finish it with `openflan run`")
    return {name: run.answers(name) for name in names}


def read_models(
    folder: Path, score: Score, *, ends: Ends = "as_tuned", untuned: bool = False
) -> dict[str, dict[str, TaskMatrix]]:
    """Matrices by model and task of what a folder holds.

    Raises:
        UserError: as `places_of`, or the answers are missing or damaged.
    """
    return {
        name: read_matrices(place, score=score, ends=ends) for name, place in places_of(folder, untuned=untuned).items()
    }


def read_side(folder: Path, score: Score) -> Side:
    """A side with its answers and the account of its run.

    Raises:
        UserError: as `read_models`, or the account is of another version.
    """
    answers = {name: read_matrix(place, score=score) for name, place in places_of(folder).items()}
    whole = RunPlaces(folder.resolve())
    if whole.is_run:
        return Side(name=whole.folder.name, answers=answers, results=_results(whole), tuned=True)
    model = whole.folder.name
    if (run := RunPlaces(whole.folder.parents[1])).is_run:
        name = f"{run.folder.name} {model}"
        return Side(name=name, answers=answers, results=_results(run), tuned=model != UNTUNED)
    return Side(name=model, answers=answers, results=None, tuned=None)


def _results(run: RunPlaces) -> Results | None:
    return Results.read(run.folder) if run.results.is_file() else None
