"""`openflan run`: everything a recipe says, to the report."""

import json
import sys
from pathlib import Path

import openflan
from openflan.cli.options import DataOption, JsonOption, OutOption, QuietOption, RecipeArgument, SetOption
from openflan.cli.progress import watcher
from openflan.cli.verdict import print_verdict

__all__ = ["run"]


def run(
    recipe: RecipeArgument = Path("starter"),
    set_: SetOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Mix, tune, evaluate untuned and tuned, and report; what is already done is kept."""
    work = openflan.Run(recipe, settings=set_ or (), data=data, runs=out)
    with watcher(quiet=quiet or json_ or not openflan.is_first()) as watch:
        outcome = work.work(watch=watch)
    if not openflan.is_first():
        return
    results = work.results.model_dump(mode="json")
    if json_:
        sys.stdout.write(json.dumps({"run": str(outcome.folder), "worked": outcome.worked, **results}) + "\n")
    elif not quiet:
        if not outcome.worked:
            sys.stderr.write(f"nothing to do: {outcome.folder} is complete\n")
        print_verdict(results, outcome.folder)
