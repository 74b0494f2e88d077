"""`openflan export`: a mixture for other trainers, a tuned model for other programs."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openflan.cli.groups import with_default
from openflan.cli.options import DataOption, FoldersOption, JsonOption, QuietOption, SetOption, recipe_path, settings

if TYPE_CHECKING:
    from openflan.runs.plan import Plan

__all__ = ["app"]

app = typer.Typer(
    cls=with_default("mixture"),
    rich_markup_mode=None,
    help="Write a mixture as rows of text (`openflan export RUN_OR_RECIPE --format prompts`), or a tuned model.",
)

_ENDINGS = {"prompts": ".jsonl", "messages": ".jsonl", "jsonl": ".jsonl", "parquet": ".parquet"}


@app.command("mixture")
def mixture(
    source: Annotated[Path, typer.Argument(help="A run folder, or a recipe that is mixed first.")],
    format_: Annotated[str, typer.Option("--format", help="prompts, messages, jsonl or parquet.")] = "prompts",
    to: Annotated[Path | None, typer.Option("--to", help="The file to write.")] = None,
    only: Annotated[str, typer.Option("--only", help="all, or commercial: licences that allow it.")] = "all",
    seed: Annotated[int | None, typer.Option("--seed", help="Which seed; the recipe's first by default.")] = None,
    set_: SetOption = None,
    data: DataOption = None,
    out: Annotated[Path, typer.Option("--out", help="Folder that holds the run folders.")] = Path("runs"),
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Write a mixture's training examples, in their order, with provenance and licences, for any trainer."""
    from openflan.cli.mix import mixture_folder
    from openflan.cli.progress import watcher
    from openflan.errors import UserError, did_you_mean
    from openflan.mixture.export import FORMATS, export_mixture
    from openflan.mixture.store import TokenStore
    from openflan.models.load import load_rules

    if format_ not in FORMATS:
        raise UserError(
            f"no format '{format_}'", where="--format", how=did_you_mean(format_, FORMATS) or ", ".join(FORMATS)
        )
    if only not in ("all", "commercial"):
        raise UserError(f"no filter '{only}'", where="--only", how="all or commercial")
    with watcher(quiet=quiet or json_) as watch:
        run, plan = _mixed(source, set_, data, out, watch)
        chosen = plan.recipe.seeds[0] if seed is None else seed
        store = TokenStore.open(mixture_folder(run))
        rules = load_rules(plan.model, plan.recipe.prompts)
        path = to or Path(f"{run.name}-seed-{chosen}{_ENDINGS[format_]}")
        watch.started("export")
        done = export_mixture(
            path,
            store,
            plan.work(rules, mixture=store.folder),
            seed=chosen,
            format=format_,  # type: ignore[arg-type]
            only=only,  # type: ignore[arg-type]
            report=lambda n, total: watch.progress("export", n, total, unit="rows"),
        )
        watch.ended("export")
    if json_:
        record = {"path": str(done.path), "rows": done.rows, "left_out": done.left_out, "format": format_}
        sys.stdout.write(json.dumps(record) + "\n")
    elif not quiet:
        without = f" ({done.left_out:,} left out for their licence)" if done.left_out else ""
        sys.stdout.write(f"{done.path}: {done.rows:,} rows{without}\n")


@app.command("model")
def model(
    run: Annotated[Path, typer.Argument(help="A run folder with a tuned model.")],
    to: Annotated[Path, typer.Option("--to", help="The folder to write.")],
    seed: Annotated[int | None, typer.Option("--seed", help="Which seed; the recipe's first by default.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Put an adapter into its base's weights.")] = False,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Write a tuned model in Hugging Face layout with its card; with --merge, one that needs no adapter."""
    from openflan.errors import UserError
    from openflan.runs.run_folder import plan_of
    from openflan.training.handover import copy_model, merge_model

    plan = plan_of(run)
    chosen = plan.recipe.seeds[0] if seed is None else seed
    tuned = run / "training" / f"seed-{chosen}" / "model"
    if not tuned.is_dir():
        raise UserError(f"no tuned model of seed {chosen}", where=str(run), how="finish it with `openflan run`")
    if merge:
        merge_model(tuned, plan.tuned_source(tuned), to)
    else:
        copy_model(tuned, to)
    if json_:
        sys.stdout.write(json.dumps({"path": str(to), "seed": chosen, "merged": merge}) + "\n")
    elif not quiet:
        sys.stdout.write(f"{to}\n")


@app.command("tasks")
def tasks(
    words: Annotated[list[str], typer.Argument(help="Tasks or clusters.")],
    to: Annotated[Path, typer.Option("--to", "--out", help="The folder to write.")],
    format_: Annotated[str, typer.Option("--format", help="lm-eval.")] = "lm-eval",
    rows: Annotated[int, typer.Option("--rows", min=1, help="Test rows a task.")] = 200,
    separator: Annotated[str, typer.Option("--separator", help="What stands between prompt and answer.")] = "\n",
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", help="A model for whose tokens answers are to be the same as here.")
    ] = None,
    folder: FoldersOption = None,
    data: DataOption = None,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Write tasks for lm-evaluation-harness: the prompts and options that openflan would score, under each template."""
    from dataclasses import asdict

    from openflan.errors import UserError
    from openflan.evaluation.harness import pick_delimiter, write_tasks
    from openflan.evaluation.protocol import ask_prompts
    from openflan.models.load import find_model, load_rules
    from openflan.prompts.encoding import TextEncoder
    from openflan.recipes.parts import ModelPart, PromptsPart
    from openflan.stage import new_folder
    from openflan.tasks.catalog import open_catalog
    from openflan.tasks.sources import find_data

    if format_ != "lm-eval":
        raise UserError(f"no format '{format_}'", where="--format", how="lm-eval")
    place = find_data(data)
    part = PromptsPart(separator=separator)
    source = find_model(ModelPart(path=tokenizer or "starter"), Path(tokenizer or "starter").expanduser())
    encoder = TextEncoder(load_rules(source, part))
    entries = open_catalog(folder or []).select(words, where="export tasks")
    asked = {e.spec.name: (e, ask_prompts(e, encoder, limit=rows, data=place)) for e in entries}
    prompts = [prompt for _, own in asked.values() for prompt in own]
    delimiter = pick_delimiter(encoder, prompts, separator) if tokenizer else ""
    with new_folder(to, option="--to") as partial:
        written = write_tasks(
            partial, asked, separator=separator, delimiter=delimiter, encoder=encoder if tokenizer else None
        )
    if json_:
        sys.stdout.write(json.dumps({"path": str(to), "tasks": [asdict(one) for one in written]}) + "\n")
        return
    if quiet:
        return
    for one in written:
        apart = f", {one.differ:,} of {one.pairs:,} options are other tokens there" if one.differ else ""
        sys.stdout.write(f"openflan_{one.name}: {one.rows:,} rows, {len(one.templates)} templates{apart}\n")
    first = written[0].name if written else "…"
    bos = " and add_bos_token=True among --model_args" if encoder.frame.before else ""
    sys.stdout.write(f"run with: lm_eval --include_path {to} --tasks openflan_{first}{bos}\n")


def _mixed(source: Path, set_: list[str] | None, data: str | None, out: Path, watch: object) -> "tuple[Path, Plan]":
    """The run folder that is meant, mixed first where a recipe is given."""
    from openflan.errors import UserError
    from openflan.recipes.recipe import load_recipe
    from openflan.runs.pipeline import run as run_recipe
    from openflan.runs.run_folder import plan_of

    if source.is_dir():
        if set_ or data:
            raise UserError(
                "a run folder has its settings", where=str(source), how="give a recipe to use --set or --data"
            )
        return source, plan_of(source)
    loaded = load_recipe(recipe_path(source), settings(set_, data))
    folder = run_recipe(loaded, runs=out, until="mixture", watch=watch).folder  # type: ignore[arg-type]
    return folder, plan_of(folder)
