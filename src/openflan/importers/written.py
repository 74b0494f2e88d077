"""Imported tasks on disk: all of them, or none.

Invariant: everything is written into a hidden folder, read back and rendered once by the caller's check, then moved
into place, a task's rows before its file. Rejected: writing as one goes, which leaves half an import behind an error.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from openflan.errors import UserError
from openflan.importers.outcome import Imported
from openflan.recipes.safe_yaml import as_yaml
from openflan.stage import user_file_errors, write_atomically
from openflan.tasks.catalog import Entry
from openflan.tasks.spec import load_task

__all__ = ["write_tasks"]


def write_tasks(tasks: Sequence[Imported], out: Path, *, origin: str, check: Callable[[Entry], object]) -> list[Path]:
    """Write tasks into a folder; returns their files.

    Args:
        origin: what they were made by, for the first line of each file.
        check: raises a UserError where a task that was read back is not fit.

    Raises:
        UserError: two tasks have one name, a file is already there, or a task is not fit.
    """
    seen: set[str] = set()
    for task in tasks:
        if task.spec.name in seen:
            how = "import them into different folders"
            raise UserError(f"two of the files make a task '{task.spec.name}'", where=str(out), how=how)
        seen.add(task.spec.name)
        for name in _files(task):
            if (out / name).exists():
                raise UserError("is already there", where=str(out / name), how="give another --out, or remove it")
    with user_file_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=".import-", dir=out))
        try:
            for task in tasks:
                _write(task, hidden, origin)
            for task in tasks:
                path = hidden / f"{task.spec.name}.yaml"
                check(Entry(spec=load_task(path), path=path, collection="mine"))
            for task in tasks:
                for name in _files(task):
                    (hidden / name).rename(out / name)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    return [out / f"{task.spec.name}.yaml" for task in tasks]


def _files(task: Imported) -> list[str]:
    return ([f"{task.spec.name}.jsonl"] if task.rows else []) + [f"{task.spec.name}.yaml"]


def _write(task: Imported, folder: Path, origin: str) -> None:
    lines = [f"Written by `{origin}`."]
    lines += [f"Look at {note}" for note in task.notes]
    lines += [f"Template {number}: {name}" for number, name in enumerate(task.templates, start=1)]
    header = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    printable = "".join(char if char.isprintable() or char == "\n" else "?" for char in header)
    text = as_yaml(dict(task.data))
    write_atomically(folder / f"{task.spec.name}.yaml", printable + text)
    if task.rows:
        rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in task.rows)
        write_atomically(folder / f"{task.spec.name}.jsonl", rows)
