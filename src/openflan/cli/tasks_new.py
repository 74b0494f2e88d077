"""`openflan tasks new`: a working task from a table."""

import itertools
import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["new"]

_LOOKED_AT = 2_000


def new(
    file: Annotated[Path, typer.Argument(help="A .csv, .jsonl, .jsonl.gz, .parquet or .arrow file.")],
    name: Annotated[str | None, typer.Option("--name", help="The task's name; the file's by default.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the task file; the table's by default.")] = None,
    cluster: Annotated[str | None, typer.Option("--cluster", help="Its cluster, where the guess is wrong.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a task file.")] = False,
) -> None:
    """Write a task file for a table: columns, label and options guessed, ten templates to start from."""
    from openflan.errors import UserError, did_you_mean
    from openflan.importers.written import as_yaml
    from openflan.prompts.lint import check_task
    from openflan.stage import write_atomically
    from openflan.tasks.catalog import Entry
    from openflan.tasks.clusters import CLUSTERS
    from openflan.tasks.guess import guess_task
    from openflan.tasks.readers import is_rows, read_rows
    from openflan.tasks.spec import TaskSpec

    if not is_rows(file):
        raise UserError("no such file", where=str(file), how="give a .csv, .jsonl, .parquet or .arrow file")
    if cluster is not None and cluster not in CLUSTERS:
        raise UserError(f"no cluster '{cluster}'", where="--cluster", how=did_you_mean(cluster, CLUSTERS))
    stem = file.name.split(".")[0] if file.is_file() else file.name
    name = name or re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "task"
    folder = out or file.parent
    path = folder / f"{name}.yaml"
    if path.exists() and not force:
        raise UserError("is already there", where=str(path), how="give another --name, or --force")
    rows = read_rows(file, {})
    first = list(itertools.islice(rows, _LOOKED_AT))
    count = len(first) + sum(1 for _ in rows)
    if not first:
        raise UserError("holds no rows", where=str(file), how="give a table with some")
    named = os.path.relpath(file.resolve(), folder.resolve())
    guess = guess_task(name, first, file=named, count=count, cluster=cluster)
    spec = TaskSpec.model_validate_json(json.dumps(guess.spec, ensure_ascii=False))
    notes = "".join(f"#   {doubt}\n" for doubt in guess.doubts)
    header = f"# Written by `openflan tasks new {file.name}`. Look at:\n{notes}"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, header + as_yaml(guess.spec))
    checked = check_task(Entry(spec=spec, path=path, collection="mine"), strict=False)
    sys.stdout.write(f"{path}: {guess.kind.replace('_', ' ')}, {count:,} rows, {len(spec.templates)} templates\n")
    sys.stdout.writelines(f"  look at {doubt}\n" for doubt in guess.doubts)
    sys.stdout.writelines(f"  fault: {finding.what}\n" for finding in checked.findings)
    sys.stdout.write(f"  openflan tasks show {name} --folder {folder}\n")
