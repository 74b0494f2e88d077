"""`openflan mix`: a recipe as far as its mixture."""

from pathlib import Path

from openflan.cli.options import DataOption, JsonOption, OutOption, QuietOption, RecipeArgument, SetOption
from openflan.cli.stages import run_until

__all__ = ["mix"]


def mix(
    recipe: RecipeArgument = Path("starter"),
    set_: SetOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Render, tokenise and pack the tuning set into a token store."""
    run_until("mixture", recipe, set_, data, out, quiet=quiet, json_=json_)
