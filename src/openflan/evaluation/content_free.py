"""Rows without content: what a model says to them, it says of no row (Zhao et al. 2021, "Calibrate before use").

A row keeps its label, what finds it among the options, and the shape of everything else; every text in it becomes
"N/A", "[MASK]" or nothing, and numbers too where the template can do without them. A pair of texts becomes a pair of
equal ones, which is what the method's authors do.

Invariant: a pure function of the task and a row. Rejected: a word of the task's own, which every task would have to
name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from openflan.prompts.styles import label_fields
from openflan.tasks.sources import SourceRow
from openflan.tasks.spec import TaskSpec

__all__ = ["WITHOUT_CONTENT", "rows_without_content"]

_WORDS = ("N/A", "[MASK]", "")
WITHOUT_CONTENT = len(_WORDS)
"""Rows without content that a task has, where all its rows have the same options."""


def rows_without_content(spec: TaskSpec, fields: Mapping[str, Any]) -> Iterator[tuple[SourceRow, SourceRow]]:
    """For each word without content the row of which every text and number is that word, and the one that keeps its
    numbers, which a template may count or cut by.

    Args:
        fields: a row of the task, whose shape they have.
    """
    labels = label_fields(spec)
    for number, word in enumerate(_WORDS):
        whole, with_numbers = (
            {name: value if name in labels else _emptied(value, word, numbers) for name, value in fields.items()}
            for numbers in (True, False)
        )
        yield SourceRow(index=-1 - number, fields=whole), SourceRow(index=-1 - number, fields=with_numbers)


def _emptied(value: Any, word: str, numbers: bool) -> Any:
    if isinstance(value, dict):
        return {key: _emptied(item, word, numbers) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_emptied(item, word, numbers) for item in value)
    number = numbers and isinstance(value, int | float) and not isinstance(value, bool)
    return word if isinstance(value, str) or number else value
