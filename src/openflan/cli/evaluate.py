"""`openflan eval`: a recipe as far as its evaluation, or any model on any tasks."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import DataOption, FoldersOption, JsonOption, OutOption, QuietOption, SetOption, named
from openflan.cli.progress import watcher
from openflan.cli.run import run_until
from openflan.errors import UserError

__all__ = ["evaluate", "print_tasks"]

_MEASURES = (
    ("form", "on the options"),
    ("auc", "tells right (AUC)"),
    ("batch", "leaning off"),
    ("same_answer", "same in every order"),
)
_NESTED = "to options of which one begins another, by the option alone (evaluation.ends)"


def evaluate(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe; or leave it out and name a model and tasks.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="A run or model folder, a GGUF file or a hub id.")
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option("--tasks", help="Tasks, clusters, `bbh` (BIG-bench Hard) or task files, by commas."),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option("--rows", "--limit", min=1, help="Test rows a task, the same for all models.", show_default="200"),
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option("--shots", "--num-fewshot", min=0, max=16, help="Solved examples before each question."),
    ] = None,
    templates: Annotated[
        str | None, typer.Option("--templates", help="How many templates a task: all, or the first n.")
    ] = None,
    validation_rows: Annotated[
        int | None,
        typer.Option("--validation-rows", min=0, help="Rows that choose the best template.", show_default="200"),
    ] = None,
    options: Annotated[
        str | None, typer.Option("--options", help="Whether prompts list the options: as_tuned, shown or hidden.")
    ] = None,
    score: Annotated[
        str | None, typer.Option("--score", help="sum, mean_token, per_character, per_byte or pmi.")
    ] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="float32, bfloat16 or auto.")] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Ask each task's text to continue too, for untuned models.")
    ] = False,
    chat: Annotated[bool, typer.Option("--chat", help="Put prompts into the tokenizer's chat template.")] = False,
    folder: FoldersOption = None,
    set_: SetOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Measure a model under every template of the tasks; a killed evaluation goes on with the next task.

    Several processes share the work: torchrun --nproc_per_node 8 -m openflan eval …
    """
    if (recipe is None) == (model is None):
        raise UserError("needs a recipe, or --model with --tasks", how="see `openflan eval --help`")
    flags = {
        "evaluation.rows": rows,
        "evaluation.templates": None if templates == "all" else templates,
        "evaluation.validation_rows": validation_rows,
        "evaluation.options": options,
        "evaluation.score": score,
        "evaluation.precision": precision,
        "evaluation.baseline": baseline or None,
        "prompts.shots": shots,
        "prompts.chat": chat or None,
    }
    chosen = {key: value for key, value in flags.items() if value is not None}
    if recipe is not None:
        if chosen or tasks or folder:
            key = next(iter(chosen), "evaluation.tasks" if tasks else "tasks.folders")
            flag = {"evaluation.tasks": "tasks", "tasks.folders": "folder"}.get(key, key.partition(".")[2])
            what = f"--{flag.replace('_', '-')} goes with --model, not with a recipe"
            raise UserError(what, how=f"put it in the recipe, or --set {key}=…")
        run_until("evaluation", recipe, set_, data, out, quiet=quiet, json_=json_)
        return
    if not tasks:
        raise UserError("--model needs --tasks", how="e.g. --tasks rte,cb or --tasks natural_language_inference")
    words = [word.strip() for word in tasks.split(",") if word.strip()]
    with (
        watcher(quiet=quiet or json_ or not openflan.is_first()) as watch,
        named(tasks="--tasks", settings="--set", evaluation="openflan eval"),
    ):
        done = openflan.evaluate(
            str(model),
            words,
            settings=[*(f"{key}={value}" for key, value in chosen.items()), *(set_ or [])],
            folders=folder or [],
            data=data,
            out=out,
            report=lambda count, total: watch.progress("evaluation", count, total, unit="prompts"),
        )
        watch.ended("evaluation")
    if not openflan.is_first():
        return
    if json_:
        sys.stdout.write(json.dumps({"folder": str(done.folder), **done.results.model_dump(mode="json")}) + "\n")
    elif not quiet:
        print_tasks(done.tasks)
        sys.stdout.write(f"results  {done.folder / 'results.json'}\n")


def print_tasks(tasks: Sequence["openflan.TaskResult"]) -> None:
    """A line a task and model: score, interval, spread over templates, best template, chance."""
    for result in tasks:
        for name, spread in result.models.items():
            low, high = spread.ci95
            best = spread.best_on_validation
            notes = [
                *([] if best is None else [f"best template on validation {best.score:.3f}"]),
                *([] if spread.baseline is None else [f"baseline {spread.baseline:.3f}"]),
                f"chance {result.chance:.3f}",
                *(f"{words} {spread.measures[name].mean:.3f}" for name, words in _MEASURES if name in spread.measures),
                f"{result.n_rows} rows",
                *([f"{spread.nested / spread.answers:.0%} {_NESTED}"] if spread.rule == "option" else []),
                *([f"{spread.ties} ties"] if spread.ties else []),
                *([f"{spread.close} within bfloat16's noise"] if spread.close else []),
                *([f"{spread.cut} prompts cut"] if spread.cut else []),
            ]
            label = result.task if name == "model" else f"{result.task} {name}"
            sys.stdout.write(
                f"{label:<32} {result.metric:<12} {spread.mean:.3f} [{low:.3f}, {high:.3f}]"
                f" ± {spread.std:.3f} over {len(spread.by_template)} templates"
                f" ({spread.min:.3f} to {spread.max:.3f}), {', '.join(notes)}\n"
            )
