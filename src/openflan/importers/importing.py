"""Files of other tools become task files, in one call.

Invariant: every task that is written renders, or is not written; what could not be imported is told with the reason.
Rejected: a function a tool on the face, which differ in nothing a user says.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from openflan.errors import UserError, did_you_mean
from openflan.importers.lm_eval import import_lm_eval
from openflan.importers.natural_instructions import import_natural_instructions
from openflan.importers.outcome import Imported, ImportOutcome, Refused
from openflan.importers.promptsource import import_promptsource
from openflan.importers.written import write_tasks
from openflan.prompts.render import TaskRenderer
from openflan.tasks.clusters import CLUSTERS

__all__ = ["ImportKind", "TaskImport", "import_tasks"]

ImportKind = Literal["promptsource", "natural-instructions", "lm-eval"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskImport:
    """What an import wrote, and what it left out."""

    tasks: tuple[Imported, ...]
    paths: tuple[Path, ...]
    """The task files, one a task."""
    refused: tuple[Refused, ...]


def import_tasks(
    kind: ImportKind,
    files: Iterable[str | Path],
    out: str | Path,
    *,
    cluster: str | None = None,
    rows: int | None = None,
) -> TaskImport:
    """Turn files of promptsource, Super-NaturalInstructions or lm-evaluation-harness into task files.

    Args:
        kind: `promptsource`, `natural-instructions` or `lm-eval`.
        files: files of that kind.
        out: folder for the task files.
        cluster: the tasks' cluster, where none is clear.
        rows: so many instances at most, of `natural-instructions` files, which alone hold rows.

    Raises:
        UserError: there is no such kind or cluster, a file can't be read, or a task file is there already.
    """
    if kind not in get_args(ImportKind):
        how = did_you_mean(kind, get_args(ImportKind)) or f"one of {', '.join(get_args(ImportKind))}"
        raise UserError(f"can't import '{kind}'", where="tasks import", how=how)
    if cluster is not None and cluster not in CLUSTERS:
        how = did_you_mean(cluster, CLUSTERS) or "`openflan tasks list --clusters` shows them"
        raise UserError(f"no cluster '{cluster}'", where="cluster", how=how)
    if rows is not None and kind != "natural-instructions":
        raise UserError("only natural-instructions files hold rows", where="rows", how="leave it out")
    read = [_read(kind, Path(file), cluster, rows) for file in files]
    tasks = tuple(task for one in read for task in one.tasks)
    origin = f"openflan tasks import {kind}"
    paths = write_tasks(tasks, Path(out), origin=origin, check=TaskRenderer) if tasks else []
    return TaskImport(tasks=tasks, paths=tuple(paths), refused=tuple(one for each in read for one in each.refused))


def _read(kind: ImportKind, file: Path, cluster: str | None, rows: int | None) -> ImportOutcome:
    match kind:
        case "promptsource":
            return import_promptsource(file, cluster=cluster)
        case "lm-eval":
            return import_lm_eval(file, cluster=cluster)
        case "natural-instructions":
            return import_natural_instructions(file, cluster=cluster, limit=rows)
