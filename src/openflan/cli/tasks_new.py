"""`openflan tasks new`: a working task from a table."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import named

__all__ = ["new"]


def new(
    file: Annotated[Path, typer.Argument(help="A .csv, .tsv, .jsonl, .json, .parquet, .arrow or .xlsx file.")],
    name: Annotated[str | None, typer.Option("--name", help="The task's name; the file's by default.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the task file; the table's by default.")] = None,
    cluster: Annotated[str | None, typer.Option("--cluster", help="Its cluster, where the guess is wrong.")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="Its byte encoding, if not UTF-8.")] = None,
    separator: Annotated[str | None, typer.Option("--separator", help="What stands between its cells.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a task file.")] = False,
) -> None:
    """Write a task file for a table: columns, label and options guessed, ten templates to start from."""
    with named(cluster="--cluster"):
        draft = openflan.draft_task(
            file, name=name, out=out, cluster=cluster, encoding=encoding, separator=separator, force=force
        )
    spec, path, kind = draft.entry.spec, draft.entry.path, draft.kind.replace("_", " ")
    form = f" ({draft.form})" if draft.form else ""
    sys.stdout.write(f"{path}: {kind}, {draft.rows:,} rows{form}, {len(spec.templates)} templates\n")
    sys.stdout.writelines(f"  look at: {line}\n" for line in (*map(str, draft.unsure), *draft.warnings))
    sys.stdout.write(f"  openflan tasks show {spec.name} --folder {path.parent}\n")
