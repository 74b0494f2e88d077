"""Cells that hold more than a text: a list or an object, written as JSON, as Python writes it, or between separators.

    ["a", "b"]    ['a', 'b']    ['a' 'b']    {'text': array(['a', 'b'], dtype=object)}    a | b    a; b

A table of cells has no lists; what wrote them is another program each time. A column whose contract is a list or a
mapping reads such a cell, in every kind of file.

Invariant: nothing is run; a text that is none of these stays a text. Cost: 3 µs a cell of JSON.
Rejected: `eval`; and guessing a cell's kind row by row, where one row's text may look like a list.
"""

import ast
import json
import re
from typing import Any

__all__ = ["LIST_SEPARATORS", "looks_nested", "parse_nested", "split_list", "turned"]

LIST_SEPARATORS = ("|", ";", "\n", ",", "/")
"""What may stand between the items of a list in a cell, the likeliest first."""

_ARRAY = re.compile(r"\b(?:np\.)?array\((\[.*?\])(?:,\s*dtype=[^)]*)?\)", re.DOTALL)
_COMMA = re.compile(r"['\"]\s*,\s*['\"]")
_GAP = re.compile(r"(?<=['\"])\s+(?=['\"])")
_NESTED = re.compile(r"\s*(?:\[.*\]|\{.*\})\s*", re.DOTALL)


def looks_nested(text: str) -> bool:
    """Whether a text stands between the brackets of a list or an object."""
    return text[:1] in "[{ \n" and _NESTED.fullmatch(text) is not None


def parse_nested(text: str) -> Any:
    """The list or object that a cell holds; None where it is neither."""
    if not looks_nested(text):
        return None
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = _python_literal(text)
    return parsed if isinstance(parsed, list | dict) else None


def split_list(text: str, separator: str) -> list[str]:
    """The items between separators, without blanks around them; empty ones are left out."""
    return [item for part in text.split(separator) if (item := part.strip())]


def turned(items: list[Any]) -> dict[str, list[Any]] | None:
    """A list of objects of the same keys as one of lists: `[{text: a, n: 1}, …]` as `{text: [a, …], n: [1, …]}`."""
    if not items or not all(isinstance(item, dict) and item.keys() == items[0].keys() for item in items):
        return None
    return {key: [item[key] for item in items] for key in items[0]}


def _python_literal(text: str) -> Any:
    plain = _ARRAY.sub(r"\1", text)
    if not _COMMA.search(plain):  # Python joins texts that stand side by side; numpy writes a list so: ['a' 'b']
        plain = _GAP.sub(", ", plain)
    try:
        return ast.literal_eval(plain.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
