"""`openflan mix`: a recipe as far as its mixture; `openflan mix diff`: what changed between two."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import DataOption, JsonOption, OutOption, QuietOption, RecipeArgument, SetOption, with_default
from openflan.cli.run import run_until

__all__ = ["app"]


app = typer.Typer(
    cls=with_default("build"),
    rich_markup_mode=None,
    help="Build a mixture (`openflan mix RECIPE`), or compare two (`openflan mix diff A B`).",
)

Folder = Annotated[Path, typer.Argument(help="A run folder, or its mixture/ folder.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes; by default one a core where the mixture is large.")
]
EngineOption = Annotated[str, typer.Option("--engine", help="local, or ray: the processes of a Ray cluster.")]


@app.command("build")
def build(
    recipe: RecipeArgument = Path("starter"),
    set_: SetOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    workers: WorkersOption = None,
    engine: EngineOption = "local",
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Check for leaks, render, tokenise and pack the tuning set into a token store."""
    run_until("mixture", recipe, set_, data, out, workers=workers, engine=engine, quiet=quiet, json_=json_)


@app.command("diff")
def diff(left: Folder, right: Folder, json_: JsonOption = False) -> None:
    """Show what changed between two mixtures: rows, shares, epochs, templates, leaks."""
    change = openflan.Mixture(left).compare(right)
    if json_:
        sys.stdout.write(json.dumps(asdict(change)) + "\n")
        return
    if change.same:
        sys.stdout.write("the same mixture\n")
        return
    for key, (one, other) in change.settings.items():
        sys.stdout.write(f"{key}: {one} -> {other}\n")
    if change.tokenizer_changed:
        sys.stdout.write("another tokenizer\n")
    for task in change.tasks:
        if not task.changed:
            continue
        notes = [
            f"rows {task.rows[0] or 0:,} -> {task.rows[1] or 0:,} (+{task.rows_added:,} -{task.rows_removed:,})",
            f"share {task.share[0]:.2%} -> {task.share[1]:.2%}",
            f"of tokens {task.token_share[0]:.2%} -> {task.token_share[1]:.2%}",
            f"epochs {task.epochs[0]:.2f} -> {task.epochs[1]:.2f}",
            *(["templates changed"] if task.templates_changed else []),
            *(["source changed"] if task.source_changed else []),
        ]
        sys.stdout.write(f"{task.task}: {'; '.join(notes)}\n")
    for edge, (one, other) in change.leak_edges.items():
        sys.stdout.write(f"leak {edge}: {one} -> {other} held-out items\n")
