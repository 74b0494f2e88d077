"""What the values of a label are called in a prompt: words that a person would answer with.

`not_entailment` becomes "does not follow", `LABEL_0` and 0 are asked for. Where a number's meaning shows in the rows
it is the guess: of two classes of pairs, the one whose texts share more words is the same or follows; of two of
opinions, the one with more glad words is positive. Else 1 is yes, as nearly everywhere, and it is said that nobody
could tell.

Invariant: options are different from each other, one for each value. Rejected: leaving 0 and 1, which no instruction
explains.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openflan.own.labelling import polar_order
from openflan.own.names import readable
from openflan.own.profile import OwnColumn, spread
from openflan.own.reading import Reading, View

__all__ = ["Wording", "word_labels"]

_KNOWN = {
    "notentailment": "does not follow", "nonentailment": "does not follow", "notentailed": "does not follow",
    "entailment": "follows", "entailed": "follows", "neutral": "neutral", "contradiction": "contradicts",
    "notequivalent": "not the same", "equivalent": "the same", "notduplicate": "not a duplicate",
    "duplicate": "a duplicate", "notparaphrase": "not the same", "paraphrase": "the same",
    "nonirony": "not ironic", "irony": "ironic",
    "nonoffensive": "not offensive", "pos": "positive", "neg": "negative", "neu": "neutral",
    "unacceptable": "unacceptable", "acceptable": "acceptable",
}  # fmt: skip
_LETTERS = (
    {"y": "yes", "n": "no"}, {"t": "true", "f": "false"}, {"j": "ja", "n": "nein"},
    {"e": "follows", "n": "cannot be told", "c": "contradicts"},
)  # fmt: skip
"""Words for labels of one letter each."""
_PAIRS: dict[str, tuple[tuple[str, ...], ...]] = {
    "inference": (("does not follow", "follows"), ("follows", "cannot be told", "contradicts")),
    "paraphrase": (("no", "yes"),),
    "word_sense": (("no", "yes"),),
    "passage_yes_no": (("no", "yes"),),
    "question_yes_no": (("no", "yes"),),
    "answer_judgement": (("no", "yes"),),
    "pronoun": (("no", "yes"),),
}
"""Words for classes that are numbers or truth values, by kind: the class of 0 first; three of inference as in most
sets."""
_SIDES = {
    "paraphrase": ("first", "second"),
    "inference": ("hypothesis", "premise"),
    "answer_judgement": ("candidate", "passage"),
}
_CODE = re.compile(r"(?:label|class|cat|category|type|c|l|klasse)?[\s_#-]*\d+|[a-z]", re.IGNORECASE)
_FELT = 6.0
_OFF_AND_ON = (("0", "1"), ("-1", "1"), ("false", "true"))
_ABBREVIATION = 6
"""Letters of the longest abbreviation: longer capitals are words."""


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The options of a label."""

    options: tuple[str, ...]
    """In the order of the label's values."""
    confidence: float
    why: str
    changed: bool
    """Whether they are other words than the values themselves."""


def word_labels(view: View, reading: Reading) -> Wording:
    """Words for the values of a reading's label."""
    values = reading.answer.classes
    plain = tuple(_plain(value) for value in values)
    for letters in _LETTERS:
        if set(letters) == {text.lower() for text in plain}:
            words = tuple(letters[text.lower()] for text in plain)
            return Wording(options=words, confidence=0.9, why="the words that begin so", changed=True)
    if any(isinstance(value, str) and not _CODE.fullmatch(value) for value in values):
        worded = tuple(_known(text) for text in plain)
        options = worded if len(set(worded)) == len(worded) else plain
        if all(text.isupper() for text in plain) and max(map(len, plain)) > _ABBREVIATION:
            options = tuple(text.lower() for text in options)
        return Wording(options=options, confidence=0.9, why="the values in plain words", changed=options != plain)
    return _of_numbers(view, reading, values, plain)


def _plain(value: Any) -> str:
    """A value as a text: `1.0` as 1, True as true."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(str(value).split())


def _known(text: str) -> str:
    """A value in plain words: known ones as said, else without underscores and joints of capitals."""
    key = re.sub(r"[\W_]+", "", text.lower())
    if key in _KNOWN:
        return _KNOWN[key]
    words = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", text.replace("_", " "))
    return " ".join(words.split()) or text


def _of_numbers(view: View, reading: Reading, values: Sequence[Any], plain: tuple[str, ...]) -> Wording:
    """Words for numbers, letters or truth values, as far as the rows say what they mean."""
    if reading.cluster == "sentiment" and len(values) in (2, 3) and "text" in reading.parts:
        distance, order = polar_order(reading.answer, reading.parts["text"])
        words = {values[0]: "negative", values[-1]: "positive"} if len(values) == 2 else {}
        if len(values) == 3 and set(order) == set(values):
            words = dict(zip(order, ("negative", "neutral", "positive"), strict=True))
        elif len(order) == 2:
            words = dict(zip(order, ("negative", "positive"), strict=True))
        if set(words) == set(values):
            why = "glad and sorry words go with them" if distance > _FELT else "few words say so"
            sure = 0.9 if distance > _FELT else 0.6
            return Wording(options=tuple(words[value] for value in values), confidence=sure, why=why, changed=True)
    if reading.kind in _PAIRS:
        options = next((words for words in _PAIRS[reading.kind] if len(words) == len(values)), None)
        if options is not None:
            return _of_pairs(reading, view, values, options)
    noun = readable(reading.answer.path)
    if len(values) == 2 and noun and plain in _OFF_AND_ON and reading.kind == "classification":
        return Wording(options=(f"not {noun}", noun), confidence=0.6, why=f"1 is taken for '{noun}'", changed=True)
    return Wording(options=plain, confidence=0.4, why="nothing says what they mean", changed=False)


def _of_pairs(reading: Reading, view: View, values: Sequence[Any], words: tuple[str, ...]) -> Wording:
    """Words for the classes of two texts: the class in which they share more comes to be the one that agrees."""
    sure, why = 0.55, "1 is taken for yes, as in most tables"
    if reading.kind == "inference" and len(words) == 3:
        why = "0, 1, 2 are taken for follows, cannot be told, contradicts, as in most tables"
    options = words
    sides = _SIDES.get(reading.kind)
    if sides is not None:
        small, large = (reading.parts[side] for side in sides)
        means = _cover_by_class(view, reading.answer, small, large)
        order = sorted(means, key=lambda value: means[value][0])
        if len(order) == len(values) and len(values) == 2:
            apart = _errors_apart(means[order[0]], means[order[-1]])
            if apart > 3:
                options = words if order[-1] == values[-1] else words[::-1]
                sure, why = min(0.95, 0.6 + 0.05 * apart), "texts share more words in that class"
        elif len(order) == 3 and order[-1] == values[-1] and _errors_apart(means[values[0]], means[order[-1]]) > 3:
            options, sure, why = words[::-1], 0.6, f"texts share most words in class {values[-1]}"
        elif len(order) == 3 and order[-1] != values[0] and _errors_apart(means[values[0]], means[order[-1]]) > 3:
            sure, why = 0.3, "0 is taken for 'follows', but another class shares more words"
    if all(isinstance(value, bool) for value in values):
        options, sure, why = (words if values[0] is False else words[::-1]), 0.95, "true is yes"
    return Wording(options=options, confidence=sure, why=why, changed=True)


def _cover_by_class(
    view: View, label: OwnColumn, small: OwnColumn, large: OwnColumn
) -> dict[Any, tuple[float, float, int]]:
    """Mean, variance and rows of the shared words, by class."""
    places = spread(len(label.values))
    shares: dict[Any, list[float]] = {}
    for number, share in view.relations.cover(small, large).rows:
        value = label.values[places[number]]
        if value is not None:
            shares.setdefault(value, []).append(share)
    by_class = {}
    for value, those in shares.items():
        mean = sum(those) / len(those)
        by_class[value] = (mean, sum((one - mean) ** 2 for one in those) / len(those), len(those))
    return by_class


def _errors_apart(low: tuple[float, float, int], high: tuple[float, float, int]) -> float:
    error = math.sqrt(low[1] / low[2] + high[1] / high[2]) or 1.0
    return (high[0] - low[0]) / error
