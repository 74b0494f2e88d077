"""Steps that take punctuation, capitals or spaces out of sentences.

Each adds `text`, the sentence as it should be, and `damaged`, what a task shows of it. The ASCII forms do as the
authors' code does: letters beyond ASCII count as punctuation, or keep their case.
"""

import re
import string
from collections.abc import Callable

from openflan.tasks.rows.registry import Row, step

_PUNCTUATION = re.compile(r"[^\w\s]|_")
_NOT_ASCII_WORD = re.compile(r"[^A-Za-z0-9_\s]")
_SPACES = re.compile(r"\s+")
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@step
def strip_punctuation(row: Row) -> Row:
    """Take all punctuation out of the English side (fix_punct)."""
    return _damaged(row, lambda text: _PUNCTUATION.sub("", text))


@step
def strip_punctuation_ascii(row: Row) -> Row:
    """Take punctuation and accented letters out, as the authors' code does (fix_punct)."""
    return _damaged(row, lambda text: _NOT_ASCII_WORD.sub("", text))


@step
def lower_case(row: Row) -> Row:
    """Put the English side in small letters (true_case)."""
    return _damaged(row, str.lower)


@step
def lower_case_ascii(row: Row) -> Row:
    """Put A to Z in small letters and leave accented capitals, as the authors' code does (true_case)."""
    return _damaged(row, lambda text: text.translate(_SMALL))


@step
def remove_spaces(row: Row) -> Row:
    """Take all spaces out of the English side (word_segment)."""
    text = " ".join(row["translation"]["en"].split())
    return {**row, "text": text, "damaged": _SPACES.sub("", text)}


@step
def drop_unchanged(row: Row) -> Row | None:
    """Drop sentences that had nothing to take out (fix_punct, true_case)."""
    return None if row["text"] == row["damaged"] else row


def _damaged(row: Row, change: Callable[[str], str]) -> Row:
    text = " ".join(row["translation"]["en"].split())
    return {**row, "text": text, "damaged": " ".join(change(text).split())}
