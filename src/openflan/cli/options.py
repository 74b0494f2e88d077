"""Options that several verbs share, what errors call them, and verbs that do mostly one thing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

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
    "with_default",
]

RecipeArgument = Annotated[
    Path,
    typer.Argument(
        help="A recipe file, a folder with one, or the name of a ready one.", show_default="the embedded starter"
    ),
]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: a.b=value.")]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data", help="Folders (as in PATH) with <task>/<split>.* files to read in place of the hub, or `twins`."
    ),
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


def with_default(name: str) -> type[TyperGroup]:
    """A group of commands that runs `name` unless the first word is another of its commands."""

    class Group(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if not args or (args[0] not in self.commands and args[0] != "--help"):
                args = [name, *args]
            return super().parse_args(ctx, args)

    return Group
