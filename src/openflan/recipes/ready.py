"""Ready files: the recipes and studies that come with openflan, by name.

They lie beside the package in a clone and inside it in an installation; a file that the user names comes first.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from openflan.errors import UserError, did_you_mean
from openflan.links import links_out
from openflan.recipes.recipe import Recipe
from openflan.recipes.safe_yaml import parse_yaml

__all__ = ["RECIPE", "list_recipes", "ready_file"]

RECIPE = "recipe.yaml"
"""The recipe of a folder."""

_PACKAGE = Path(__file__).parents[1]


def _folders(plural: str) -> tuple[Path, ...]:
    """Where ready files of a kind lie."""
    return (_PACKAGE / "ready" / plural, _PACKAGE.parents[1] / plural)


def list_recipes(folders: Iterable[str | Path] = (), *, links: bool = True) -> dict[str, Path]:
    """Recipes by name: those that come with openflan by their word, those of folders by their file's name.

    Args:
        folders: their `.yaml` files are looked at, those below them not; what is no recipe is passed over.
        links: whether links that lead out of the folders are followed.
    """
    ready = {path.stem: path for folder in reversed(_folders("recipes")) for path in folder.glob("*.yaml")}
    recipes, folders = {name: ready[name] for name in sorted(ready)}, list(folders)
    for folder in folders:
        for path in sorted(Path(folder).glob("*.yaml")):
            if path.name not in recipes and (links or links_out(path, folders) is None) and _is_recipe(path):
                recipes[path.name] = path
    return recipes


def _is_recipe(path: Path) -> bool:
    """Whether a file says what recipes say and nothing else; what is wrong in it is for `load_recipe` to say."""
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "name" in content and not set(content) - set(Recipe.model_fields)


def ready_file(kind: Literal["recipe", "study"], name: Path, *, beside: Path | None = None) -> Path:
    """A file as given, else beside another one, else the ready one of that name.

    Args:
        name: a path, a folder with a `recipe.yaml`, or a word without a suffix.

    Raises:
        UserError: a word is neither a file nor a ready one.
    """
    if name.suffix and beside is not None and (beside / name).exists():
        return beside / name
    if name.is_file() or (name.suffix and not name.is_dir()):
        return name
    if kind == "recipe" and (name / RECIPE).is_file():
        return name / RECIPE
    plural = {"recipe": "recipes", "study": "studies"}[kind]
    folders = _folders(plural)
    for folder in folders:
        if (file := folder / f"{name.name}.yaml").is_file():
            return file
    ready = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    if kind == "recipe" and name.is_dir():
        how = f"`openflan init {name}` makes one of the tables in it"
        raise UserError(f"a folder without a {RECIPE}", where=str(name), how=how)
    near = did_you_mean(name.name, ready)
    raise UserError(f"no {kind} '{name}'", how=near or f"give a file, or one of: {', '.join(ready)}")
