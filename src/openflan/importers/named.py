"""What the catalog knows of a dataset by the name that another's templates give it: its cluster and its lineage.

Invariant: a name finds the dataset or corpus that is called so whatever its separators (`cosmosqa`, `cosmos_qa`), or
nothing; a dataset that nothing is known of is a corpus of its own. Rejected: such a corpus for every dataset, which
meets no other task's.
"""

import re
from collections.abc import Iterable
from functools import cache

from openflan.tasks.catalog import open_catalog
from openflan.tasks.lineage import known_corpora

__all__ = ["cluster_in_catalog", "lineage_of", "squashed"]


def lineage_of(names: Iterable[str], *, own: str) -> list[str]:
    """The corpora that datasets are made from, each once.

    Args:
        names: what their templates call them; a remark in brackets is none of the name, `;` and `,` part several.
        own: what to call their text where none is known.
    """
    datasets = _datasets()
    lineages = [datasets[name][1] for name in map(squashed, _parted(names)) if name in datasets]
    return list(dict.fromkeys(corpus for corpora in lineages for corpus in corpora)) or [own]


def cluster_in_catalog(names: Iterable[str]) -> tuple[str, str | None] | None:
    """The cluster, and within `misc` the subcluster, of the first of some datasets that the catalog has."""
    datasets = _datasets()
    kinds = (datasets[name][0] for name in map(squashed, _parted(names)) if name in datasets)
    return next((kind for kind in kinds if kind is not None), None)


def squashed(name: str) -> str:
    """A dataset's name without its separators."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _parted(names: Iterable[str]) -> list[str]:
    return [part for name in names for part in re.split("[;,]", re.sub(r"\(.*?\)", "", name))]


@cache
def _datasets() -> dict[str, tuple[tuple[str, str | None] | None, tuple[str, ...]]]:
    """Kind and lineage by every name that a dataset or corpus goes by."""
    by_name: dict[str, tuple[tuple[str, str | None] | None, tuple[str, ...]]] = {
        squashed(name): (None, (name,)) for name in known_corpora()
    }
    for entry in open_catalog([], collections=("catalog",)).select(["catalog"], where="catalog"):
        spec = entry.spec
        hub = None if spec.source.config else (spec.source.hub or "").partition("/")[2]
        for name in {squashed(one) for one in (spec.name, spec.dataset, hub) if one}:
            lineage = by_name.get(name, (None, ()))[1]
            by_name[name] = ((spec.cluster, spec.subcluster), tuple(dict.fromkeys((*lineage, *spec.lineage))))
    return by_name
