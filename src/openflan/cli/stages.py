"""What `mix`, `train` and `eval` share: run a recipe as far as one stage and say where its folder is."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from openflan.cli.options import recipe_path, settings

if TYPE_CHECKING:
    from openflan.runs.run_folder import StageName

__all__ = ["run_until"]


def run_until(
    until: "StageName",
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
    from openflan import ranks
    from openflan.cli.progress import watcher
    from openflan.recipes.recipe import load_recipe
    from openflan.runs.pipeline import run as run_recipe

    loaded = load_recipe(recipe_path(recipe), settings(set_, data))
    with watcher(quiet=quiet or json_ or not ranks.is_first()) as watch:
        outcome = run_recipe(loaded, runs=out, until=until, workers=workers, engine=engine, watch=watch)
    if not ranks.is_first():
        return
    folder = outcome.folder / until
    if json_:
        sys.stdout.write(json.dumps({"folder": str(folder), "worked": outcome.worked}) + "\n")
    elif not quiet:
        if not outcome.worked:
            sys.stderr.write("nothing to do: already complete\n")
        sys.stdout.write(f"{folder}\n")
