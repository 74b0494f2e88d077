"""The OPTIONS block and the answer of a row.

The block is the paper's: a header line, then one line an option, in the dataset's class order
(Wei et al. 2022, section 2.3). With drawn markers, header, markers and what follows an option vary as in the Flan
Collection (Longpre et al. 2023), and a marker that tells options apart is the answer. The list may stand in another
order than the classes': rotated, or drawn by a key.

Invariant: a row's options are kept in class order, whatever the order of the list. Rejected: shuffled lists by default;
the paper keeps class order.
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openflan.errors import UserError
from openflan.hashing import hash_integer
from openflan.prompts.values import UnfitValueError, as_text
from openflan.tasks.columns import Column, is_class_number, may_be_null
from openflan.tasks.spec import Answer

__all__ = ["TURNS", "RowAnswer", "drawn_block", "find_answer", "list_order", "options_block", "rotations"]

RenderOption = Callable[[str], str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowAnswer:
    """What is right for a row."""

    text: str
    """The answer a model is trained to give."""
    options: tuple[str, ...] = ()
    """Empty for a task that generates."""
    index: int = -1
    """Position of the answer among the options; of the first, where several are right."""
    group: str = ""
    """Which rows belong together; empty where a row stands alone."""
    references: tuple[str, ...] = ()
    """Every text that counts as right: one option of most classifications, several where the label is a list."""

    @property
    def places(self) -> tuple[int, ...]:
        """Of the options that count as right."""
        return tuple(place for place, option in enumerate(self.options) if option in self.references)


def options_block(options: Sequence[str]) -> str:
    """The option list as it stands in a prompt."""
    return "\n".join(["OPTIONS:", *(f"- {option}" for option in options)])


def list_order(count: int, *, drawn: bool, key: int, turn: int) -> tuple[int, ...]:
    """In which order a list names its options: their places in class order.

    Args:
        count: how many options there are.
        drawn: whether the order is drawn by the key.
        key: 64-bit hash.
        turn: by how many places class order is turned, where it is not drawn: 1 makes b c a of a b c.
    """
    if drawn:
        return tuple(sorted(range(count), key=lambda place: hash_integer(key, _LISTED, place)))
    return tuple((place + turn) % count for place in range(count))


def rotations(count: int) -> tuple[int, ...]:
    """The turns in which so many options are asked: every one, or four that lie evenly."""
    turns = min(count, TURNS)
    return tuple(number * count // turns for number in range(turns))


_LISTED = 6
"""What a key is hashed with to draw the order of a list."""
TURNS = 4
"""Rotations of a list that are asked, at the most."""

_HEADERS = (
    "OPTIONS:", "Options:", "OPTIONS", "Options are:", "Choices:", "CHOICES:", "Your choices:", "Choose from:",
    "Pick from:", "Select one:", "Possible answers:", "Answer choices:", "Available options:", "Choose one of these:",
    "One of the following:", "",
)  # fmt: skip
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")
_BULLETS = ("- ", "* ", "+ ", "• ", "> ", "")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FRAMES = ("({})", "{}.", "{})", "[{}]", "{}:")
_ENDS = ("", "", "", ";", ",", ".")


def drawn_block(options: Sequence[str], key: int) -> tuple[str, tuple[str, ...]]:
    """An option list in a drawn format, and the options' names in it: markers that tell them apart, else their texts.

    Args:
        key: 64-bit hash that draws the format.
    """
    kind, frame = hash_integer(key, 1) % 8, _FRAMES[hash_integer(key, 2) % len(_FRAMES)]
    numbers: list[str] = []
    if kind in (0, 1) and len(options) <= len(_LETTERS):
        numbers = list(_LETTERS if kind == 0 else _LETTERS.lower())
    elif kind == 2:
        numbers = [str(number) for number in range(1, len(options) + 1)]
    elif kind == 3 and len(options) <= len(_ROMAN):
        numbers = list(_ROMAN)
    header, end = (words[hash_integer(key, salt) % len(words)] for words, salt in ((_HEADERS, 3), (_ENDS, 4)))
    if numbers:
        marks = [frame.format(number) for number in numbers[: len(options)]]
        lines = [f"{mark} {option}{end}" for mark, option in zip(marks, options, strict=True)]
        names = tuple(mark.rstrip(".:") if mark.startswith(("(", "[")) else mark.rstrip(".:)") for mark in marks)
    else:
        bullet = _BULLETS[hash_integer(key, 5) % len(_BULLETS)]
        lines, names = [f"{bullet}{option}{end}" for option in options], tuple(options)
    return "\n".join([header, *lines] if header else lines), names


def find_answer(
    answer: Answer, fields: Mapping[str, Any], render: RenderOption, *, where: str, columns: Mapping[str, Column]
) -> RowAnswer:
    """The answer of a row and its options, each without blanks around it.

    Args:
        render: renders an option's template over the row; None where a column that may be null is.
        columns: the task's contract, which says what may be null and what is a class number.

    Raises:
        UserError: the label is not among the options or could be read in two ways, an option is no text, or a field is
            missing or empty.
    """
    label = _at(fields, answer.field, where)
    if answer.joined is not None and isinstance(label, list | tuple) and label:
        label = answer.joined.join(_text(one, f"{answer.field}[{n}]", where) for n, one in enumerate(label))
    labels = [(label, answer.field)]
    if isinstance(label, list | tuple) and label:
        labels = [(one, f"{answer.field}[{number}]") for number, one in enumerate(label)]
    if not answer.is_classification:
        texts = [text for one, place in labels if one != [] and (text := _text(one, place, where))]
        if not texts:
            raise UserError(f"answer.field '{answer.field}' is empty", where=where, how="drop the row or fill it")
        return RowAnswer(text=texts[0], references=tuple(dict.fromkeys(texts)))
    listed = _options(answer, fields, render, where, columns)
    present = [place for place, text in enumerate(listed) if text is not None]
    options = tuple(text for text in listed if text is not None)
    if len(options) < 2 or not all(options):
        raise UserError(f"options are {list(options)}", where=where, how="a row needs two or more, none empty")
    keys: Sequence[Any] | None = None if answer.keys == "places" else answer.keys
    if answer.keys_field is not None:
        keys = _list_at(fields, answer.keys_field, where)
    if keys is None and is_class_number(columns, answer.field):
        keys = range(len(listed))
    right = [_right(answer, one, keys, listed, present, where, f"{where}, column '{place}'") for one, place in labels]
    if answer.sample is not None and len(options) > answer.sample:
        drawn = _drawn(len(options), right, answer.sample, fields, answer.field)
        options, right = tuple(options[n] for n in drawn), [drawn.index(n) for n in right]
    return RowAnswer(
        text=options[right[0]],
        options=options,
        index=right[0],
        group="" if answer.group is None else str(_at(fields, answer.group, where)),
        references=tuple(dict.fromkeys(options[i] for i in right)),
    )


def _right(
    answer: Answer,
    label: Any,
    keys: Sequence[Any] | None,
    listed: Sequence[str | None],
    present: Sequence[int],
    where: str,
    place: str,
) -> int:
    """Which of the options that are there a label means."""
    if answer.keys == "places":
        index = _place(label, len(listed))
    elif answer.nearest and keys is not None and (number := _number(label)) is not None:
        index = min(range(len(keys)), key=lambda n: abs(keys[n] - number))
    else:
        index = _position(label, keys, listed, place)
    if index is None or index not in present:
        labels = keys if keys is not None else range(len(listed))
        allowed = ", ".join(repr(labels[n]) for n in present if n < len(labels))
        there = ", ".join(text for text in listed if text is not None)
        allowed += "" if answer.keys == "places" else f" or one of: {there}"
        gone = "an option that is null in this row" if index is not None else "not an option"
        raise UserError(f"label {label!r} in '{answer.field}' is {gone}", where=where, how=f"expected {allowed}")
    return present.index(index)


def _drawn(count: int, right: Sequence[int], most: int, fields: Mapping[str, Any], label: str) -> list[int]:
    """Places of the options that a row's prompt lists, in their order: the right ones and others, drawn by the row."""
    content = repr([(name, value) for name, value in fields.items() if name != label])
    key = zlib.crc32(content.encode("utf-8", "surrogatepass"))
    others = sorted((n for n in range(count) if n not in right), key=lambda n: hash_integer(key, n))
    return sorted([*right, *others[: max(1, most - len(right))]])


def _number(label: object) -> float | None:
    """A label as a number, also where it is written as a text; None where it is none."""
    try:
        number = float(label) if isinstance(label, str | int | float) and not isinstance(label, bool) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _options(
    answer: Answer, fields: Mapping[str, Any], render: RenderOption, where: str, columns: Mapping[str, Column]
) -> list[str | None]:
    """Every option of a row in its place; None for one that may be null and is."""
    if answer.options is not None:
        rendered = [render(option) if "{" in option else option for option in answer.options]
        return [None if option is None else option.strip() for option in rendered]
    field = str(answer.options_field)
    values = _list_at(fields, field, where)
    return [
        None
        if value is None and may_be_null(columns, f"{field}[{place}]")
        else _text(value, f"{field}[{place}]", where)
        for place, value in enumerate(values)
    ]


def _text(value: Any, place: str, where: str) -> str:
    try:
        return as_text(value).strip()
    except UnfitValueError as fault:
        how = "name the text itself in 'answer', or mend or drop such rows"
        raise UserError(f"column '{place}' {fault}", where=where, how=how) from None


def _place(label: Any, count: int) -> int | None:
    """The place that a label names, counted from 0: a whole number, also as a text."""
    if isinstance(label, str):
        label = int(label) if label.strip().isdecimal() else -1
    return int(label) if isinstance(label, int | float) and label in range(count) else None


def _position(label: Any, keys: Sequence[Any] | None, options: Sequence[str | None], where: str) -> int | None:
    """Where a label stands among the keys or, as text, among the options.

    Without keys a whole number is a place, counted from 0; truth values count as 0 and 1. Where it could as well be the
    text of another option, nobody can tell which is meant.
    """
    label = label.strip() if isinstance(label, str) else label
    written = [option.lower() if option is not None and isinstance(label, bool) else option for option in options]
    named = str(label).lower() if isinstance(label, bool) else str(label)
    as_option = written.index(named) if named in written else None
    if keys is not None:
        stripped = [key.strip() if isinstance(key, str) else key for key in keys[: len(options)]]
        if label in stripped:
            return stripped.index(label)
        if isinstance(label, str) and as_option is not None:
            return as_option
        spelled = [str(key) for key in stripped]
        return spelled.index(label) if label in spelled else None
    if isinstance(label, str):
        if as_option is None and label.isdecimal() and not any(option and option.isdecimal() for option in options):
            return int(label) if int(label) < len(options) else None
        return as_option
    place = int(label) if isinstance(label, int | float) and label in range(len(options)) else None
    if place is not None and as_option is not None and place != as_option:
        raise UserError(
            f"label {label!r} may be the option {options[as_option]!r}, or the place of the option {options[place]!r},"
            " counted from 0",
            where=where,
            how="list the labels in the options' order in answer.keys",
        )
    return place


def _at(fields: Mapping[str, Any], path: str, where: str) -> Any:
    """The value at a dotted path."""
    value: Any = fields
    for part in [path] if path in fields else path.split("."):
        if not isinstance(value, Mapping) or part not in value or value[part] is None:
            raise UserError(f"field '{path}' is missing", where=where, how="check 'answer' in the task file")
        value = value[part]
    return value


def _list_at(fields: Mapping[str, Any], path: str, where: str) -> list[Any]:
    """The list at a dotted path; a text is none, though it has letters."""
    value = _at(fields, path, where)
    if not isinstance(value, list | tuple):
        raise UserError(f"'{path}' holds {value!r}, not a list", where=where, how="check 'answer' in the task file")
    return list(value)
