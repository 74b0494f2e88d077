"""`openflan report`: results and page of a finished run, made again from what is stored."""

from pathlib import Path
from typing import Annotated

import typer

from openflan.cli.options import JsonOption
from openflan.errors import UserError

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    json_: JsonOption = False,
) -> None:
    """Write results.json and report.html of a run again, from its stored answers."""
    import json
    import sys

    from openflan.cli.verdict import print_verdict
    from openflan.pipeline import report_again

    if not (run / "recipe.yaml").is_file():
        raise UserError("not a run folder (no recipe.yaml)", where=str(run), how="give a folder under runs/")
    results = report_again(run).model_dump(mode="json")
    if json_:
        sys.stdout.write(json.dumps(results) + "\n")
    else:
        print_verdict(results, run)
