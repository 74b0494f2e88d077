"""Places of candidates: how an answer counts them, and in which order their columns' names put them.

    0 1 2 3    1 2 3 4    A B C D    (a) (b)    option1 option2    False True

Invariant: values are places only where they leave no doubt about the first. Rejected: counting from 0 wherever no row
says otherwise, which moves every answer by one.
"""

import re
from collections.abc import Sequence
from typing import Any

from openflan.own.names import words_of
from openflan.own.profile import OwnColumn
from openflan.own.reading import Options, in_order, name_stem
from openflan.own.relations import determines
from openflan.own.words import content

__all__ = ["MOST_PLACES", "in_said_order", "least_options", "places", "tells_the_option", "unsure_places"]

MOST_PLACES = 12
_PLACE = re.compile(r"[(\[]?(?:(?P<stem>[A-Za-zÀ-ÿ]{2,}|)[\s_#.-]*)(?P<place>\d{1,2}|[A-Za-z])[)\].:]?")


def least_options(classes: Sequence[Any], most: int = MOST_PLACES) -> int | None:
    """How many options there must be at least for these to be their places; None where they are no places."""
    for count in range(max(2, len(classes)), most + 1):
        if places(classes, count) is not None:
            return count
    return None


def places(classes: Sequence[Any], count: int) -> tuple[Any, ...] | None:
    """What stands for each of so many places, in the way these values are written; None where they are no places."""
    if all(isinstance(value, bool) for value in classes):
        return (False, True) if count == 2 else None
    if all(isinstance(value, int | float) and float(value).is_integer() for value in classes):
        return _numbered_places(classes, count)
    return _lettered_places(classes, count) if all(isinstance(value, str) for value in classes) else None


def unsure_places(classes: Sequence[Any], count: int) -> tuple[Any, ...] | None:
    """Numbers as places from 0, where they could as well be counted from 1; None where they are no such numbers."""
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in classes):
        return None
    return tuple(range(count)) if classes and all(0 < value < count for value in classes) else None


def _numbered_places(classes: Sequence[Any], count: int) -> tuple[Any, ...] | None:
    """Places counted from 0 or from 1, whichever the values leave no doubt about."""
    kind = type(classes[0])
    start = 0 if 0 in classes else 1 if count in classes or (1 in classes and len(classes) == count) else None
    if start is None or not all(start <= value < start + count for value in classes):
        return None
    return tuple(kind(start + place) for place in range(count))


def _lettered_places(classes: Sequence[str], count: int) -> tuple[str, ...] | None:
    """Places as letters or figures, with or without a word before them: `B`, `(b)`, `option 2`."""
    matches = [match for value in classes if (match := _PLACE.fullmatch(value.strip()))]
    marks = [match["place"] for match in matches]
    if len(matches) < len(classes) or len({match["stem"] for match in matches}) > 1 or len(set(marks)) < 2:
        return None
    ordered: tuple[str, ...] = ()
    if all(mark.isdigit() for mark in marks):
        ordered = tuple(map(str, _numbered_places([int(mark) for mark in marks], count) or ()))
    elif all(mark.isupper() for mark in marks) or all(mark.islower() for mark in marks):
        first = ord("A" if marks[0].isupper() else "a")
        ordered = tuple(chr(first + place) for place in range(count))
    if not set(marks) <= set(ordered):
        return None
    frame, at = classes[0].strip(), matches[0].start("place")
    return tuple(f"{frame[:at]}{one}{frame[at + len(marks[0]) :]}" for one in ordered)


def in_said_order(peers: Sequence[OwnColumn], table: Sequence[OwnColumn]) -> tuple[list[OwnColumn], bool]:
    """Candidates in the order that figures, letters or ordinals in their names say, and whether they do."""
    stems, ends = zip(*(name_stem(column.path) for column in peers), strict=True)
    named = [name_stem(column.path) for column in table if column not in peers]
    alone = len(set(stems)) == 1 and not any(stem == stems[0] and end for stem, end in named)
    if alone and all(ends) and _in_a_row(ends):
        return _sorted(peers, [(len(end), end) for end in ends]), True
    if all(len(column.path) == 1 for column in peers) and _in_a_row([column.path.lower() for column in peers]):
        return sorted(peers, key=lambda column: column.path.lower()), True
    for line in content()["ordinals"]:
        ordinals = line.split()
        by_column = [[word for word in words_of(column.path) if word in ordinals] for column in peers]
        if all(len(those) == 1 for those in by_column) and len({those[0] for those in by_column}) == len(peers):
            return _sorted(peers, [ordinals.index(those[0]) for those in by_column]), True
    return sorted(in_order(peers, table), key=lambda column: column.empty), False  # the last ones may be missing


def _sorted(columns: Sequence[OwnColumn], keys: Sequence[Any]) -> list[OwnColumn]:
    return [columns[place] for place in sorted(range(len(columns)), key=lambda place: keys[place])]


def _in_a_row(marks: Sequence[str]) -> bool:
    """Whether figures or letters follow each other without a gap."""
    codes = sorted(int(mark) if mark.isdigit() else ord(mark) for mark in marks if mark.isdigit() or len(mark) == 1)
    return len(codes) == len(marks) and codes == list(range(codes[0], codes[0] + len(codes)))


def tells_the_option(column: OwnColumn, answer: OwnColumn, options: Options) -> bool:
    """Whether a column says what the answer says in another way: the right candidate's text, or its place."""
    right = [_right_option(answer.values[n], options, n) for n in range(len(answer.values))]
    rows = [(value, option) for value, option in zip(column.values, right, strict=True) if value is not None and option]
    if len(rows) < 0.5 * len(right):
        return False
    if column.kind == "text" and sum(str(value).strip() == text for value, (_, text) in rows) > 0.9 * len(rows):
        return True
    counted = OwnColumn("place", [option[0] if option else None for option in right], cells=False)
    return bool(column.classes) and min(determines(column, counted), determines(counted, column)) > 0.98


def _right_option(value: Any, options: Options, row: int) -> tuple[int, str] | None:
    """Place and text of a row's right candidate; None where it can't be told."""
    if options.form == "columns":
        texts = [str(column.values[row]).strip() for column in options.columns]
    else:
        texts = [str(item).strip() for item in options.columns[0].values[row] or ()]
    keys: list[Any] = list(options.keys) if options.keys else texts
    value = value if value in keys else str(value).strip()
    place = keys.index(value) if value in keys else len(texts)
    return (place, texts[place]) if place < len(texts) else None
