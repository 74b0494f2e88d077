"""`openflan tasks import`: templates and tasks of other tools become task files."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openflan.cli.options import JsonOption

if TYPE_CHECKING:
    from openflan.importers.outcome import Imported, ImportOutcome

__all__ = ["import_"]

_KINDS = ("promptsource", "natural-instructions", "lm-eval")


def import_(
    kind: Annotated[str, typer.Argument(help="promptsource, natural-instructions or lm-eval.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of that kind.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the task files.")],
    cluster: Annotated[str | None, typer.Option("--cluster", help="The tasks' cluster, where none is clear.")] = None,
    rows: Annotated[
        int | None, typer.Option("--rows", min=3, help="At most so many instances (natural-instructions).")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Turn files of promptsource, Super-NaturalInstructions or lm-evaluation-harness into tasks of your own."""
    from openflan.errors import UserError, did_you_mean
    from openflan.importers.written import write_tasks
    from openflan.prompts.render import TaskRenderer
    from openflan.tasks.clusters import CLUSTERS

    if kind not in _KINDS:
        how = did_you_mean(kind, _KINDS) or f"one of {', '.join(_KINDS)}"
        raise UserError(f"can't import '{kind}'", where="tasks import", how=how)
    if cluster is not None and cluster not in CLUSTERS:
        how = did_you_mean(cluster, CLUSTERS) or "`openflan tasks list --clusters` shows them"
        raise UserError(f"no cluster '{cluster}'", where="--cluster", how=how)
    if rows is not None and kind != "natural-instructions":
        raise UserError("only natural-instructions files hold rows", where="--rows", how="leave it out")
    read = [_read(kind, file, cluster, rows) for file in files]
    tasks = [task for one in read for task in one.tasks]
    refused = [one for each in read for one in each.refused]
    paths = write_tasks(tasks, out, origin=f"openflan tasks import {kind}", check=TaskRenderer) if tasks else []
    if json_:
        record = {
            "tasks": [_record(task, path) for task, path in zip(tasks, paths, strict=True)],
            "refused": [{"what": one.what, "why": one.why} for one in refused],
        }
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    else:
        for task, path in zip(tasks, paths, strict=True):
            size = f", {len(task.rows):,} rows" if task.rows else ""
            sys.stdout.write(f"{path}: {task.spec.kind}, {len(task.spec.templates)} templates{size}\n")
            sys.stdout.writelines(f"  look at {note}\n" for note in task.notes)
            sys.stdout.write(f"  openflan tasks show {task.spec.name} --folder {out}\n")
        sys.stdout.writelines(f"not imported: {one.what}: {one.why}\n" for one in refused)
    if not tasks:
        raise UserError("nothing could be imported", where=str(files[0]), how="the reasons are listed above")


def _read(kind: str, file: Path, cluster: str | None, rows: int | None) -> "ImportOutcome":
    from openflan.importers.lm_eval import import_lm_eval
    from openflan.importers.natural_instructions import import_natural_instructions
    from openflan.importers.promptsource import import_promptsource

    if kind == "promptsource":
        return import_promptsource(file, cluster=cluster)
    if kind == "lm-eval":
        return import_lm_eval(file, cluster=cluster)
    return import_natural_instructions(file, cluster=cluster, limit=rows)


def _record(task: "Imported", path: Path) -> dict[str, object]:
    return {
        "name": task.spec.name,
        "path": str(path),
        "kind": task.spec.kind,
        "templates": list(task.templates),
        "rows": len(task.rows),
        "notes": list(task.notes),
    }
