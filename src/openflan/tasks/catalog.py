"""The catalog: which tasks there are, by name.

Four collections: `starter` (the embedded suite), `catalog` (FLAN's datasets), `cot` (the Flan Collection's
chains of thought) and `mine` (folders a recipe names).
A task of your own behaves like a built-in one; a name may stand for one task only.

Cost: reading every file takes about 100 ms, once a process for those that come with openflan; only the collections
asked for are read. Rejected: a registry that
modules fill when imported, whose content depends on what was imported before.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import openflan
import openflan_starter
from openflan.errors import UserError, did_you_mean
from openflan.tasks.clusters import CLUSTERS, SUBCLUSTERS
from openflan.tasks.errata import apply_errata
from openflan.tasks.spec import TaskSpec, load_task

__all__ = ["COLLECTIONS", "Catalog", "Entry", "open_catalog"]

_PACKAGE = Path(openflan.__file__).parent

COLLECTIONS: dict[str, Path] = {
    "starter": openflan_starter.SUITE,
    "catalog": _PACKAGE / "tasks" / "catalog",
    "cot": _PACKAGE / "tasks" / "cot",
}
"""The collections that come with openflan."""


_TASKS_OWN = re.compile(rb"^(cluster|answer|source|metrics|family)\s*:", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A task, where it was read from and the collection it belongs to."""

    spec: TaskSpec
    path: Path
    collection: str
    folder: str = ""
    """Name of the user's folder that it was read from."""

    @property
    def own(self) -> bool:
        """Whether it is a task on the user's own rows: from a folder of theirs, not of the hub or the starter world."""
        source = self.spec.source
        return self.collection == "mine" and source.hub is None and source.starter is None

    @property
    def told_cluster(self) -> str:
        """The cluster that results name it by: of an own task, which no table of the paper has, its subcluster."""
        return self.spec.code_cluster if self.own else self.spec.cluster

    @property
    def called(self) -> tuple[str, ...]:
        """What a recipe may call the task by: what its spec is called by, its collection, its folder."""
        return tuple(word for word in (*self.spec.called, self.collection, self.folder) if word)


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """All known tasks by name."""

    entries: dict[str, Entry]

    def select(self, words: Iterable[str], *, where: str) -> list[Entry]:
        """Tasks that names of tasks, datasets, clusters, collections or folders stand for, each once, sorted by name.

        A cluster does not stand for chains of thought, which are no zero-shot tasks of it; `cot` does.

        Raises:
            UserError: a word is none of these.
        """
        chosen: dict[str, Entry] = {}
        for position, word in enumerate(words):
            matching = [
                entry
                for entry in self.entries.values()
                if word in entry.called
                and (entry.collection != "cot" or word not in (entry.spec.cluster, entry.spec.subcluster))
            ]
            if not matching and word not in (*CLUSTERS, *SUBCLUSTERS, *COLLECTIONS, "mine"):
                names = [*self.entries, *CLUSTERS, *SUBCLUSTERS, *COLLECTIONS]
                raise UserError(
                    f"no task, cluster or collection '{word}'",
                    where=f"{where}[{position}]",
                    how=did_you_mean(word, names) or "`openflan tasks list` shows them all",
                )
            chosen.update({entry.spec.name: entry for entry in matching})
        return [chosen[name] for name in sorted(chosen)]


def open_catalog(
    folders: Sequence[Path] = (), *, collections: Iterable[str] = COLLECTIONS, errata: frozenset[str] = frozenset()
) -> Catalog:
    """Read the named collections and the user's folders.

    Args:
        errata: switches that change cleaning steps (openflan.tasks.errata).

    Raises:
        UserError: a folder is missing, a file is no task, or two files define one name.
    """
    entries: dict[str, Entry] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError("no such folder of tasks", where=str(folder), how="check tasks.folders in the recipe")
    read = [(name, "", _shipped(name)) for name in collections]
    read += [("mine", folder.resolve().name, _tasks_in(folder)) for folder in folders]
    for collection, folder_name, specs in read:
        for path, written in specs:
            spec = apply_errata(written, errata)
            if spec.name in entries:
                raise UserError(
                    f"task '{spec.name}' is already defined in {entries[spec.name].path}",
                    where=str(path),
                    how="rename one of the two",
                )
            entries[spec.name] = Entry(spec=spec, path=path, collection=collection, folder=folder_name)
    return Catalog(entries=entries)


@cache
def _shipped(collection: str) -> tuple[tuple[Path, TaskSpec], ...]:
    """The tasks of a collection that comes with openflan."""
    return _tasks_in(COLLECTIONS[collection])


def _tasks_in(folder: Path) -> tuple[tuple[Path, TaskSpec], ...]:
    """The task files under a folder; hidden folders and what is no task (a recipe beside them) are passed over."""
    paths = [path for path in sorted(folder.rglob("*.yaml")) if not path.name.endswith(".templates.yaml")]
    seen = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return tuple((path, load_task(path)) for path in seen if _is_task(path))


def _is_task(path: Path) -> bool:
    """Whether a file has a key that only tasks have; what is wrong in a task is for `load_task` to say."""
    try:
        text = path.read_bytes()
    except OSError as error:
        how = "mend the link, or take it away" if path.is_symlink() else "check its permissions"
        raise UserError(f"can't be read: {error.strerror}", where=str(path), how=how) from None
    return _TASKS_OWN.search(text) is not None or text.lstrip().startswith(b"{")
