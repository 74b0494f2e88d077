"""`openflan publish`: a finished run in hub layout, for a folder or the Hugging Face hub."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import JsonOption, QuietOption

__all__ = ["publish"]


def publish(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    to: Annotated[str, typer.Option("--to", help="A folder to write (./name or /name), or a hub id (owner/name).")],
    seed: Annotated[int | None, typer.Option("--seed", help="Which seed; the recipe's first by default.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Put an adapter into its base's weights.")] = False,
    public: Annotated[bool, typer.Option("--public", help="On the hub, for all to see; private by default.")] = False,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Write model, card, results and mixture lock together, or upload them."""
    done = openflan.Run.open(run).publish(to, seed=seed, merge=merge, public=public)
    if json_:
        sys.stdout.write(json.dumps({"published": done.place, "hub": done.hub}) + "\n")
    elif not quiet:
        sys.stdout.write(f"{done.place}\n")
