"""Row cleaning that specs name: small functions from a row to a cleaned row, or None to drop it.

A step may add fields; a spec's `fields` are checked after its steps. A KeyError in one means that the source lacks
a field.

Invariant: a step never changes the row it was given. Cost: microseconds a row. Rejected: expressions in YAML, which
can't be tested one by one.
"""

from openflan.tasks.rows import (
    articles,
    dialogues,
    dropping,
    facts,
    formatting,
    parts,
    personal,
    quizzes,
    stories,
    summaries,
    texts,
)
from openflan.tasks.rows.registry import STEPS, UNROLL, Row

__all__ = [
    "STEPS",
    "UNROLL",
    "Row",
    "articles",
    "dialogues",
    "dropping",
    "facts",
    "formatting",
    "parts",
    "personal",
    "quizzes",
    "stories",
    "summaries",
    "texts",
]
