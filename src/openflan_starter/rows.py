"""Rows of the suite's tasks: what a spec's `source: {starter: name}` reads.

Row i of a split is drawn with chance seeded by (task, split, i), from content of the split's own domain, so train,
validation and test share no context, among them or with the prose. `confirm` has further rows of the domain `test`,
none of them in `test`: for figures that nothing was chosen by. Labels go round in shuffled blocks: each is as frequent
as the others, and the right option stands in each place equally often.

Invariant: `rows` is a pure function of (task, split); no two rows of a task are alike. Cost: 2,000 rows in 0.1 s
(train) and 400 in 0.1 s (test). Rejected: rows as data files: 70,000 lines that nobody would read, in place of
the 400 that make them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from openflan.errors import UserError, did_you_mean
from openflan_starter.chance import Chance, Domain
from openflan_starter.check_rows import CHECKS
from openflan_starter.language_rows import LANGUAGE
from openflan_starter.reading_rows import READING
from openflan_starter.row_maker import Maker
from openflan_starter.sense_rows import SENSE
from openflan_starter.world import world

__all__ = ["COUNTS", "TASKS", "context_of", "count", "rows"]

COUNTS: dict[str, int] = {"train": 2_000, "validation": 100, "test": 400, "confirm": 400}
"""Rows of every task by split."""

_IN_PROSE = re.compile(r"\w+ felt \w+\.")
"""A context that the prose about moods may hold too, whatever the domain of the feeling."""

_DOMAINS: dict[str, Domain] = {"train": "train", "validation": "validation", "test": "test", "confirm": "test"}
_MAKERS: dict[str, Maker] = {**READING, **SENSE, **LANGUAGE, **CHECKS}

TASKS: tuple[str, ...] = tuple(_MAKERS)
"""Names of the row generators."""


def count(task: str, split: str) -> int:
    """How many rows the split has."""
    _maker(task)
    if split not in COUNTS:
        raise UserError(
            f"starter rows have no split '{split}'",
            how=did_you_mean(split, COUNTS) or "use train, validation, test or confirm",
        )
    return COUNTS[split]


def rows(task: str, split: str) -> Iterator[dict[str, Any]]:
    """The rows of a task's split, in order."""
    maker = _maker(task)
    w = world()
    seen = {_key(row) for row in rows(task, "test")} if split == "confirm" else set()
    order: list[int] = []
    for i in range(count(task, split)):
        if not order:
            order = Chance("labels", task, split, i).shuffled(range(maker.classes))
        label = order.pop()
        for attempt in range(400):
            row = maker.make(w, Chance("rows", task, split, i, attempt), _DOMAINS[split], label)
            key = _key(row or {})
            if row is not None and key not in seen and not (split != "train" and _stale(str(row[maker.context]))):
                seen.add(key)
                yield row
                break
        else:
            raise AssertionError(f"{task}: the world has too few rows for {split} at {i}")


def _key(row: Mapping[str, Any]) -> str:
    """What makes two rows the same one, in whatever order their options stand."""
    return json.dumps({k: sorted(v) if isinstance(v, list) else v for k, v in row.items() if k != "label"})


def _stale(context: str) -> bool:
    """Whether an evaluation context is in the prose by chance, whatever its domain."""
    return context in _found() or bool(_IN_PROSE.fullmatch(context))


@cache
def _found() -> frozenset[str]:
    text = files("openflan_starter").joinpath("data", "stale.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def context_of(task: str, row: dict[str, Any]) -> str:
    """The text of a row that must be in no pretraining document."""
    return str(row[_maker(task).context])


def _maker(task: str) -> Maker:
    if task not in _MAKERS:
        raise UserError(f"the starter world has no rows '{task}'", how=did_you_mean(task, _MAKERS))
    return _MAKERS[task]
