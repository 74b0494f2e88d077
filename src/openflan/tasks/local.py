"""Where the files of a task's rows lie: among the user's own, in folders of data, or its twin beside it.

Invariant: what a folder of data has stands in for the hub, and a twin only where the user said so; two files that could
be meant are refused.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from openflan.errors import UserError
from openflan.tasks.catalog import Entry
from openflan.tasks.readers import ENDINGS, KINDS, is_rows
from openflan.tasks.splits import Role, parse_slice

__all__ = ["TWINS", "files_of", "find_data", "folders_of", "is_twin", "local_path", "places_of", "twin_of"]

TWINS = Path(":twins:")
"""In place of a folder of data, or after folders: read the tasks' twins."""

_TWINS = "twins"
"""What a user writes for them."""


def find_data(named: str | None, find: Callable[[str], Path] = Path) -> Path | None:
    """The folders of rows that a setting or, without one, the environment variable OPENFLAN_DATA names.

    Several are written as in PATH, `rows:more-rows`, and looked through in that order. A task that none of them has
    comes from its hub, or with `twins` at the end from its twin.

    Args:
        named: folders, `twins`, both, or None.
        find: resolves a relative path.

    Raises:
        UserError: there is no such folder.
    """
    where = "tasks.data"
    if named is None and os.environ.get("OPENFLAN_DATA"):
        named, where, find = os.environ["OPENFLAN_DATA"], "OPENFLAN_DATA", Path
    if named is None:
        return None
    *folders, last = [named] if find(named).is_dir() else named.split(os.pathsep)
    twins = last == _TWINS
    places = [find(folder) for folder in (folders if twins else [*folders, last])]
    for folder in places:
        if not folder.is_dir():
            raise UserError("no such folder of data", where=f"{where}: {named}", how="check the path")
    return Path(os.pathsep.join([*map(str, places), *([str(TWINS)] if twins else [])]))


def places_of(data: Path | None) -> tuple[list[Path], bool]:
    """The folders to look through, and whether twins stand in for what they lack."""
    text, twins = ("" if data is None else str(data)), False
    if text.endswith(str(TWINS)):
        text, twins = text.removesuffix(str(TWINS)).removesuffix(os.pathsep), True
    folders = [Path(text)] if Path(text).is_dir() else [Path(part) for part in text.split(os.pathsep) if part]
    return (folders if text else []), twins


def folders_of(entry: Entry, data: Path | None) -> list[Path]:
    """Where a task's files lie among folders of data: the first folder of its name, else of its dataset's."""
    for name in dict.fromkeys((entry.spec.name, entry.spec.dataset)):
        if there := [folder / name for folder in places_of(data)[0] if name and (folder / name).is_dir()]:
            return there[:1]
    return []


def local_path(entry: Entry, role: Role, split: str, data: Path | None) -> Path | None:
    """The file that holds a split, or None where the hub is to be asked.

    Args:
        role: whose name a folder of data may use in the split's place.
        data: what `find_data` found.

    Raises:
        UserError: there is no such file, or two are.
    """
    source = entry.spec.source
    if source.local_files is not None:
        if split not in source.local_files:
            raise UserError(
                f"source.files has no split '{split}'", where=str(entry.path), how=f"add it for splits.{role}"
            )
        path = entry.path.parent / Path(source.local_files[split]).expanduser()
        if not is_rows(path):
            raise UserError("no such file", where=str(path), how=f"mend source.files.{split} in {entry.path}")
        return path
    if source.starter is not None:
        return None
    for folder in folders_of(entry, data):
        return _file_of(entry, folder, dict.fromkeys((split, role)))
    return twin_of(entry) if places_of(data)[1] else None


def files_of(entry: Entry, role: Role, data: Path | None, *, twin: bool = False) -> list[Path]:
    """The files that a role's rows are read from, some of which may be missing; of a folder of data, the task's folder.

    Args:
        data: what `find_data` found.
        twin: the twin's rows are read, whatever else is there.
    """
    source = entry.spec.source
    if source.local_files is not None:
        files = source.local_files
        split = parse_slice(entry.spec.splits[role])[0]
        read = [*files.values()] if source.apart is not None else [files[split]] if split in files else []
        return [entry.path.parent / Path(name).expanduser() for name in read]
    if source.starter is not None:
        return []
    if not twin and (folders := folders_of(entry, data)):
        return folders
    return [_twin_path(entry)] if twin or places_of(data)[1] else []


def _file_of(entry: Entry, folder: Path, names: Iterable[str]) -> Path:
    """The file in a task's folder that holds a split, under the first name that has one; of whatever kind it is."""
    for name in names:
        there = [folder / f"{name}{ending}" for ending in ENDINGS if is_rows(folder / f"{name}{ending}")]
        if len(there) > 1:
            raise UserError(
                f"two files of split '{name}': {there[0].name} and {there[1].name}",
                where=str(folder),
                how="keep the one that is meant",
            )
        if there:
            return there[0]
    first = next(iter(names))
    raise UserError(
        f"no file of split '{first}' for task '{entry.spec.name}'",
        where=str(folder),
        how=f"put {first}.jsonl there ({KINDS}), or take the folder away",
    )


def is_twin(entry: Entry, path: Path) -> bool:
    """Whether a file is the task's twin."""
    return entry.spec.source.local_files is None and path == _twin_path(entry)


def _twin_path(entry: Entry) -> Path:
    return entry.path.with_name(f"{entry.spec.name}.twin.jsonl")


def twin_of(entry: Entry) -> Path:
    """The task's twin.

    Raises:
        UserError: it has none.
    """
    path = _twin_path(entry)
    if not path.is_file():
        how = "give rows with --data DIR" if entry.collection == "catalog" else "write some rows there in your schema"
        raise UserError(f"task '{entry.spec.name}' has no twin", where=str(path), how=how)
    return path
