"""`openflan train`: a recipe as far as its training."""

from pathlib import Path

from openflan.cli.options import DataOption, JsonOption, OutOption, QuietOption, RecipeArgument, SetOption
from openflan.cli.stages import run_until

__all__ = ["train"]


def train(
    recipe: RecipeArgument = Path("starter"),
    set_: SetOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Mix and tune, and leave a model that from_pretrained loads."""
    run_until("training", recipe, set_, data, out, quiet=quiet, json_=json_)
