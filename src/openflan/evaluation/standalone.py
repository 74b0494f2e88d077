"""Any model on any tasks, without a recipe: a folder of answers and its `results.json`.

    <out>/eval-<model>-<hash>/   results.json, openflan.json (the text format), <task>.parquet for each task

The hash is of the model's content, its text format and the settings: one folder is one model under one protocol, and
tasks asked later join those asked before. Invariant: `results.json` is computed from the folder's files alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from openflan.evaluation.answering import Keep, evaluate
from openflan.evaluation.identity import hash_of_model
from openflan.evaluation.matrix import read_matrices
from openflan.evaluation.protocol import Asked
from openflan.evaluation.scores import Ends, Score
from openflan.evaluation.task_results import TaskResult, task_results
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.text_format import read_text_format, write_text_format
from openflan.ranks import ALONE, Team
from openflan.recipes.parts import EvaluationPart
from openflan.records import Record
from openflan.stage import ReportDone, fingerprint_of, user_file_errors, write_atomically

__all__ = ["EVALUATION_SCHEMA", "AnswersPlace", "EvaluationResults", "measure", "place_of", "results_of"]

EVALUATION_SCHEMA = 1
"""Version of the schema; raised when a key changes its meaning or goes."""


class EvaluationResults(Record):
    """`results.json` of one model."""

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

    def __repr__(self) -> str:
        return f"EvaluationResults({self.model!r}, {len(self.tasks)} tasks)"


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswersPlace:
    """Where a model's answers under some settings lie, and the text format that they are given in."""

    folder: Path
    model_hash: str
    encoder: TextEncoder
    """In the format that the folder's first answers were given in."""


def place_of(model: Any, encoder: TextEncoder, part: EvaluationPart, *, name: str, out: Path) -> AnswersPlace:
    """The folder of a model's answers; its text format is the one that is kept there, on whatever day it was made.

    Args:
        name: how the user calls the model.
        out: folder that holds the folders of results.

    Raises:
        UserError: the record of the text format there is damaged.
    """
    content = hash_of_model(model)
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", Path(name).name).strip("-.") or "model"
    identity = [content, encoder.source, encoder.part.counted("answers"), _settings(part)]
    folder = out / f"eval-{plain}-{fingerprint_of(identity)[:8]}"
    record = read_text_format(folder)
    if record is not None and record.frame is not None and record.frame != encoder.frame:
        encoder = encoder.changed(frame=record.frame)
    return AnswersPlace(folder=folder, model_hash=content, encoder=encoder)


def measure(
    model: Any,
    place: AnswersPlace,
    tasks: Sequence[Asked],
    part: EvaluationPart,
    *,
    name: str,
    report: ReportDone,
    machine: Mapping[str, str],
    versions: Mapping[str, str],
    team: Team = ALONE,
) -> tuple[Path, EvaluationResults]:
    """Ask a model some tasks and account for all tasks in its folder.

    Args:
        name: how the user calls the model.
        team: processes that call this together and share the work; the first writes.

    Raises:
        UserError: a task, the disk or a kept file is at fault.
    """
    folder, encoder = place.folder, place.encoder
    keep = Keep(folder=folder, model=place.model_hash)
    with user_file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if team.leads:
            write_text_format(folder, encoder.format)
        evaluate(model, encoder, tasks, part, report=report, keep=keep, team=team)
        results = EvaluationResults(
            schema_version=EVALUATION_SCHEMA,
            model=name,
            model_hash=place.model_hash,
            format=encoder.fingerprint,
            settings={**_settings(part), "score": part.score, "ends": part.ends},
            prompts=encoder.part.model_dump(mode="json"),
            tasks=team.told(lambda: results_of(folder, part.score, ends=part.ends, samples=part.bootstrap)),
            versions=dict(versions),
            machine=dict(machine),
        )
        if team.leads:
            write_atomically(folder / "results.json", results.model_dump_json(indent=1))
    return folder, results


def _settings(part: EvaluationPart) -> dict[str, Any]:
    """What answers depend on; which tasks a model was tuned on is not known here."""
    return part.model_copy(update={"seen_rows": 0}).counted("answers")


def results_of(folder: Path, score: Score, *, ends: Ends = "as_tuned", samples: int = 1_000) -> list[TaskResult]:
    """The numbers of every task in a folder of answers, under any normalisation; needs no model.

    Raises:
        UserError: there are no answers, or a file is damaged.
    """
    matrices = read_matrices(folder, score=score, ends=ends)
    return task_results({"model": matrices}, dict.fromkeys(matrices, "asked"), samples=samples)
