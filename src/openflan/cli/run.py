"""`openflan run`: everything a recipe says, to the report."""

import json
import sys
from pathlib import Path

from openflan.cli.options import (
    DataOption,
    JsonOption,
    OutOption,
    QuietOption,
    RecipeArgument,
    SetOption,
    recipe_path,
    settings,
)

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
    from openflan import ranks
    from openflan.cli.progress import watcher
    from openflan.cli.verdict import print_verdict
    from openflan.recipes.recipe import load_recipe
    from openflan.runs.pipeline import run as run_recipe

    loaded = load_recipe(recipe_path(recipe), settings(set_, data))
    with watcher(quiet=quiet or json_ or not ranks.is_first()) as watch:
        outcome = run_recipe(loaded, runs=out, watch=watch)
    if not ranks.is_first():
        return
    results = json.loads((outcome.folder / "results.json").read_text(encoding="utf-8"))
    if json_:
        sys.stdout.write(json.dumps({"run": str(outcome.folder), "worked": outcome.worked, **results}) + "\n")
    elif not quiet:
        if not outcome.worked:
            sys.stderr.write(f"nothing to do: {outcome.folder} is complete\n")
        print_verdict(results, outcome.folder)
