"""A first task file for a table: guessed, checked on every row, then written beside it.

Invariant: what is written passes `openflan tasks check`; where it would not, nothing is. Cost: one reading of the
table and one check. Rejected: writing first and telling the faults, which leaves a file that nobody can train on.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from openflan.errors import UserError, did_you_mean, strict_error
from openflan.prompts.lint import check_task
from openflan.recipes.safe_yaml import as_yaml
from openflan.stage import write_atomically
from openflan.tasks.catalog import Entry
from openflan.tasks.clusters import CLUSTERS
from openflan.tasks.delimited import form_of
from openflan.tasks.guess import Guess, guess_task
from openflan.tasks.profile import profile_rows
from openflan.tasks.readers import KINDS, is_rows, is_table, read_rows
from openflan.tasks.sources import load_rows
from openflan.tasks.spec import TaskSpec

__all__ = ["Draft", "draft_task"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A task file that was guessed and written."""

    entry: Entry
    kind: str
    """Which seed templates were taken."""
    rows: int
    form: str
    """How a table of cells is written, in words: separator and encoding."""
    doubts: tuple[str, ...]
    """What its owner should look at."""


def draft_task(
    table: Path,
    *,
    name: str | None = None,
    out: Path | None = None,
    cluster: str | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    force: bool = False,
) -> Draft:
    """Write a task file for a table: columns, label and options guessed, seed templates filled in.

    Args:
        table: a file of rows that `tasks new` reads.
        name: the task's; by default the table's.
        out: folder of the task file; by default the table's.
        cluster: the task's, where the guess is wrong.
        encoding: byte encoding of the table, where it is not UTF-8.
        separator: what stands between its cells, where more than one would fit.
        force: write over a file.

    Raises:
        UserError: there is no such table, no such cluster, a file is in the way, the table can't be read as it is
            written, or no task can be guessed that passes its own check; nothing is written then.
    """
    if not is_rows(table):
        raise UserError("no such file", where=str(table), how=f"give one of {KINDS}")
    if cluster is not None and cluster not in CLUSTERS:
        raise UserError(f"no cluster '{cluster}'", where="cluster", how=did_you_mean(cluster, CLUSTERS))
    stem = table.name.split(".")[0] if table.is_file() else table.name
    name = name or re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "task"
    folder = out or table.parent
    path = folder / f"{name}.yaml"
    if path.exists() and not force:
        raise UserError("is already there", where=str(path), how="give another --name, or --force")
    form = form_of(table, separator=separator, encoding=encoding) if is_table(table) else None
    said = {"encoding": encoding, "separator": form.separator if form and form.separator != "," else separator}
    source = {key: value for key, value in said.items() if value is not None}
    profile = profile_rows(read_rows(table, {}, encoding=encoding, separator=separator))
    if not profile.rows:
        raise UserError("holds no rows", where=str(table), how="give a table with some")
    named = os.path.relpath(table.resolve(), folder.resolve())
    guess = guess_task(name, profile, file=named, cluster=cluster, source=source)
    spec = _checked(guess, path, table)
    notes = "".join(f"#   {doubt}\n" for doubt in guess.doubts)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, f"# Written by `openflan tasks new {table.name}`. Look at:\n{notes}{as_yaml(guess.spec)}")
    return Draft(
        entry=Entry(spec=spec, path=path, collection="mine"),
        kind=guess.kind,
        rows=profile.rows,
        form="" if form is None else str(form),
        doubts=tuple(guess.doubts),
    )


def _checked(guess: Guess, path: Path, table: Path) -> TaskSpec:
    """The guessed task as it will be read, tried on its table.

    Raises:
        UserError: it would not pass its own check.
    """
    how = "mend the table, or write the task by hand: docs/tasks.md shows one"
    try:
        spec = TaskSpec.model_validate_json(json.dumps(guess.spec, ensure_ascii=False))
    except ValidationError as error:
        raise strict_error(error, f"the task guessed for {path.name}", TaskSpec) from None
    except UnicodeEncodeError:
        raise UserError("holds half a character (a lone surrogate) in a label", where=str(path), how=how) from None
    there = spec.source.model_copy(update={"files": {"all": str(table.resolve())}})
    entry = Entry(spec=spec.model_copy(update={"source": there}), path=path, collection="mine")
    if faults := check_task(entry, strict=False).faults:
        raise UserError(
            f"no task could be guessed that passes its check: {faults[0].what}", where=faults[0].where, how=how
        )
    for role in spec.splits:
        load_rows(entry, role)
    return spec
