"""Files of other tools become task files, in one call.

Invariant: every task that is written renders, or is not written; what could not be imported is told with the reason.
Rejected: a function a tool on the face, which differ in nothing a user says.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from openflan.importers.outcome import Imported, Refused
from openflan.importers.reading import ImportKind, import_files
from openflan.importers.written import write_tasks
from openflan.prompts.render import TaskRenderer

__all__ = ["TaskImport", "import_tasks"]


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
    split: str | Path | None = None,
    prefix: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TaskImport:
    """Turn files of promptsource, Super-NaturalInstructions or lm-evaluation-harness into task files.

    Args:
        kind: `promptsource`, `natural-instructions` or `lm-eval`.
        files: files of that kind, or folders of them.
        out: folder for the task files.
        cluster: the tasks' cluster, where none is clear.
        rows: so many instances at most, of `natural-instructions` files, which alone hold rows.
        split: folder with the benchmark's lists of what is trained on, tested on and left out (`natural-instructions`).
        prefix: stands before every task's name, so that it is not one of the catalog's.
        progress: called with files read and files in all.

    Raises:
        UserError: there is no such kind or cluster, a file can't be read, or a task file is there already.
    """
    outcome = import_files(
        kind,
        [Path(file) for file in files],
        cluster=cluster,
        rows=rows,
        split=None if split is None else Path(split),
        prefix=prefix,
        progress=progress,
    )
    origin = f"openflan tasks import {kind}"
    paths = write_tasks(outcome.tasks, Path(out), origin=origin, check=TaskRenderer) if outcome.tasks else []
    return TaskImport(tasks=outcome.tasks, paths=tuple(paths), refused=outcome.refused)
