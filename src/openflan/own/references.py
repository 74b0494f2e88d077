"""Sentences and what they speak of: candidates for a pronoun or a blank, a word that stands in two sentences.

Invariant: a text speaks of something whatever article or ending stands there. Cost: milliseconds. Rejected: word for
word alone, which misses *the teller* in "one of the tellers".
"""

import re
from collections.abc import Sequence

from openflan.own.profile import OwnColumn
from openflan.own.reading import Options, View
from openflan.own.relations import mentions

__all__ = ["is_pronoun", "option_words", "sentence_about", "word_in_both"]

_NAME = 6
"""Words that someone or something is called by, at most."""


def sentence_about(view: View, options: Options, rest: Sequence[OwnColumn]) -> OwnColumn | None:
    """The text that speaks of every candidate: a sentence and whom its pronoun may mean."""
    if option_words(options) >= _NAME:
        return None
    speaks = _speaks_of_columns if options.form == "columns" else _speaks_of_lists
    return next((text for text in rest if speaks(view, options, text) > 0.75), None)


def _speaks_of_columns(view: View, options: Options, text: OwnColumn) -> float:
    return min(view.relations.mentioned(one, text) for one in options.columns)


def _speaks_of_lists(_: View, options: Options, text: OwnColumn) -> float:
    pairs = [(value, t) for value, t in zip(options.columns[0].sample, text.texts, strict=True) if value and t]
    return sum(all(mentions(t, str(item)) for item in value) for value, t in pairs) / max(1, len(pairs))


def option_words(options: Options) -> float:
    """Words of a candidate."""
    if options.form == "list":
        items = [str(item) for value in options.columns[0].sample if value for item in value]
        return sum(len(item.split()) for item in items) / max(1, len(items))
    return sum(column.mean_words for column in options.columns) / len(options.columns)


def is_pronoun(view: View, column: OwnColumn, rest: Sequence[OwnColumn]) -> bool:
    """Whether a column holds a word of the sentence that several rows share, as pronouns are."""
    if column.kind != "text" or column.mean_words > 1.3 or column.distinct > 40 or column.mean_length > 8:
        return False
    return any(view.relations.inside(column, text) > 0.9 for text in rest if text is not column)


def word_in_both(word: OwnColumn, one: OwnColumn, other: OwnColumn) -> float:
    """Share of the rows in which a short text stands in two others, in whatever form of the word."""
    if word.mean_words > 2.5:
        return 0.0
    rows = [
        (w.lower(), a.lower(), b.lower())
        for w, a, b in zip(word.texts, one.texts, other.texts, strict=True)
        if w and a and b
    ]
    count = 0
    for text, left, right in rows:
        stem = re.escape(text[: max(3, len(text) - 2)])
        count += all(re.search(rf"(?<!\w){stem}", side) is not None for side in (left, right))
    return count / max(1, len(rows))
