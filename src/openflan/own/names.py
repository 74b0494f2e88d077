"""What columns are likely called, by what they are: evidence of little weight, in a few languages.

Invariant: a name alone never decides; it tips what the texts leave open. Rejected: a long list of the names of
published datasets, which fits those and no one's own table.
"""

import re

from openflan.own.words import words

__all__ = ["named", "readable", "words_of"]

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_NO_NAME = re.compile(
    r"(?:col|column|field|feature|var|spalte|feld|unnamed|x|y|v|f)?[\W_]*(?:[a-z]|\d*)", re.IGNORECASE
)


def words_of(name: str) -> list[str]:
    """The words of a column's name in small letters: `answerKey_2` as answer, key."""
    return [part.lower() for part in _PARTS.findall(name)]


def named(name: str, role: str) -> bool:
    """Whether a column is called what columns of a role are called."""
    parts, names = words_of(name), words("names", role)
    return bool(parts) and not names.isdisjoint((parts[0], parts[-1], "".join(parts)))


def readable(name: str) -> str:
    """A column's name as words that may stand in a prompt; empty where it says nothing (`col_a`, `label`)."""
    if _NO_NAME.fullmatch(name):
        return ""
    parts = words_of(name.rsplit(".", maxsplit=1)[-1])
    kept = [word for word in parts if len(word) > 1 or word in ("a", "b")]
    return "" if not kept or words("empty_names").issuperset(kept) else " ".join(kept)
