"""The words by which columns, texts and labels are told, from words.yaml.

Invariant: read once. Rejected: lists in the modules that use them, where nobody who speaks another language would add
one.
"""

from functools import cache
from pathlib import Path
from typing import Any

from openflan.recipes.safe_yaml import read_yaml

__all__ = ["content", "words"]


@cache
def content() -> dict[str, Any]:
    """All of the file."""
    return read_yaml(Path(__file__).with_name("words.yaml"), kind="list of words", how="install openflan again")


@cache
def words(*keys: str) -> frozenset[str]:
    """A list of words by the keys that lead to it."""
    node: Any = content()
    for key in keys:
        node = node[key]
    return frozenset(str(node).split())
