"""`openflan studio`: tasks, templates, mixtures, runs and a model in the browser."""

from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import DataOption, FoldersOption

__all__ = ["studio"]


def studio(
    runs: Annotated[Path, typer.Option("--runs", help="Folder that holds the run folders.")] = Path("runs"),
    folder: FoldersOption = None,
    data: DataOption = None,
    model: Annotated[str | None, typer.Option("--model", help="The model to ask: a run, folder or hub id.")] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")] = 7860,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; a token is asked for on any but this machine's own.")
    ] = "127.0.0.1",
) -> None:
    """Open the studio: a local page to look at tasks, write templates, plan mixtures and read runs.

    It reads the folders that it is given and writes into the first --folder alone.
    """
    folders = openflan.StudioFolders(runs=runs, folders=tuple(folder or ()), data=data, model=model)
    openflan.serve_studio(folders, host=host, port=port)
