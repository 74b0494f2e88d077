"""`openflan eval`: a recipe as far as its evaluation, or any model on any tasks."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from openflan.cli.options import DataOption, JsonOption, OutOption, QuietOption, SetOption
from openflan.cli.stages import run_until
from openflan.errors import UserError

__all__ = ["evaluate"]


def evaluate(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe; or leave it out and name a model and tasks.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="A run folder, a model folder or a hub id.")] = None,
    tasks: Annotated[str | None, typer.Option("--tasks", help="Tasks or clusters, separated by commas.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Test rows a task.")] = 200,
    set_: SetOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Measure a model under every template of the tasks."""
    if (recipe is None) == (model is None):
        raise UserError("needs a recipe, or --model with --tasks", how="see `openflan eval --help`")
    if recipe is not None:
        run_until("evaluation", recipe, set_, data, out, quiet=quiet, json_=json_)
        return
    from openflan.cli.opened import open_model
    from openflan.cli.progress import watcher
    from openflan.evaluation.matrix import task_matrices
    from openflan.evaluation.protocol import ask_prompts
    from openflan.evaluation.protocol import evaluate as ask_all
    from openflan.evaluation.results import task_results
    from openflan.pipeline import Event
    from openflan.recipe import EvaluationPart
    from openflan.tasks.catalog import open_catalog
    from openflan.tasks.sources import find_data

    if not tasks:
        raise UserError("--model needs --tasks", how="e.g. --tasks rte,cb or --tasks natural_language_inference")
    entries = open_catalog().select(tasks.split(","), where="--tasks")
    opened = open_model(str(model))
    asked = [(entry, ask_prompts(entry, opened.encoder, limit=rows, data=find_data(data))) for entry in entries]
    with watcher(quiet=quiet or json_) as watch:
        watch(Event(stage="evaluation", kind="started"))
        answers = ask_all(
            opened.model,
            opened.encoder,
            asked,
            EvaluationPart(),
            report=lambda done, total: watch(
                Event(stage="evaluation", kind="progress", done=done, total=total, unit="prompts")
            ),
        )
        watch(Event(stage="evaluation", kind="done"))
    results = task_results({"model": task_matrices(answers)}, {entry.spec.name: "seen" for entry in entries})
    if json_:
        records = [result.model_dump(mode="json", exclude={"role"}) for result in results]
        sys.stdout.write(json.dumps({"model": model, "tasks": records}) + "\n")
        return
    for result in results:
        spread = result.models["model"]
        sys.stdout.write(
            f"{result.task:<32} {result.metric:<12} {spread.mean:.3f} ± {spread.std:.3f} over"
            f" {len(spread.by_template)} templates (chance {result.chance:.3f}, {result.n_rows} rows)\n"
        )
