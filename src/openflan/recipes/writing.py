"""A recipe written out for a person: only what it says that goes not without saying, wherever its file will lie.

Invariant: the file reads back as an equal recipe, and its relative paths lead where they led. Cost: none. Rejected: all
settings, as a run's folder has them, of which nobody finds the three that were chosen.
"""

import os
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.recipes.recipe import Recipe, make_recipe
from openflan.recipes.safe_yaml import as_yaml, parse_yaml
from openflan.stage import user_file_errors, write_atomically

__all__ = ["recipe_text", "write_recipe"]


def recipe_text(recipe: Recipe, *, folder: str | Path) -> str:
    """A recipe as a file in a folder would have it: what goes without saying is left out.

    Args:
        recipe: the recipe.
        folder: where the file will lie; relative paths start there.
    """
    content: dict[str, Any] = recipe.model_dump(mode="json", exclude_defaults=True)
    place = Path(folder).resolve()

    def moved(path: str) -> str:
        there = recipe.find(path)
        fixed = Path(path).expanduser().is_absolute() or path == "twins" or not there.exists()
        return path if fixed else os.path.relpath(there.resolve(), place)

    if "path" in content.get("model", {}):
        content["model"]["path"] = moved(recipe.model.path)
    if recipe.tasks.folders:
        content["tasks"]["folders"] = [moved(one) for one in recipe.tasks.folders]
    if recipe.tasks.data is not None:
        content["tasks"]["data"] = os.pathsep.join(map(moved, recipe.tasks.data.split(os.pathsep)))
    return as_yaml(content)


def write_recipe(recipe: Recipe, path: str | Path, *, force: bool = False) -> Recipe:
    """Write a recipe file; the recipe as it reads back.

    Args:
        recipe: the recipe.
        path: the file, which ends in `.yaml`.
        force: write over a file.

    Raises:
        UserError: there is a file already, it is not called `.yaml`, or the disk is at fault.
    """
    place = Path(path)
    if place.suffix != ".yaml":
        raise UserError("a recipe file ends in .yaml", where=str(place), how="call it so")
    if place.exists() and not force:
        raise UserError("is already there", where=str(place), how="choose another name")
    text = recipe_text(recipe, folder=place.parent)
    with user_file_errors(place):
        write_atomically(place, text)
    return make_recipe(parse_yaml(text), where=str(place), folder=place.parent)
