"""Which tasks a list shows, as an address says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Self

import openflan

__all__ = ["TaskFilter"]

_SOURCES = {"seen": "all of it seen", "unseen": "something not seen"}
_LICENCES = {"commercial": "allows commercial use", "non-commercial": "not commercial", "unclear": "use not known"}


@dataclass(frozen=True, kw_only=True)
class TaskFilter:
    """What is asked for; an empty text asks for nothing."""

    q: str = ""
    """Words that name, description or corpora hold."""
    cluster: str = ""
    collection: str = ""
    kind: str = ""
    metric: str = ""
    licence: str = ""
    """A licence, or one of the groups by use."""
    source: str = ""
    """Whether somebody saw a record of all that the spec says of its source."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """What an address asks for."""
        return cls(**{field.name: query.get(field.name, "").strip()[:200] for field in fields(cls)})

    @property
    def said(self) -> dict[str, str]:
        """What is asked for, without what is empty."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name))}

    def of_tasks(self, tasks: Iterable[openflan.Task]) -> list[openflan.Task]:
        """The tasks that it lets through, by cluster and name."""
        return sorted(filter(self._lets, tasks), key=lambda task: (task.cluster, task.spec.code_cluster, task.name))

    def _lets(self, task: openflan.Task) -> bool:
        spec = task.spec
        words = " ".join([spec.name, spec.dataset or "", spec.description, *spec.lineage]).lower()
        return (
            all(word in words for word in self.q.lower().split())
            and self.cluster in ("", spec.cluster, spec.code_cluster)
            and self.collection in ("", task.collection)
            and self.kind in ("", spec.kind)
            and (not self.metric or self.metric in spec.metrics)
            and self.licence in ("", spec.licence, _use(task))
            and self.source
            in ("", "unseen" if spec.unverified else "seen", *(f"no {what}" for what in spec.unverified))
        )

    @staticmethod
    def choices(tasks: Iterable[openflan.Task]) -> dict[str, list[tuple[str, str, int]]]:
        """By field, what can be asked for: value, words, and how many tasks have it."""
        tasks = list(tasks)

        def counted(values: Iterable[str], words: Mapping[str, str] | None = None) -> list[tuple[str, str, int]]:
            counts = Counter(values)
            order = [name for name in words if counts[name]] if words else sorted(counts, key=str.lower)
            return [(name, (words or {}).get(name, name.replace("_", " ")), counts[name]) for name in order]

        unseen = {f"no {what}": f"{what} not seen" for what in ("files", "size", "licence")}
        return {
            "cluster": counted(name for task in tasks for name in {task.cluster, task.spec.code_cluster}),
            "collection": counted(task.collection for task in tasks),
            "kind": counted(task.spec.kind for task in tasks),
            "metric": counted(name for task in tasks for name in task.spec.metrics),
            "licence": [
                *counted(map(_use, tasks), _LICENCES),
                *((name, name, count) for name, _, count in counted(task.spec.licence for task in tasks)),
            ],
            "source": counted((name for task in tasks for name in _sources(task)), {**_SOURCES, **unseen}),
        }


def _use(task: openflan.Task) -> str:
    return {True: "commercial", False: "non-commercial", None: "unclear"}[task.spec.commercial_use]


def _sources(task: openflan.Task) -> list[str]:
    """What may be asked for of its source that is true of a task."""
    unseen = task.spec.unverified
    return ["unseen" if unseen else "seen", *(f"no {what}" for what in unseen)]
