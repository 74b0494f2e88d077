"""`openflan eval`: a recipe as far as its evaluation, or any model on any tasks."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openflan.cli.options import DataOption, FoldersOption, JsonOption, OutOption, QuietOption, SetOption
from openflan.cli.stages import run_until
from openflan.errors import UserError

if TYPE_CHECKING:
    from openflan.evaluation.task_results import TaskResult
    from openflan.tasks.catalog import Entry

__all__ = ["evaluate", "print_tasks"]


def evaluate(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe; or leave it out and name a model and tasks.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="A run folder, a model folder or a hub id.")] = None,
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
    given = {
        "rows": rows,
        "templates": None if templates in (None, "all") else templates,
        "validation_rows": validation_rows,
        "options": options,
        "score": score,
        "precision": precision,
        "baseline": baseline or None,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    format_ = {**({} if shots is None else {"shots": shots}), **({"chat": True} if chat else {})}
    if recipe is not None:
        if chosen or tasks or folder or format_:
            name = next(iter([*chosen, *format_]), "tasks" if tasks else "folder").replace("_", "-")
            part = "prompts" if name in format_ else "evaluation"
            how = f"put it in the recipe, or --set {part}.{name.replace('-', '_')}=…"
            raise UserError(f"--{name} goes with --model, not with a recipe", how=how)
        run_until("evaluation", recipe, set_, data, out, quiet=quiet, json_=json_)
        return
    if not tasks:
        raise UserError("--model needs --tasks", how="e.g. --tasks rte,cb or --tasks natural_language_inference")
    said = _settings({"evaluation": chosen, "prompts": format_}, set_ or [])
    _measure(str(model), tasks, said, folder or [], data, out, quiet=quiet, json_=json_)


def _settings(given: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """What the options say, with what `--set` says besides."""
    from openflan.recipes.settings import parse_setting, set_key

    for change in changes:
        if not change.startswith(("evaluation.", "prompts.")):
            how = "name an evaluation.… or prompts.… setting; the rest belongs to a recipe"
            raise UserError(f"'{change.partition('=')[0]}' changes nothing here", where="--set", how=how)
        set_key(given, *parse_setting(change))
    return given


def _measure(
    model: str,
    tasks: str,
    said: dict[str, Any],
    folders: Sequence[Path],
    data: str | None,
    out: Path,
    *,
    quiet: bool,
    json_: bool,
) -> None:
    from pydantic import ValidationError

    from openflan.cli.opened import open_model
    from openflan.cli.progress import watcher
    from openflan.errors import strict_error
    from openflan.evaluation.protocol import ask_task
    from openflan.evaluation.standalone import measure
    from openflan.machine import machine_facts, version_facts
    from openflan.ranks import Team
    from openflan.recipes.parts import EvaluationPart
    from openflan.runs.pipeline import Event
    from openflan.tasks.sources import find_data

    chosen = said["evaluation"]
    if str(chosen.get("templates", "0")).isdigit():
        chosen = {**chosen, **({"templates": int(chosen["templates"])} if "templates" in chosen else {})}
    try:
        part = EvaluationPart.model_validate_json(json.dumps(chosen))
    except ValidationError as error:
        raise strict_error(error, "openflan eval", EvaluationPart) from None
    place = find_data(data)
    entries = _entries(tasks, folders)
    team = Team.gathered()
    opened = open_model(model, changes=said["prompts"])
    asked = [ask_task(entry, opened.encoder, part, limit=part.rows, data=place) for entry in entries]
    with watcher(quiet=quiet or json_ or not team.leads) as watch:
        watch(Event(stage="evaluation", kind="started"))
        folder, results = measure(
            opened.model,
            opened.encoder,
            asked,
            part,
            name=model,
            out=out,
            report=lambda done, total: watch(
                Event(stage="evaluation", kind="progress", done=done, total=total, unit="prompts")
            ),
            machine=machine_facts(),
            versions=version_facts(),
            team=team,
        )
        watch(Event(stage="evaluation", kind="done"))
    if not team.leads:
        return
    if json_:
        sys.stdout.write(json.dumps({"folder": str(folder), **results.model_dump(mode="json")}) + "\n")
    elif not quiet:
        names = {entry.spec.name for entry in entries}
        print_tasks([task for task in results.tasks if task.task in names])
        sys.stdout.write(f"results  {folder / 'results.json'}\n")


def print_tasks(tasks: Sequence["TaskResult"]) -> None:
    """A line a task and model: score, interval, spread over templates, best template, chance."""
    for result in tasks:
        for name, spread in result.models.items():
            low, high = spread.ci95
            best = spread.best_on_validation
            notes = [
                *([] if best is None else [f"best template on validation {best.score:.3f}"]),
                *([] if spread.baseline is None else [f"baseline {spread.baseline:.3f}"]),
                f"chance {result.chance:.3f}",
                f"{result.n_rows} rows",
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


def _entries(words: str, folders: Sequence[Path]) -> list["Entry"]:
    """The tasks that names and files stand for."""
    from openflan.tasks.bbh import BBH, bbh_entry
    from openflan.tasks.catalog import Entry, open_catalog
    from openflan.tasks.spec import load_task

    named = [word.strip() for word in words.split(",") if word.strip()]
    files = [Path(word) for word in named if word.endswith((".yaml", ".yml"))]
    entries = [Entry(spec=load_task(path), path=path, collection="mine") for path in files]
    hard = [word for word in named if word == "bbh" or word.startswith("bbh_")]
    entries += [
        bbh_entry(name) for word in hard for name in ([f"bbh_{kind}" for kind in BBH] if word == "bbh" else [word])
    ]
    known = {entry.spec.name for entry in entries}
    names = [word for word in named if not word.endswith((".yaml", ".yml")) and word not in hard]
    catalog = open_catalog(folders) if names else None
    return entries + [
        entry for entry in (catalog.select(names, where="--tasks") if catalog else []) if entry.spec.name not in known
    ]
