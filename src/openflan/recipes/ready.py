"""Ready files: the recipes and studies that come with openflan, by name.

They lie beside the package in a clone and inside it in an installation; a file that the user names comes first.
"""

from pathlib import Path
from typing import Literal

from openflan.errors import UserError, did_you_mean

__all__ = ["RECIPE", "ready_file", "ready_recipes"]

RECIPE = "recipe.yaml"
"""The recipe of a folder."""

_PACKAGE = Path(__file__).parents[1]


def _folders(plural: str) -> tuple[Path, ...]:
    """Where ready files of a kind lie."""
    return (_PACKAGE / "ready" / plural, _PACKAGE.parents[1] / plural)


def ready_recipes() -> dict[str, Path]:
    """The recipes that come with openflan: name and file."""
    found = [path for folder in reversed(_folders("recipes")) for path in sorted(folder.glob("*.yaml"))]
    return {path.stem: path for path in sorted(found, key=lambda path: path.stem)}


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
        if (found := folder / f"{name.name}.yaml").is_file():
            return found
    ready = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    if kind == "recipe" and name.is_dir():
        how = f"`openflan init {name}` makes one of the tables in it"
        raise UserError(f"a folder without a {RECIPE}", where=str(name), how=how)
    near = did_you_mean(name.name, ready)
    raise UserError(f"no {kind} '{name}'", how=near or f"give a file, or one of: {', '.join(ready)}")
