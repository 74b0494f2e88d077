"""The leak certificate: no held-out item stands in the tuning set, or how many do and where.

Every training row is held against every row that a held-out task is measured on: field by field, so that templates,
option headers and boilerplate never count and a yes/no task is protected by its texts. A shared 13-gram is a leak, as
in the contamination analyses of GPT-3 and FLAN (Wei et al. 2022, appendix C), but measured on the *tuning* set.

    mode rows     training rows that overlap are dropped, and counted by which pair of tasks they cost
    mode strict   their whole task is dropped
    mode warn     nothing is dropped; dirty items are flagged, and results are told for clean ones too

Invariant: in mode rows or strict, a second check of what is left finds nothing. Cost: mixture/ngrams.py.
Rejected: checking rendered prompts, where two tasks' shared wording looks like a leak and a short label hides one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from openflan.errors import UserError
from openflan.mixture.holdout import Condemned
from openflan.mixture.ngrams import NgramIndex, Text, words_of
from openflan.stage import fingerprint_of
from openflan.tasks.catalog import Entry
from openflan.tasks.columns import strings_in
from openflan.tasks.sources import SourceRow
from openflan.tasks.spec import TaskSpec

__all__ = ["Leakage", "check_leakage", "read_leakage", "texts_of"]

_N = 13
_SHORT = 4
"""Words that a row's longest field must have to be compared."""
_SIDE = 8
"""Words that its other fields must have: a question or an option of fewer is anybody's."""
_PAIRS = 20
"""Worst pairs that are shown."""

Mode = Literal["rows", "strict", "warn"]
Rows = Sequence[tuple[Entry, Sequence[SourceRow]]]


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """What the check found and what it cost."""

    mode: Mode
    items: Mapping[str, Mapping[str, int]]
    """By held-out task: `total` items, those with an `exact` equal text, with a shared `ngram` (a text of fewer than 13
    words counts as one), and `dirty` ones that are still in the tuning set."""
    edges: Sequence[Mapping[str, Any]]
    """By pair of tasks: `task`, `held_out`, held-out `items` hit, training `rows` that hit them."""
    pairs: Sequence[Mapping[str, Any]]
    """A few of the hits, with row numbers and the shared words."""
    dirty: Mapping[str, Sequence[int]]
    """By held-out task: places in the source split of the items that are in the tuning set."""
    rows_to_drop: Mapping[str, frozenset[int]] = field(default_factory=dict)
    tasks_to_drop: frozenset[str] = frozenset()
    lineage: Sequence[str] = ()
    """Tasks that the hold-out had dropped before, for their lineage."""

    @property
    def clean(self) -> bool:
        """Whether no held-out item is in the tuning set."""
        return not any(self.dirty.values())

    @property
    def verdict(self) -> str:
        """The finding in words."""
        total = sum(counts["total"] for counts in self.items.values())
        hit = sum(counts["ngram"] for counts in self.items.values())
        dropped = sum(map(len, self.rows_to_drop.values()))
        if not total:
            return "No held-out item was there to be checked."
        if not hit:
            return f"Clean: none of {total:,} held-out items shares a text with the tuning set."
        cost = f"{dropped:,} training rows were dropped for it"
        if self.tasks_to_drop:
            cost = f"{', '.join(sorted(self.tasks_to_drop))} was dropped for it"
        if self.clean:
            return f"Clean: {hit:,} of {total:,} held-out items shared a text with training rows; {cost}."
        return f"Leaking: {hit:,} of {total:,} held-out items share a text with the tuning set."

    def to_json(self, *, mixture: str) -> str:
        """The certificate of a mixture, as `leakage.json` holds it."""
        record = {
            "mixture": mixture,
            "n": _N,
            "mode": self.mode,
            "clean": self.clean,
            "verdict": self.verdict,
            "items": {task: dict(counts) for task, counts in self.items.items()},
            "edges": [dict(edge) for edge in self.edges],
            "lineage": list(self.lineage),
            "dirty": {task: list(places) for task, places in self.dirty.items()},
            "rows_dropped": {task: sorted(rows) for task, rows in self.rows_to_drop.items()},
            "tasks_dropped": sorted(self.tasks_to_drop),
            "pairs": [dict(pair) for pair in self.pairs],
        }
        return json.dumps({"hash": fingerprint_of(record), **record}, indent=1, ensure_ascii=False)


def read_leakage(mixture: Path, *, key: str | None = None) -> Leakage:
    """The certificate in a mixture folder.

    Args:
        key: the mixture that it must be the certificate of.

    Raises:
        UserError: there is none, it was changed by hand, or it belongs to another mixture.
    """
    path = mixture / "leakage.json"
    how = "mix again: a mixture without its leak certificate is not trained on"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        stated = record.pop("hash")
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, KeyError, AttributeError):
        raise UserError("no leak certificate", where=str(path), how=how) from None
    if stated != fingerprint_of(record):
        raise UserError("the leak certificate was changed after it was made", where=str(path), how=how)
    if key is not None and record["mixture"] != key:
        raise UserError("the leak certificate of another mixture", where=str(path), how=how)
    return Leakage(
        mode=record["mode"],
        items=record["items"],
        edges=record["edges"],
        pairs=record["pairs"],
        dirty=record["dirty"],
        rows_to_drop={task: frozenset(rows) for task, rows in record["rows_dropped"].items()},
        tasks_to_drop=frozenset(record["tasks_dropped"]),
        lineage=record["lineage"],
    )


def texts_of(spec: TaskSpec, row: SourceRow, *, side: int = _SIDE) -> Iterator[list[str]]:
    """The texts by which a row is known, as words: its columns, each text on its own, label and short ones left out.

    Args:
        side: words that all but the longest text must have. For training rows a few are enough, for a short text counts
            only where it is the whole of a held-out one.
    """
    label = spec.answer.field if spec.is_classification else ""
    names = [name for name in spec.columns or spec.fields if name != label and name in row.fields]
    found = [words_of(text) for name in names for text in strings_in(row.fields[name])]
    longest = max(found, key=len, default=[])
    for words in found:
        if len(words) >= (_SHORT if words is longest else side):
            yield words


def check_leakage(tuned: Rows, held_out: Rows, *, mode: Mode, lineage: Sequence[Condemned] = ()) -> Leakage:
    """Hold training rows against held-out rows.

    Args:
        tuned: tasks to tune on, with their rows.
        held_out: tasks to measure, with their rows.
        lineage: tasks that left before, for their lineage; only told.
    """
    items = [(entry, row) for entry, rows in held_out for row in rows]
    if not items:
        return Leakage(
            mode=mode, items={}, edges=[], pairs=[], dirty={}, lineage=[one.entry.spec.name for one in lineage]
        )
    index = NgramIndex([Text(n, words) for n, (e, row) in enumerate(items) for words in texts_of(e.spec, row)], n=_N)
    exact: set[int] = set()
    shared: set[int] = set()
    by_edge: dict[tuple[str, str], tuple[set[int], set[int]]] = {}
    pairs: list[dict[str, Any]] = []
    for entry, rows in tuned:
        training = (
            Text(place, words) for place, row in enumerate(rows) for words in texts_of(entry.spec, row, side=_SHORT)
        )
        for hit in index.hits(training):
            other, item = items[hit.held]
            shared.add(hit.held)
            if hit.exact:
                exact.add(hit.held)
            hit_items, hit_rows = by_edge.setdefault((entry.spec.name, other.spec.name), (set(), set()))
            if hit.held not in hit_items and len(hit_items) < _PAIRS:
                pairs.append(
                    {
                        "task": entry.spec.name,
                        "row": rows[hit.train].index,
                        "held_out": other.spec.name,
                        "item": item.index,
                        "exact": hit.exact,
                        "shared": hit.shared,
                    }
                )
            hit_items.add(hit.held)
            hit_rows.add(rows[hit.train].index)
    pairs.sort(key=lambda pair: (not pair["exact"], -len(pair["shared"]), pair["task"], pair["row"]))
    to_drop: dict[str, set[int]] = {}
    for (task, _), (_, hit_rows) in by_edge.items():
        to_drop.setdefault(task, set()).update(hit_rows)
    left = shared if mode == "warn" else set()
    dirty = {entry.spec.name: [] for entry, _ in held_out}  # type: dict[str, list[int]]
    for number in sorted(left):
        dirty[items[number][0].spec.name].append(items[number][1].index)
    counts: dict[str, dict[str, int]] = {}
    for number, (entry, _) in enumerate(items):
        count = counts.setdefault(entry.spec.name, {"total": 0, "exact": 0, "ngram": 0, "dirty": 0})
        count["total"] += 1
        count["exact"] += number in exact
        count["ngram"] += number in shared
        count["dirty"] += number in left
    return Leakage(
        mode=mode,
        items=counts,
        edges=[
            {"task": task, "held_out": other, "items": len(hit_items), "rows": len(hit_rows)}
            for (task, other), (hit_items, hit_rows) in sorted(by_edge.items())
        ],
        pairs=pairs[:_PAIRS],
        dirty=dirty,
        rows_to_drop={task: frozenset(rows) for task, rows in to_drop.items()} if mode == "rows" else {},
        tasks_to_drop=frozenset(to_drop) if mode == "strict" else frozenset(),
        lineage=[one.entry.spec.name for one in lineage],
    )
