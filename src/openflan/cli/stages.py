"""What `mix`, `train` and `eval` share: run a recipe as far as one stage and say where its folder is."""

import json
import sys
from pathlib import Path
from typing import Literal

import openflan
from openflan.cli.progress import watcher

__all__ = ["run_until"]


def run_until(
    until: Literal["mixture", "training", "evaluation"],
    recipe: Path,
    set_: list[str] | None,
    data: str | None,
    out: Path,
    *,
    workers: int | None = None,
    engine: str = "local",
    quiet: bool,
    json_: bool,
) -> None:
    """Run a recipe up to a stage and print the stage's folder."""
    run = openflan.Run(recipe, settings=set_ or (), data=data, runs=out)
    with watcher(quiet=quiet or json_ or not openflan.is_first()) as watch:
        outcome = run.work(until, workers=workers, engine=engine, watch=watch)
    if not openflan.is_first():
        return
    folder = outcome.folder / until
    if json_:
        sys.stdout.write(json.dumps({"folder": str(folder), "worked": outcome.worked}) + "\n")
    elif not quiet:
        if not outcome.worked:
            sys.stderr.write("nothing to do: already complete\n")
        sys.stdout.write(f"{folder}\n")
