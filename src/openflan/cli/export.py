"""`openflan export` and `publish`: a mixture for other trainers, a tuned model for other programs, a run for others."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import DataOption, FoldersOption, JsonOption, QuietOption, SetOption, named, with_default
from openflan.cli.progress import StageWatch, watcher
from openflan.errors import UserError, did_you_mean

__all__ = ["app", "publish"]

app = typer.Typer(
    cls=with_default("mixture"),
    rich_markup_mode=None,
    help="Write a mixture as rows of text (`openflan export RUN_OR_RECIPE --format prompts`), or a tuned model.",
)

_FORMATS = ("prompts", "messages", "jsonl", "parquet")


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
    if format_ not in _FORMATS:
        raise UserError(
            f"no format '{format_}'", where="--format", how=did_you_mean(format_, _FORMATS) or ", ".join(_FORMATS)
        )
    if only not in ("all", "commercial"):
        raise UserError(f"no filter '{only}'", where="--only", how="all or commercial")
    with watcher(quiet=quiet or json_) as watch:
        run = _mixed(source, set_, data, out, watch)
        watch.started("export")
        done = run.export(
            to,
            format=format_,  # type: ignore[arg-type]
            only=only,  # type: ignore[arg-type]
            seed=seed,
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
    to: Annotated[Path, typer.Option("--to", help="The folder or file to write.")],
    seed: Annotated[int | None, typer.Option("--seed", help="Which seed; the recipe's first by default.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Put an adapter into its base's weights.")] = False,
    format_: Annotated[
        str | None, typer.Option("--format", help="folder, or gguf (llama.cpp); by default what --to ends in.")
    ] = None,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Write a tuned model in Hugging Face layout with its card, or as a GGUF file for llama.cpp and Ollama.

    With --merge, the folder needs no adapter. A GGUF file is written by llama.cpp's convert_hf_to_gguf.py (on the PATH,
    or named by CONVERT_HF_TO_GGUF), and read again and compared before it is kept.
    """
    if format_ not in (None, "folder", "gguf"):
        raise UserError(f"no format '{format_}'", where="--format", how="folder or gguf")
    if format_ is not None and (format_ == "gguf") != (to.suffix.lower() == ".gguf"):
        what = f"--format {format_} writes a {'file' if format_ == 'gguf' else 'folder'}"
        raise UserError(what, where=f"--to {to}", how="name a GGUF file so: model.gguf, and a folder otherwise")
    opened = openflan.Run.open(run)
    opened.export_model(to, seed=seed, merge=merge)
    if json_:
        sys.stdout.write(json.dumps({"path": str(to), "seed": opened.seed(seed), "merged": merge}) + "\n")
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
    if format_ != "lm-eval":
        raise UserError(f"no format '{format_}'", where="--format", how="lm-eval")
    with named(tasks="export tasks"):
        done = openflan.export_tasks(
            words, to, rows=rows, separator=separator, tokenizer=tokenizer, folders=folder or [], data=data
        )
    written = done.tasks
    if json_:
        sys.stdout.write(json.dumps({"path": str(to), "tasks": [asdict(one) for one in written]}) + "\n")
        return
    if quiet:
        return
    for one in written:
        apart = f", {one.differ:,} of {one.pairs:,} options are other tokens there" if one.differ else ""
        sys.stdout.write(f"openflan_{one.name}: {one.rows:,} rows, {len(one.templates)} templates{apart}\n")
    first = written[0].name if written else "…"
    bos = " and add_bos_token=True among --model_args" if done.adds_start else ""
    sys.stdout.write(f"run with: lm_eval --include_path {to} --tasks openflan_{first}{bos}\n")


def publish(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    to: Annotated[str, typer.Option("--to", help="A folder to write (./name or /name), or a hub id (owner/name).")],
    seed: Annotated[int | None, typer.Option("--seed", help="Which seed; the recipe's first by default.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Put an adapter into its base's weights.")] = False,
    public: Annotated[bool, typer.Option("--public", help="On the hub, for all to see; private by default.")] = False,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Write model, card, results and mixture lock together, or upload them."""
    done = openflan.Run.open(run).publish(to, seed=seed, merge=merge, public=public)
    if json_:
        sys.stdout.write(json.dumps({"published": done.place, "hub": done.hub}) + "\n")
    elif not quiet:
        sys.stdout.write(f"{done.place}\n")


def _mixed(source: Path, set_: list[str] | None, data: str | None, out: Path, watch: StageWatch) -> "openflan.Run":
    """The run that is meant, mixed first where a recipe is given."""
    if source.is_dir():
        if set_ or data:
            raise UserError(
                "a run folder has its settings", where=str(source), how="give a recipe to use --set or --data"
            )
        return openflan.Run.open(source)
    run = openflan.Run(source, settings=set_ or (), data=data, runs=out)
    run.mix(watch=watch)
    return run
