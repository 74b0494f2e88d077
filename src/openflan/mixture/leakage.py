"""The leak check: no held-out item stands in the tuning set, or how many do and where.

Every training row is held against every row that a held-out task is measured on: field by field, so that templates,
option headers and boilerplate never count and a yes/no task is protected by its texts. A shared 13-gram is a leak, as
in the contamination analyses of GPT-3 and FLAN (Wei et al. 2022, appendix C), but measured on the *tuning* set.

    mode rows     training rows that overlap are dropped, and counted by which pair of tasks they cost
    mode strict   their whole task is dropped
    mode warn     nothing is dropped; dirty items are flagged, and results are told for clean ones too

Invariant: in mode rows or strict, a second check of what is left finds nothing. Cost: mixture/ngrams.py.
Rejected: checking rendered prompts, where two tasks' shared wording looks like a leak and a short label hides one.
"""

from collections.abc import Iterator, Sequence

from openflan.mixture.certificate import ItemCounts, LeakCertificate, LeakEdge, LeakMode, LeakPair
from openflan.mixture.holdout import Condemned
from openflan.mixture.ngrams import NgramIndex, Text, words_of
from openflan.tasks.catalog import Entry
from openflan.tasks.columns import strings_in
from openflan.tasks.sources import SourceRow
from openflan.tasks.spec import TaskSpec

__all__ = ["check_leakage", "texts_of"]

_N = 13
_SHORT = 4
"""Words that a row's longest field must have to be compared."""
_SIDE = 8
"""Words that its other fields must have: a question or an option of fewer is anybody's."""
_PAIRS = 20
"""Worst pairs that are shown."""

TaskRows = Sequence[tuple[Entry, Sequence[SourceRow]]]


def texts_of(spec: TaskSpec, row: SourceRow, *, side: int = _SIDE) -> Iterator[list[str]]:
    """The texts by which a row is known, as words: its columns, each text on its own, label and short ones left out.

    Args:
        side: words that all but the longest text must have. For training rows a few are enough, for a short text counts
            only where it is the whole of a held-out one.
    """
    label = spec.answer.field if spec.is_classification else ""
    names = [name for name in spec.columns or spec.fields if name != label and name in row.fields]
    texts = [words_of(text) for name in names for text in strings_in(row.fields[name])]
    longest = max(texts, key=len, default=[])
    for words in texts:
        if len(words) >= (_SHORT if words is longest else side):
            yield words


def check_leakage(
    tuned: TaskRows, held_out: TaskRows, *, mode: LeakMode, lineage: Sequence[Condemned] = ()
) -> LeakCertificate:
    """Hold training rows against held-out rows.

    Args:
        tuned: tasks to tune on, with their rows.
        held_out: tasks to measure, with their rows.
        lineage: tasks that left before, for their lineage; only told.
    """
    items = [(entry, row) for entry, rows in held_out for row in rows]
    lineage_names = tuple(condemned.entry.spec.name for condemned in lineage)
    if not items:
        return LeakCertificate(n=_N, mode=mode, items={}, edges=(), lineage=lineage_names, dirty={}, pairs=())
    index = NgramIndex([Text(n, words) for n, (e, row) in enumerate(items) for words in texts_of(e.spec, row)], n=_N)
    exact: set[int] = set()
    shared: set[int] = set()
    by_edge: dict[tuple[str, str], tuple[set[int], set[int]]] = {}
    pairs: list[LeakPair] = []
    for entry, rows in tuned:
        training = (
            Text(place, words) for place, row in enumerate(rows) for words in texts_of(entry.spec, row, side=_SHORT)
        )
        for hit in index.hits(training):
            held_out_entry, item = items[hit.held]
            shared.add(hit.held)
            if hit.exact:
                exact.add(hit.held)
            hit_items, hit_rows = by_edge.setdefault((entry.spec.name, held_out_entry.spec.name), (set(), set()))
            if hit.held not in hit_items and len(hit_items) < _PAIRS:
                pairs.append(
                    LeakPair(
                        task=entry.spec.name,
                        row=rows[hit.train].index,
                        held_out=held_out_entry.spec.name,
                        item=item.index,
                        exact=hit.exact,
                        shared=hit.shared,
                    )
                )
            hit_items.add(hit.held)
            hit_rows.add(rows[hit.train].index)
    pairs.sort(key=lambda pair: (not pair.exact, -len(pair.shared), pair.task, pair.row))
    overlapping: dict[str, set[int]] = {}
    for (task, _), (_, hit_rows) in by_edge.items():
        overlapping.setdefault(task, set()).update(hit_rows)
    numbers: dict[str, list[int]] = {entry.spec.name: [] for entry, _ in held_out}
    for number, (entry, _) in enumerate(items):
        numbers[entry.spec.name].append(number)
    left = shared if mode == "warn" else set()
    return LeakCertificate(
        n=_N,
        mode=mode,
        items={
            name: ItemCounts(
                total=len(of_task),
                exact=sum(number in exact for number in of_task),
                ngram=sum(number in shared for number in of_task),
                dirty=sum(number in left for number in of_task),
            )
            for name, of_task in numbers.items()
            if of_task
        },
        edges=tuple(
            LeakEdge(task=task, held_out=measured, items=len(hit_items), rows=len(hit_rows))
            for (task, measured), (hit_items, hit_rows) in sorted(by_edge.items())
        ),
        lineage=lineage_names,
        dirty={name: tuple(items[n][1].index for n in of_task if n in left) for name, of_task in numbers.items()},
        rows_dropped={task: frozenset(rows) for task, rows in overlapping.items()} if mode == "rows" else {},
        tasks_dropped=frozenset(overlapping) if mode == "strict" else frozenset(),
        pairs=tuple(pairs[:_PAIRS]),
    )
