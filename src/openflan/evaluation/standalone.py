"""Any model on any tasks, without a recipe: a folder of answers and its `results.json`.

    <out>/eval-<model>-<hash>/   results.json, <task>.parquet for each task

The hash is of the model's content, its text format and the settings: one folder is one model under one protocol, and
tasks asked later join those asked before. Invariant: `results.json` is computed from the folder's files alone.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from openflan.evaluation.answering import Keep, Report, evaluate
from openflan.evaluation.identity import hash_of_model
from openflan.evaluation.matrix import read_matrix, task_matrices
from openflan.evaluation.protocol import Asked
from openflan.evaluation.scores import Score
from openflan.evaluation.task_results import TaskResult, task_results
from openflan.prompts.encoding import TextEncoder
from openflan.ranks import ALONE, Team
from openflan.recipes.parts import EvaluationPart
from openflan.stage import fingerprint_of, user_file_errors, write_atomically

__all__ = ["EVALUATION_SCHEMA", "EvaluationResults", "measure", "results_of"]

EVALUATION_SCHEMA = 1
"""Version of the schema; raised when a key changes its meaning or goes."""


class EvaluationResults(BaseModel):
    """`results.json` of one model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int
    kind: Literal["evaluation"] = "evaluation"
    model: str
    """As it was named."""
    model_hash: str
    """Of its weights and configuration."""
    format: str
    """Hash of the text format and tokenizer."""
    settings: dict[str, Any]
    """The evaluation's settings, as a recipe names them."""
    prompts: dict[str, Any]
    """The text format: how rows become prompts, as a recipe names it."""
    tasks: list[TaskResult]
    versions: dict[str, str]
    machine: dict[str, str]


def measure(
    model: Any,
    encoder: TextEncoder,
    tasks: Sequence[Asked],
    part: EvaluationPart,
    *,
    name: str,
    out: Path,
    report: Report,
    machine: Mapping[str, str],
    versions: Mapping[str, str],
    team: Team = ALONE,
) -> tuple[Path, EvaluationResults]:
    """Ask a model some tasks and account for all tasks in its folder.

    Args:
        name: how the user calls the model.
        out: folder that holds the folders of results.
        team: processes that call this together and share the work; the first writes.

    Raises:
        UserError: a task, the disk or a kept file is at fault.
    """
    content = hash_of_model(model)
    part = part.model_copy(update={"seen_rows": 0})  # which tasks a model was tuned on is not known here
    settings = part.counted("answers")
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", Path(name).name).strip("-.") or "model"
    asked = [content, encoder.fingerprint, encoder.part.counted("answers"), settings]
    folder = out / f"eval-{plain}-{fingerprint_of(asked)[:8]}"
    with user_file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        evaluate(model, encoder, tasks, part, report=report, keep=Keep(folder=folder, model=content), team=team)
        results = EvaluationResults(
            schema_version=EVALUATION_SCHEMA,
            model=name,
            model_hash=content,
            format=encoder.fingerprint,
            settings={**settings, "score": part.score},
            prompts=encoder.part.model_dump(mode="json"),
            tasks=team.told(lambda: results_of(folder, part.score, samples=part.bootstrap)),
            versions=dict(versions),
            machine=dict(machine),
        )
        if team.leads:
            write_atomically(folder / "results.json", results.model_dump_json(indent=1))
    return folder, results


def results_of(folder: Path, score: Score, *, samples: int = 1_000) -> list[TaskResult]:
    """The numbers of every task in a folder of answers, under any normalisation; needs no model.

    Raises:
        UserError: there are no answers, or a file is damaged.
    """
    matrices = task_matrices(read_matrix(folder, score=score))
    return task_results({"model": matrices}, dict.fromkeys(matrices, "asked"), samples=samples)
