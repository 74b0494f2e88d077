"""A first task file for a table: guessed, written beside it, checked.

Invariant: what is written reads back as the task that was guessed. Cost: one reading of the table and one check.
Rejected: writing into the table's folder before the guess stands, which leaves half a file behind an error.
"""

import itertools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import UserError, did_you_mean
from openflan.prompts.lint import Fault, check_task
from openflan.recipes.safe_yaml import as_yaml
from openflan.stage import write_atomically
from openflan.tasks.catalog import Entry
from openflan.tasks.clusters import CLUSTERS
from openflan.tasks.guess import guess_task
from openflan.tasks.readers import is_rows, read_rows
from openflan.tasks.spec import TaskSpec

__all__ = ["Draft", "draft_task"]

_LOOKED_AT = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A task file that was guessed and written."""

    entry: Entry
    kind: str
    """Which seed templates were taken."""
    rows: int
    doubts: tuple[str, ...]
    """What its owner should look at."""
    faults: tuple[Fault, ...]


def draft_task(
    table: Path, *, name: str | None = None, out: Path | None = None, cluster: str | None = None, force: bool = False
) -> Draft:
    """Write a task file for a table: columns, label and options guessed, seed templates filled in.

    Args:
        table: a file of rows that `tasks new` reads.
        name: the task's; by default the table's.
        out: folder of the task file; by default the table's.
        cluster: the task's, where the guess is wrong.
        force: write over a file.

    Raises:
        UserError: there is no such table, no such cluster, a file is in the way, or no task can be guessed.
    """
    if not is_rows(table):
        raise UserError("no such file", where=str(table), how="give a .csv, .jsonl, .parquet or .arrow file")
    if cluster is not None and cluster not in CLUSTERS:
        raise UserError(f"no cluster '{cluster}'", where="cluster", how=did_you_mean(cluster, CLUSTERS))
    stem = table.name.split(".")[0] if table.is_file() else table.name
    name = name or re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "task"
    folder = out or table.parent
    path = folder / f"{name}.yaml"
    if path.exists() and not force:
        raise UserError("is already there", where=str(path), how="give another --name, or --force")
    rows = iter(read_rows(table, {}))
    first = list(itertools.islice(rows, _LOOKED_AT))
    count = len(first) + sum(1 for _ in rows)
    if not first:
        raise UserError("holds no rows", where=str(table), how="give a table with some")
    guess = guess_task(
        name, first, file=os.path.relpath(table.resolve(), folder.resolve()), count=count, cluster=cluster
    )
    spec = TaskSpec.model_validate_json(json.dumps(guess.spec, ensure_ascii=False))
    notes = "".join(f"#   {doubt}\n" for doubt in guess.doubts)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, f"# Written by `openflan tasks new {table.name}`. Look at:\n{notes}{as_yaml(guess.spec)}")
    entry = Entry(spec=spec, path=path, collection="mine")
    faults = check_task(entry, strict=False).faults
    return Draft(entry=entry, kind=guess.kind, rows=count, doubts=tuple(guess.doubts), faults=tuple(faults))
