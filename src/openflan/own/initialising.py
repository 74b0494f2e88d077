"""A folder of tables becomes tasks, a recipe and a page that says what was guessed.

Invariant: a file that is there is never written over, and what is written passes `openflan tasks check`. Cost: one
reading of each table and one check of each task. Rejected: one task file for the whole folder, of which no part can be
mended alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from openflan.errors import UserError
from openflan.own.making import OwnTask, make_task
from openflan.own.page import page_of, written_page
from openflan.own.proposal import check_named, propose
from openflan.own.questions import Ask
from openflan.own.tables import TableFiles, find_tables
from openflan.recipes.ready import RECIPE
from openflan.stage import write_atomically
from openflan.tasks.catalog import COLLECTIONS, Entry, open_catalog
from openflan.tasks.readers import KINDS

__all__ = ["Initialised", "holds_tables", "init_folder"]


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
    return folder.is_dir() and not (folder / RECIPE).exists() and bool(find_tables(folder))


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
    place = folder / "tasks"
    there = open_catalog([place], collections=()).entries if place.is_dir() else {}
    tables = _renamed(find_tables(folder))
    if not tables and not there:
        raise UserError("holds no tables", where=str(folder), how=f"put some there: {KINDS}")
    if not (folder / RECIPE).exists():
        check_named(folder, model=model, data=data)
    tasks: list[OwnTask] = []
    warnings: list[str] = []
    for table in tables:
        if earlier := _made_of(table, there):
            tasks.append(OwnTask(entry=earlier, kind="", confidence=1, rows=sum(earlier.spec.size.values()), new=False))
            continue
        try:
            tasks.append(make_task(table, out=place, ask=ask))
        except UserError as error:
            warnings.append(f"{table.shown}: no task was made: {error}")
    names = {task.entry.spec.name for task in tasks}
    tasks += [
        OwnTask(entry=entry, kind="", confidence=1, rows=sum(entry.spec.size.values()), new=False)
        for name, entry in there.items()
        if name not in names
    ]
    if not tasks:
        raise UserError(warnings[0], where=str(folder), how="write the tasks by hand: docs/tasks.md shows one")
    recipe, readme, study = folder / RECIPE, page_of(folder), folder / "holdout.yaml"
    why: tuple[str, ...] = ()
    if not recipe.exists():
        proposal = propose(folder, [task.entry for task in tasks], model=model, data=data)
        write_atomically(recipe, proposal.recipe_text)
        why = proposal.why
        if proposal.study_text is not None and not study.exists():
            write_atomically(study, proposal.study_text)
    if any(task.new for task in tasks):
        write_atomically(readme, written_page(readme, tasks, warnings, why))
    return Initialised(
        folder=folder,
        recipe=recipe,
        readme=readme,
        tasks=tuple(tasks),
        warnings=tuple(warnings),
        why=why,
        study=study if study.exists() else None,
    )


def _renamed(tables: list[TableFiles]) -> list[TableFiles]:
    """Tables under names that no task of openflan's has and that no two share."""
    names = set(open_catalog(collections=COLLECTIONS).entries)
    named: list[TableFiles] = []
    for table in tables:
        name = f"my_{table.name}" if table.name in names else table.name
        more = 2
        while name in names:
            name, more = f"{table.name}_{more}", more + 1
        names.add(name)
        named.append(replace(table, name=name))
    return named


def _made_of(table: TableFiles, there: Mapping[str, Entry]) -> Entry | None:
    """The task that is there already for a table: of its name, or one that reads its files."""
    if table.name in there:
        return there[table.name]
    paths = {path.resolve() for path in table.files.values()}
    for entry in there.values():
        files = (entry.spec.source.local_files or {}).values()
        if entry.spec.source.sheet == table.sheet and paths & {
            (entry.path.parent / Path(file).expanduser()).resolve() for file in files
        }:
            return entry
    return None
