"""Options that several verbs share, and the recipe they name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from openflan.errors import UserError

__all__ = [
    "DataOption",
    "FoldersOption",
    "JsonOption",
    "OutOption",
    "QuietOption",
    "RecipeArgument",
    "SetOption",
    "named",
]

RecipeArgument = Annotated[
    Path, typer.Argument(help="A recipe file, or the name of a ready one.", show_default="the embedded starter")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: a.b=value.")]
DataOption = Annotated[
    str | None,
    typer.Option("--data", help="Folder with <task>/<split>.* files to read in place of the hub, or `twins`."),
]
FoldersOption = Annotated[list[Path] | None, typer.Option("--folder", help="A folder of your own task files.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder that holds the run folders.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


@contextmanager
def named(**options: str) -> Iterator[None]:
    """Let an error speak of the option that an argument of the API came from: `named(tasks="--tasks")`."""
    try:
        yield
    except UserError as error:
        where = error.where or ""
        for argument, option in options.items():
            if where == argument or where.startswith((f"{argument} ", f"{argument}[", f"{argument}:")):
                raise UserError(error.what, where=option + where.removeprefix(argument), how=error.how) from error
        raise
