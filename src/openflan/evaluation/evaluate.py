"""Any model on any tasks, in one call: names resolved, prompts asked, answers kept.

    evaluate("starter", ["rte", "sentiment"], data="twins", settings={"evaluation.rows": 50}).table()

The answers lie in a folder that is named after model, text format and settings (evaluation/standalone.py), so the same
call takes what is there, and a killed one goes on with the next task.

Invariant: under torchrun every process calls this alike, shares the work and returns the same results.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from openflan.errors import UserError, strict_error
from openflan.evaluation.model import Model, open_model
from openflan.evaluation.protocol import ask_task
from openflan.evaluation.scores import Score
from openflan.evaluation.standalone import EvaluationResults, measure, place_of
from openflan.evaluation.tables import answers_table, results_table
from openflan.evaluation.task_results import TaskResult
from openflan.machine import machine_facts, version_facts
from openflan.prompts.task import folder_of_data
from openflan.ranks import Team
from openflan.recipes.parts import EvaluationPart
from openflan.recipes.settings import Settings, set_key, setting_pairs
from openflan.tasks.bbh import BBH, bbh_entry
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.spec import load_task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Evaluation", "evaluate"]

_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """One model's answers to some tasks."""

    folder: Path
    """Where they are: `results.json` and a Parquet file a task."""
    results: EvaluationResults
    """The account of all tasks in the folder, those of earlier calls too."""
    asked: tuple[str, ...]
    """Names of the tasks that this call asked."""

    @property
    def tasks(self) -> list[TaskResult]:
        """What the tasks of this call came to."""
        return [task for task in self.results.tasks if task.task in self.asked]

    def table(self) -> "pd.DataFrame":
        """A line a task of this call: score (0 to 1), 95 % interval, spread over templates, chance."""
        return results_table(self.tasks).droplevel("model")

    def answers(self, *, score: Score | None = None) -> "pd.DataFrame":
        """Every stored answer: prompt, answer, expected, value (0 to 1), options and their log-likelihoods (nats).

        Args:
            score: decide ranked answers by this normalisation, whatever they were decided by.

        Raises:
            UserError: a file is damaged or was removed.
        """
        return answers_table(self.folder, score=score)

    def __repr__(self) -> str:
        return f"Evaluation({self.results.model!r}, {len(self.asked)} tasks, {str(self.folder)!r})"


def evaluate(
    model: Model | str | Path,
    tasks: str | Iterable[str | Path | Entry],
    *,
    settings: Settings = (),
    folders: Iterable[str | Path] = (),
    data: str | Path | None = None,
    out: str | Path = "runs",
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Evaluation:
    """Measure a model under every template of some tasks.

    Args:
        model: a model, which is asked as `Model.rank` asks it, or what `Model` opens, which is asked without its chat
            template unless a setting (`prompts.chat`) or its own record says so.
        tasks: names of tasks or clusters, `bbh` (BIG-bench Hard), task files, or tasks themselves.
        settings: how to measure, as a recipe says it: `{"evaluation.rows": 50, "prompts.shots": 2}`; `prompts.…` only
            for a model that is named, for an opened one has its text format.
        folders: folders of task files of your own.
        data: a folder with `<task>/<split>.*` files that stand in for the hub, or `twins`.
        out: folder that holds the folder of answers.
        report: told how many of how many prompts are answered.

    Raises:
        UserError: a task, setting, model or the disk is at fault.
    """
    part, format_ = _parts(settings)
    if format_ and isinstance(model, Model):
        raise UserError("the model is open already", where="settings", how="give prompts.… to Model(…)")
    place = folder_of_data(data)
    entries = _entries([tasks] if isinstance(tasks, str) else list(tasks), [Path(folder) for folder in folders])
    team = Team.gathered()
    opened = model._opened if isinstance(model, Model) else open_model(str(model), changes=format_)
    name = model.name if isinstance(model, Model) else str(model)
    answers = place_of(opened.model, opened.encoder, part, name=name, out=Path(out))
    questions = [ask_task(entry, answers.encoder, part, limit=part.rows, data=place) for entry in entries]
    folder, results = measure(
        opened.model,
        answers,
        questions,
        part,
        name=name,
        report=report,
        machine=machine_facts(),
        versions=version_facts(),
        team=team,
    )
    return Evaluation(folder=folder, results=results, asked=tuple(entry.spec.name for entry in entries))


def _parts(settings: Settings) -> tuple[EvaluationPart, dict[str, Any]]:
    """What settings say of the evaluation, and of the text format."""
    by_part: dict[str, Any] = {"evaluation": {}, "prompts": {}}
    for key, value in setting_pairs(settings):
        if not key.startswith(("evaluation.", "prompts.")):
            how = "name an evaluation.… or prompts.… setting; the rest belongs to a recipe"
            raise UserError(f"'{key}' changes nothing here", where="settings", how=how)
        set_key(by_part, key, value)
    try:
        return EvaluationPart.model_validate_json(json.dumps(by_part["evaluation"])), by_part["prompts"]
    except ValidationError as error:
        raise strict_error(error, "evaluation", EvaluationPart) from None


def _entries(named: list[str | Path | Entry], folders: list[Path]) -> list[Entry]:
    """The tasks that names, files and tasks stand for: files first, then hard ones, then those of the catalog."""
    given = [one for one in named if isinstance(one, Entry)]
    words = [str(one) for one in named if not isinstance(one, Entry)]
    entries = given + [
        Entry(spec=load_task(path), path=path, collection="mine")
        for path in (Path(word) for word in words if word.endswith(_ENDINGS))
    ]
    hard = [word for word in words if word == "bbh" or word.startswith("bbh_")]
    entries += [
        bbh_entry(name) for word in hard for name in ([f"bbh_{kind}" for kind in BBH] if word == "bbh" else [word])
    ]
    existing = {entry.spec.name for entry in entries}
    names = [word for word in words if not word.endswith(_ENDINGS) and word not in hard]
    chosen = open_catalog(folders).select(names, where="tasks") if names else []
    return entries + [entry for entry in chosen if entry.spec.name not in existing]
