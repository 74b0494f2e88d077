"""Lineage: which corpora a task's text comes from, and which tasks share one.

Clusters are about task types; the same text can stand in two of them. WNLI is made of the Winograd schemas that the
coreference tasks ask about, QNLI of SQuAD, ReCoRD of CNN and Daily Mail articles. `corpora.yaml` is the graph: each
corpus, and the corpora it was made from. A corpus marked `broad` (all of Wikipedia, the web) is named but condemns
nothing, for two tasks drawn from it need not share a line. A name that the file has not is a corpus of your own.

Invariant: a path is symmetric: if A condemns B, B condemns A. Cost: 2 ms.
Rejected: edges between pairs of tasks, which the next task doubles.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from openflan.errors import UserError, did_you_mean
from openflan.recipes.safe_yaml import read_yaml
from openflan.records import Record

__all__ = ["Corpus", "Descent", "known_corpora", "shared_source", "shared_sources"]

_FILE = Path(__file__).with_name("corpora.yaml")


class Corpus(Record):
    """A body of text that datasets are made from."""

    what: str
    broad: bool = False
    """So large that two tasks drawn from it need not share a text."""
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Descent:
    """How two tasks come by the same text."""

    corpus: str
    left: tuple[str, ...]
    """From the first task's own corpus down to the shared one."""
    right: tuple[str, ...]


@cache
def known_corpora() -> Mapping[str, Corpus]:
    """All corpora by name.

    Raises:
        UserError: the file names a corpus that it does not define.
    """
    data = read_yaml(_FILE, kind="file of corpora", how="install openflan again")
    try:
        corpora = TypeAdapter(dict[str, Corpus]).validate_python(data, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{first['msg']}", where=f"{_FILE}, {'.'.join(map(str, first['loc']))}") from None
    for name, corpus in corpora.items():
        for source in corpus.made_from:
            if source not in corpora:
                how = did_you_mean(source, corpora)
                raise UserError(f"no corpus '{source}'", where=f"{_FILE}, {name}.made_from", how=how)
    return corpora


def _ancestors(start: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Every corpus reached from some, with the shortest way to it."""
    corpora = known_corpora()
    paths: dict[str, tuple[str, ...]] = {name: (name,) for name in start}
    waiting = list(paths)
    for name in waiting:
        for source in corpora[name].made_from if name in corpora else ():
            if source not in paths:
                paths[source] = (*paths[name], source)
                waiting.append(source)
    return paths


def shared_sources(left: Iterable[str], right: Iterable[str]) -> tuple[Descent, ...]:
    """The corpora, no broad ones, that two lineages share, the nearest first.

    What a nearer one of them was made from is no further reason, and left out.
    """
    ours, theirs = _ancestors(left), _ancestors(right)
    shared = [name for name in ours if name in theirs and not _is_broad(name)]
    nearest: list[str] = []
    for name in sorted(shared, key=lambda name: (len(ours[name]) + len(theirs[name]), name)):
        if not any(name in _ancestors([nearer]) for nearer in nearest):
            nearest.append(name)
    return tuple(Descent(corpus=name, left=ours[name], right=theirs[name]) for name in nearest)


def shared_source(left: Iterable[str], right: Iterable[str]) -> Descent | None:
    """The nearest corpus, not a broad one, that two lineages share; None where they share none."""
    return next(iter(shared_sources(left, right)), None)


def _is_broad(name: str) -> bool:
    corpora = known_corpora()
    return name in corpora and corpora[name].broad
