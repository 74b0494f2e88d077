"""A task's templates edited: what its file would say, what changes in it, and the file written.

A task of the user's folder is edited where it is. Any other, such as one that comes with openflan, is copied into the
folder first, under a name of its own, for a name stands for one task: the copy keeps source, splits, answer and lineage
and calls the original its dataset, so that its rows are found where the original's are and leave tuning where those do.

    edit_template(task, {"input": "..."}, number=2, folder="mine") -> TaskEdit    nothing is written
    edit.diff                                                                     what changes
    edit.write()                                                                  the file, whole or not at all

Invariant: nothing outside the folder is written; no file that would not load; no file that changed in between. Comments
and order of the file stay. Cost: 10 ms. Rejected: overrides that a catalog merges by name, after which a recipe's
`rte` means another thing on every machine.
"""

import difflib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from openflan.errors import UserError
from openflan.prompts.render import TaskRenderer
from openflan.prompts.task import Task
from openflan.prompts.trial import as_template, with_template
from openflan.recipes.safe_yaml import parse_yaml
from openflan.recipes.yaml_edit import with_item, with_keys
from openflan.stage import user_file_errors, whole_file, write_atomically
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.spec import NAME, Template, task_of

__all__ = ["DiffLine", "TaskEdit", "edit_template"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffLine:
    """A line of a difference between two texts."""

    kind: Literal["same", "added", "removed", "place"]
    """`place`: line numbers of what follows, where lines are left out before it."""
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskEdit:
    """A change to a task's file that is not written yet."""

    task: Task
    """The task as it would be."""
    before: str
    """The file's text as it is; of a copy, that of the original."""
    after: str
    """As it would be."""
    copied: Path | None = None
    """The original's file, where the task is copied into the folder."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.task.path

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return self.copied is not None or self.before != self.after

    @property
    def diff(self) -> tuple[DiffLine, ...]:
        """What changes in the file, with three lines around each change."""
        kinds: dict[str, Literal["same", "added", "removed", "place"]] = {
            " ": "same", "+": "added", "-": "removed", "@": "place",
        }  # fmt: skip
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), lineterm="")
        shown = [line for number, line in enumerate(lines) if number >= 2]  # after the names of the two files
        return tuple(
            DiffLine(kind=kinds[line[0]], text=line.strip("@ ") if line[0] == "@" else line[1:]) for line in shown
        )

    def write(self) -> Task:
        """Write the file; the task in it.

        Raises:
            UserError: the file changed since it was read, a file of the copy's name is there, or the disk is at fault.
        """
        if self.copied is None:
            if not self.path.is_file() or _read(self.path) != self.before:
                how = "look at it again, and make the change anew"
                raise UserError("was changed by somebody else in the meantime", where=str(self.path), how=how)
        elif self.path.exists():
            raise UserError("is already there", where=str(self.path), how="give the copy another name")
        with user_file_errors(self.path):
            if self.copied is not None and (twin := _twin(self.copied)).is_file():
                with whole_file(_twin(self.path)) as partial:
                    shutil.copyfile(twin, partial)
            write_atomically(self.path, self.after)
        return self.task


def edit_template(
    task: Entry,
    template: Template | Mapping[str, object] | None,
    *,
    folder: str | Path,
    number: int | None = None,
    name: str | None = None,
) -> TaskEdit:
    """What a task's file would say with a template changed, added or taken out; nothing is written.

    Args:
        task: the task; where its file is not in the folder, a copy is edited.
        template: the template, or its keys as in a task file; None takes that of the number out.
        folder: the user's folder of task files, the only one that is written to.
        number: of the template whose place it takes, from 0; without one it is added after the others.
        name: of a copy; by default the original's with `my_` before it.

    Raises:
        UserError: it is no template, can't be run, or the task would not load; there is no such folder; or another task
            has the copy's name.
    """
    place = Path(folder)
    if not place.is_dir():
        raise UserError("no such folder of tasks", where=str(place), how="make it first, or name another")
    with_template(task, template, number)  # what no file is needed for to see
    inside = task.path.resolve().is_relative_to(place.resolve())
    if inside and name not in (None, task.spec.name):
        how = "leave the name out"
        raise UserError(f"task '{task.spec.name}' is in the folder already, as it is called", where="name", how=how)
    before = _read(task.path)
    path = task.path if inside else place / f"{_copy_name(task, name, place)}.yaml"
    text = before if inside else _copied(task, before, path)
    if task.spec.family is not None and not (inside and "templates" in parse_yaml(text)):
        text = with_keys(text, {"templates": [_written(one) for one in task.spec.templates]})
    number = len(task.spec.templates) if number is None else number
    item = None if template is None else as_template(template, where=str(path))
    same = item is not None and task.spec.templates[number : number + 1] == (item,)
    after = text if same else with_item(text, "templates", number, None if item is None else _written(item))
    spec = task_of(parse_yaml(after), path)
    edited = Task(spec=spec, path=path, collection="mine", folder=place.resolve().name)
    TaskRenderer(edited)
    return TaskEdit(task=edited, before=before, after=after, copied=None if inside else task.path)


def _copy_name(task: Entry, name: str | None, folder: Path) -> str:
    """The name of a copy.

    Raises:
        UserError: another task has it, or a task file in the folder is at fault.
    """
    entries = open_catalog([folder]).entries
    if name is not None:
        if not NAME.match(name):
            raise UserError(f"'{name}' is no name of a task", where="name", how="it may hold only a-z, 0-9 and _")
        if name in entries or name == task.spec.name:
            raise UserError(f"there is a task '{name}' already", where="name", how="a name stands for one task only")
        return name
    name, more = f"my_{task.spec.name}", 2
    while name in entries:
        name, more = f"my_{task.spec.name}_{more}", more + 1
    return name


def _copied(task: Entry, text: str, path: Path) -> str:
    """A task file's text under another name in another folder, whole in itself."""
    spec = task.spec
    changes: dict[str, Any] = {"name": path.stem}
    if not spec.source.local_files:
        text = with_keys(text, {"dataset": spec.dataset or spec.name}, after="cluster")
    else:
        source = dict(parse_yaml(text)["source"])
        source["files"] = {
            split: os.path.relpath((task.path.parent / Path(file).expanduser()).resolve(), path.parent.resolve())
            for split, file in spec.source.local_files.items()
        }
        changes["source"] = source
    if spec.family is not None:
        shared = parse_yaml(_read(task.path.with_name(f"{spec.family}.templates.yaml")))
        content = parse_yaml(text)
        changes |= {key: value for key, value in shared.items() if key not in content}
        changes["family"] = None
    return with_keys(text, changes)


def _written(template: Template) -> dict[str, Any]:
    """A template as a task file has it: what goes without saying is left out."""
    content: dict[str, Any] = template.model_dump(mode="json", exclude_defaults=True)
    return content


def _twin(path: Path) -> Path:
    return path.with_name(f"{path.stem}.twin.jsonl")


def _read(path: Path) -> str:
    """A file's text.

    Raises:
        UserError: it can't be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UserError("can't be read", where=str(path), how="check that it is there, and in UTF-8") from None
