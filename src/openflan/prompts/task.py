"""Tasks to look at: what one asks, its rows, and how a row reads under every template.

    tasks = Tasks()                       # those that come with openflan; Tasks(folders=["desk"]) adds your own
    tasks["rte"].prompts(0)               # a row under each template that fits it
    tasks.select("sentiment")             # by task, cluster or collection

Where a task's rows are on the hub, its twin is shown (a dozen rows written for openflan, of the same shape) unless
real ones are asked for, so that looking needs no network.

Invariant: a prompt shown here is the one that a mixture would hold in the plain style. Cost: opening the catalog takes
0.1 s, once a process.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from openflan.errors import UserError, did_you_mean
from openflan.prompts.lint import TaskCheck, check_task
from openflan.prompts.render import Prompt
from openflan.prompts.showing import ShownRow, show_prompts, show_row
from openflan.prompts.trial import TemplateTrial, try_template
from openflan.recipes.parts import StylePart
from openflan.tasks.catalog import COLLECTIONS, Entry, open_catalog
from openflan.tasks.clusters import CLUSTERS, SUBCLUSTERS
from openflan.tasks.errata import ERRATA, Fidelity, active_errata, as_fidelity, errata_of
from openflan.tasks.local import files_of, find_data
from openflan.tasks.paging import PagedRows
from openflan.tasks.sources import SourceRow, load_rows, load_twin
from openflan.tasks.spec import Template
from openflan.tasks.splits import Role, official_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Task", "Tasks", "folder_of_data"]


class Task(Entry):
    """One task: its spec, its rows, and its prompts.

    An `Entry` of the catalog that can be looked at; it goes wherever an entry goes.
    """

    @classmethod
    def of(cls, entry: Entry) -> "Task":
        """The task of a catalog's entry."""
        return entry if isinstance(entry, cls) else cls(spec=entry.spec, path=entry.path, collection=entry.collection)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.spec.name

    @property
    def cluster(self) -> str:
        """The paper's cluster that it belongs to (Wei et al. 2022, figure 3)."""
        return self.spec.cluster

    @property
    def official_rows(self) -> int | None:
        """Training rows of the official dataset; None where the spec does not say."""
        return official_rows(self.spec, "train")

    @property
    def errata(self) -> dict[str, str]:
        """Points in which the authors' code treats this task's rows otherwise than the paper: name and what it does."""
        return {name: ERRATA[name].what for name in errata_of(self.spec)}

    def rows(
        self, split: Role = "train", *, data: str | Path | None = None, limit: int | None = None
    ) -> "pd.DataFrame":
        """Cleaned rows, a column a field; the index is the place in the source split, from 0.

        Args:
            split: which rows: `train`, `validation` or `test`; of a twin, all are shown.
            data: a folder with `<task>/<split>.*` files, `twins`, or `hub` to download the real dataset; without it
                the folder that OPENFLAN_DATA names, else the twin.
            limit: so many rows at most, the first.

        Raises:
            UserError: there is no such split, file or twin, or a row breaks the task's contract.
        """
        import pandas as pd

        rows = self.source_rows(split, data=data, limit=limit)
        index = pd.Index([row.index for row in rows], name="row")
        return pd.DataFrame([row.fields for row in rows], index=index)

    def source_rows(
        self, split: Role = "train", *, data: str | Path | None = None, limit: int | None = None
    ) -> list[SourceRow]:
        """The same rows, each with its place in the source split, as `try_template` takes them.

        Args:
            split: as for `rows`.
            data: as for `rows`.
            limit: as for `rows`.

        Raises:
            UserError: as `rows`.
        """
        place = folder_of_data(data)
        if self._by_twin(data, place):
            return load_twin(self)[:limit]
        return load_rows(self, _role(split), data=place, limit=limit)

    def paged(self, split: Role = "train", *, data: str | Path | None = None) -> PagedRows:
        """The same rows a page at a time, from anywhere in the split, for sets that no memory holds.

        Args:
            split: as for `rows`.
            data: as for `rows`.

        Raises:
            UserError: as `rows`.
        """
        place = folder_of_data(data)
        return PagedRows(self, _role(split), data=place, twin=self._by_twin(data, place))

    def files(self, split: Role = "train", *, data: str | Path | None = None) -> list[Path]:
        """The files of this machine that a split's rows are read from, some of which may be missing.

        Your own, the task's folder in a folder of data, or its twin; none where rows come from the hub or are made.

        Args:
            split: as for `rows`.
            data: as for `rows`.

        Raises:
            UserError: there is no such split or folder of data.
        """
        return files_of(self, _role(split), folder_of_data(data), twin=self._by_twin(data, folder_of_data(data)))

    def show_row(self, row: SourceRow, *, style: StylePart | None = None, key: int = 0) -> ShownRow:
        """A row that was read already, under every template that fits it; one that fails on it stops no other.

        Args:
            row: one of the task's rows.
            style: how prompts are made, by default in the plain style.
            key: draws what the style leaves open, such as the markers of the options.

        Raises:
            UserError: the task's templates are at fault whatever the row.
        """
        return show_prompts(self, row, style=style or StylePart(), key=key)

    def try_template(
        self,
        template: Template | Mapping[str, object],
        row: SourceRow,
        *,
        number: int | None = None,
        others: Sequence[SourceRow] = (),
    ) -> TemplateTrial:
        """What a template that no file has yet makes of a row, and what `check` would say of it; nothing is raised.

        Args:
            template: the template, or its keys as in a task file.
            row: the row to render.
            number: of the task's template whose place it would take, from 0; without one it is a further template.
            others: more rows to look for faults on; a few dozen take milliseconds.
        """
        return try_template(self, template, row, number=number, others=others)

    def show(self, row: int = 0, *, split: Role = "train", data: str | Path | None = None) -> ShownRow:
        """A row with its prompts under every template that fits it, and as a text to continue.

        Args:
            row: which of the cleaned rows, from 0.
            split: as for `rows`.
            data: as for `rows`.

        Raises:
            UserError: as `rows`; or there are fewer rows, or a template fails on this one.
        """
        return show_row(self, row, role=_role(split), data=folder_of_data(data), hub=data == "hub")

    def prompts(self, row: int = 0, *, split: Role = "train", data: str | Path | None = None) -> list[Prompt]:
        """A row under every template that fits it, in the templates' order.

        Args:
            row: as for `show`.
            split: as for `show`.
            data: as for `show`.

        Raises:
            UserError: as `show`.
        """
        return list(self.show(row, split=split, data=data).prompts)

    def check(self, *, data: str | Path | None = None, strict: bool | None = None) -> TaskCheck:
        """Render every template on every row at hand and collect what is wrong; nothing is raised for a faulty task.

        Args:
            data: a folder with `<task>/<split>.*` files to check too.
            strict: hold it to the rules of the shipped catalog: ten templates, a twin, licence, lineage; by default
                only the catalog's own tasks.

        Raises:
            UserError: there is no such folder of data.
        """
        strict = self.collection == "catalog" if strict is None else strict
        return check_task(self, data=folder_of_data(data), strict=strict)

    def _by_twin(self, data: str | Path | None, place: Path | None) -> bool:
        """Whether rows are the twin's: nothing else is at hand and nothing else is asked for."""
        return place is None and data != "hub" and not self.spec.source.starter and not self.spec.source.files


class Tasks:
    """The catalog: tasks by name, those that come with openflan and your own.

    Args:
        folders: folders of task files of your own.
        fidelity: `paper`, or `code-v1`: rows as the authors' released code cleans them.

    Raises:
        UserError: a folder is missing, a file is no task, or two files define one name.
    """

    def __init__(self, folders: Iterable[str | Path] = (), *, fidelity: Fidelity = "paper") -> None:
        self.errata: frozenset[str] = active_errata(as_fidelity(fidelity), {}, where="fidelity")
        """Switches that are on (docs/tasks.md)."""
        self._catalog = open_catalog([Path(folder) for folder in folders], errata=self.errata)

    def __getitem__(self, name: str) -> Task:
        if name not in self._catalog.entries:
            how = did_you_mean(name, self._catalog.entries) or "see `openflan tasks list`"
            raise UserError(f"no task '{name}'", how=how)
        return Task.of(self._catalog.entries[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalog.entries)

    def __len__(self) -> int:
        return len(self._catalog.entries)

    def __contains__(self, name: object) -> bool:
        return name in self._catalog.entries

    def __repr__(self) -> str:
        return f"Tasks({len(self)} in {len({task.cluster for task in self.select()})} clusters)"

    def select(self, *words: str, where: str = "tasks") -> list[Task]:
        """Tasks that the names of tasks, clusters or collections stand for, each once, sorted by name.

        A cluster does not stand for chains of thought, which are no zero-shot tasks of it; the collection `cot` does.

        Args:
            words: names; all tasks without any.
            where: what the words come from, for messages.

        Raises:
            UserError: a word is none of the three.
        """
        return [Task.of(entry) for entry in self._catalog.select(words or [*COLLECTIONS, "mine"], where=where)]

    @property
    def clusters(self) -> dict[str, str]:
        """The paper's twelve clusters (Wei et al. 2022, figure 3), and those of your own: name and what it asks for."""
        own = {entry.spec.cluster for entry in self._catalog.entries.values()} - set(CLUSTERS)
        return {**CLUSTERS, **dict.fromkeys(sorted(own), "of your own")}

    @property
    def subclusters(self) -> dict[str, str]:
        """What the cluster `misc` is made of: name and what it asks for."""
        return dict(SUBCLUSTERS)

    def table(self, *words: str) -> "pd.DataFrame":
        """A line a task: cluster, kind, metrics, templates, official training rows, licence.

        Args:
            words: as for `select`.

        Raises:
            UserError: as `select`.
        """
        import pandas as pd

        chosen: Sequence[Task] = self.select(*words)
        records = [
            {
                "task": task.name,
                "cluster": task.cluster,
                "collection": task.collection,
                "kind": task.spec.kind,
                "metrics": ", ".join(task.spec.metrics),
                "templates": len(task.spec.templates),
                "rows": task.official_rows,
                "licence": task.spec.licence,
            }
            for task in chosen
        ]
        return pd.DataFrame(records).set_index("task").sort_values(["cluster", "task"])


def _role(split: str) -> Role:
    if split not in get_args(Role):
        raise UserError(f"no split '{split}'", where="split", how="train, validation or test")
    return split  # type: ignore[return-value]


def folder_of_data(data: str | Path | None) -> Path | None:
    """The folder of rows that a user names, or `OPENFLAN_DATA`; None stands for the hub.

    Raises:
        UserError: there is no such folder.
    """
    return None if data == "hub" else find_data(None if data is None else str(data))
