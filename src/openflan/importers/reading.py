"""Files and folders of other tools, read one after the other.

A file that a user names must be readable; of a folder, whatever can't be imported is listed with its reason, a file
that only others include is none, and of two tasks of one name the first by path is taken.

Invariant: every file of a folder ends in exactly one of tasks, refused or parts. Cost: 5 ms a file.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from openflan.errors import UserError, did_you_mean
from openflan.importers.lm_eval import import_lm_eval
from openflan.importers.natural_instructions import OfficialPart, import_natural_instructions, official_parts
from openflan.importers.outcome import Imported, ImportOutcome, Refused, task_name
from openflan.importers.promptsource import import_promptsource
from openflan.tasks.clusters import CLUSTERS

__all__ = ["ImportKind", "import_files"]

ImportKind = Literal["promptsource", "natural-instructions", "lm-eval"]
_PATTERNS = {"promptsource": ("templates.yaml",), "natural-instructions": ("*.json",), "lm-eval": ("*.yaml", "*.yml")}
_PARTS_ALONE = "is it a part that others include?"


def import_files(
    kind: ImportKind,
    paths: Sequence[Path],
    *,
    cluster: str | None = None,
    rows: int | None = None,
    split: Path | None = None,
    prefix: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportOutcome:
    """Read files, and all files of folders.

    Args:
        kind: `promptsource`, `natural-instructions` or `lm-eval`.
        cluster: the tasks' cluster, where none is clear.
        rows: at most so many instances a task (natural-instructions).
        split: folder with the benchmark's lists of tasks (natural-instructions).
        prefix: stands before every task's name.
        progress: called with files read and files in all.

    Raises:
        UserError: the kind or the cluster is unknown, a setting does not go with the kind, or a named file can't be
            read.
    """
    if kind not in get_args(ImportKind):
        how = did_you_mean(kind, get_args(ImportKind)) or f"one of {', '.join(get_args(ImportKind))}"
        raise UserError(f"can't import '{kind}'", where="tasks import", how=how)
    if cluster is not None and cluster not in CLUSTERS:
        how = did_you_mean(cluster, CLUSTERS) or "`openflan tasks list --clusters` shows them"
        raise UserError(f"no cluster '{cluster}'", where="cluster", how=how)
    for name, value in (("rows", rows), ("split", split)):
        if value is not None and kind != "natural-instructions":
            raise UserError("is for natural-instructions files alone", where=name, how="leave it out")
    if prefix and task_name(prefix) != prefix.rstrip("_"):
        raise UserError(f"'{prefix}' can't begin a task's name", where="prefix", how="use a-z, 0-9 and _, e.g. p3_")
    parts = None if split is None else official_parts(split)
    files = list(_files(kind, paths))
    tasks: dict[str, Imported] = {}
    refused: list[Refused] = []
    for number, (path, named) in enumerate(files, start=1):
        outcome = _read(kind, path, cluster, rows, parts, prefix, named=named)
        progress(number, len(files))
        refused += [one for one in outcome.refused if named or not one.why.endswith(_PARTS_ALONE)]
        for task in outcome.tasks:
            if task.spec.name in tasks and not named:
                refused.append(Refused(what=str(path), why=f"another file makes a task '{task.spec.name}' already"))
            elif task.spec.name in tasks:
                how = "import them into different folders"
                raise UserError(f"two of the files make a task '{task.spec.name}'", where=str(path), how=how)
            else:
                tasks[task.spec.name] = task
    return ImportOutcome(tasks=tuple(tasks.values()), refused=tuple(refused))


def _files(kind: str, paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Files, and whether the user named them."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        inside = sorted({one for pattern in _PATTERNS[kind] for one in path.rglob(pattern) if one.is_file()})
        if not inside:
            what = " or ".join(_PATTERNS[kind])
            raise UserError(f"no {what} in this folder", where=str(path), how=f"give a folder of {kind} files")
        yield from ((one, False) for one in inside)


def _read(
    kind: ImportKind,
    path: Path,
    cluster: str | None,
    rows: int | None,
    parts: dict[str, OfficialPart] | None,
    prefix: str,
    *,
    named: bool,
) -> ImportOutcome:
    try:
        if kind == "promptsource":
            return import_promptsource(path, cluster=cluster, prefix=prefix)
        if kind == "lm-eval":
            return import_lm_eval(path, cluster=cluster, prefix=prefix)
        return import_natural_instructions(path, cluster=cluster, limit=rows, parts=parts, prefix=prefix)
    except UserError as error:
        if named:
            raise
        where = f"{error.where}: " if error.where and error.where != str(path) else ""
        return ImportOutcome(refused=(Refused(what=str(path), why=f"{where}{error.what}"),))
