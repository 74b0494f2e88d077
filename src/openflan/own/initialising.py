"""A folder of tables becomes tasks, a recipe and a page that says what was guessed.

Invariant: a file that is there is never written over, and what is written passes `openflan tasks check`. Cost: one
reading of each table and one check of each task. Rejected: one task file for the whole folder, of which no part can be
mended alone.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import UserError
from openflan.own.proposal import propose
from openflan.own.questions import Ask, TableGuess
from openflan.prompts.drafting import draft_task
from openflan.recipes.ready import RECIPE
from openflan.stage import write_atomically
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.readers import ENDINGS, KINDS

__all__ = ["Initialised", "OwnTask", "holds_tables", "init_folder"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnTask:
    """A task that was made of a table, or was there already."""

    entry: Entry
    kind: str
    """What was recognised; empty for a task that was there already."""
    confidence: float
    """From 0 to 1, how far the next best reading lies behind."""
    rows: int
    guesses: tuple[TableGuess, ...] = ()
    """What was guessed, the least sure first."""
    warnings: tuple[str, ...] = ()
    """What was seen in the rows and what was done about it, a line each."""
    new: bool = True
    """Whether this call wrote it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Initialised:
    """A folder with tasks and a recipe."""

    folder: Path
    recipe: Path
    readme: Path
    tasks: tuple[OwnTask, ...]
    warnings: tuple[str, ...] = ()
    """Tables of which no task was made, and what else concerns the whole folder, a line each."""
    why: tuple[str, ...] = ()
    """What the recipe holds out and mixes in, and what that will prove, a sentence each; none where it was there."""
    study: Path | None = None
    """The study file that holds out each own kind in turn; None where they are too few."""

    @property
    def added(self) -> bool:
        """Whether this call made a task."""
        return any(task.new for task in self.tasks)


def holds_tables(folder: Path) -> bool:
    """Whether a folder has tables and no recipe, so that `init_folder` would make one.

    Args:
        folder: a path, to a folder or to anything else.
    """
    return folder.is_dir() and not (folder / RECIPE).exists() and bool(_tables(folder))


def _tables(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name.endswith(ENDINGS[:-1]))


def init_folder(
    folder: str | Path, *, model: str | None = None, data: str | Path | None = None, ask: Ask | None = None
) -> Initialised:
    """Make tasks of the tables in a folder, and a recipe that tunes a model on them.

    Args:
        folder: holds the tables; `tasks/*.yaml`, `recipe.yaml` and `README.md` are written into it.
        model: hub id or folder of the model to tune; the embedded base where it is None.
        data: a folder with `<task>/<split>.*` files of others' tasks, to mix in where the own kinds are few.
        ask: answers what is unsure; without it guesses are taken and listed.

    Raises:
        UserError: there is no such folder, or no table in it of which a task could be made.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError("no such folder", where=str(folder), how="give a folder with your tables")
    tables = _tables(folder)
    if not tables:
        raise UserError("holds no tables", where=str(folder), how=f"put some there: {KINDS}")
    tasks: list[OwnTask] = []
    warnings: list[str] = []
    place = folder / "tasks"
    there = open_catalog([place], collections=()).entries if place.is_dir() else {}
    for table in tables:
        name = re.sub(r"[^a-z0-9]+", "_", table.name.split(".")[0].lower()).strip("_")
        if name in there:
            tasks.append(OwnTask(entry=there[name], kind="", confidence=1, rows=0, new=False))
            continue
        try:
            draft = draft_task(table, out=place)
        except UserError as error:
            warnings.append(f"{table.name}: no task was made: {error}")
            continue
        tasks.append(
            OwnTask(entry=draft.entry, kind=draft.kind, confidence=0.5, rows=draft.rows, warnings=draft.doubts)
        )
    if not tasks:
        raise UserError(warnings[0], where=str(folder), how="write the tasks by hand: docs/tasks.md shows one")
    recipe, readme = folder / RECIPE, folder / "README.md"
    why: tuple[str, ...] = ()
    study = folder / "holdout.yaml"
    if not recipe.exists():
        proposal = propose(folder, [task.entry for task in tasks], model=model, data=data)
        write_atomically(recipe, proposal.recipe_text)
        why = proposal.why
        if proposal.study_text is not None and not study.exists():
            write_atomically(study, proposal.study_text)
    return Initialised(
        folder=folder,
        recipe=recipe,
        readme=readme,
        tasks=tuple(tasks),
        warnings=tuple(warnings),
        why=why,
        study=study if study.exists() else None,
    )
