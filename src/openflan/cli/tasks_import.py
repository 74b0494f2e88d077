"""`openflan tasks import`: templates and tasks of other tools become task files."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import JsonOption, named
from openflan.cli.progress import watcher
from openflan.errors import UserError

__all__ = ["import_"]


def import_(
    kind: Annotated[str, typer.Argument(help="promptsource, natural-instructions or lm-eval.")],
    files: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files of that kind, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the task files.")],
    cluster: Annotated[str | None, typer.Option("--cluster", help="The tasks' cluster, where none is clear.")] = None,
    rows: Annotated[
        int | None, typer.Option("--rows", min=3, help="At most so many instances (natural-instructions).")
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option("--split", help="Folder with train_, test_ and excluded_tasks.txt (natural-instructions)."),
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Stands before every task's name, e.g. p3_.")] = "",
    json_: JsonOption = False,
) -> None:
    """Turn files of promptsource, Super-NaturalInstructions or lm-evaluation-harness into tasks of your own."""
    with (
        named(cluster="--cluster", rows="--rows", split="--split", prefix="--prefix"),
        watcher(quiet=json_ or not any(file.is_dir() for file in files)) as watch,
    ):
        watch.started("import")

        def progress(done: int, total: int) -> None:
            watch.progress("import", done, total, unit="files")

        done = openflan.import_tasks(
            kind,  # type: ignore[arg-type]
            files,
            out,
            cluster=cluster,
            rows=rows,
            split=split,
            prefix=prefix,
            progress=progress,
        )
        watch.ended("import")
    tasks, paths, refused = done.tasks, done.paths, done.refused
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
        if len(tasks) > 1 or refused:
            templates = sum(len(task.spec.templates) for task in tasks)
            sys.stdout.write(f"{len(tasks):,} tasks, {templates:,} templates imported; {len(refused):,} refused\n")
    if not tasks:
        raise UserError("nothing could be imported", where=str(files[0]), how="the reasons are listed above")


def _record(task: "openflan.Imported", path: Path) -> dict[str, object]:
    return {
        "name": task.spec.name,
        "path": str(path),
        "kind": task.spec.kind,
        "templates": list(task.templates),
        "rows": len(task.rows),
        "notes": list(task.notes),
    }
