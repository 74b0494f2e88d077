"""The OPTIONS block and the answer of a row.

The block is the paper's: a header line, then one line an option, in the dataset's class order
(Wei et al. 2022, section 2.3). With drawn markers, header, markers and what follows an option vary as in the Flan
Collection (Longpre et al. 2023), and a marker that tells options apart is the answer.
Rejected: shuffled options by default; the paper keeps class order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openflan.errors import UserError
from openflan.hashing import hash_integer
from openflan.tasks.spec import Answer

__all__ = ["RowAnswer", "drawn_block", "find_answer", "options_block"]

RenderText = Callable[[str], str]


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


def options_block(options: Sequence[str]) -> str:
    """The option list as it stands in a prompt."""
    return "\n".join(["OPTIONS:", *(f"- {option}" for option in options)])


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


def find_answer(answer: Answer, fields: Mapping[str, Any], render: RenderText, *, where: str) -> RowAnswer:
    """The answer of a row and its options.

    Args:
        render: renders a template text over the row; used for options that are templates.

    Raises:
        UserError: the label is not among the options, or a field is missing or empty.
    """
    label = _at(fields, answer.field, where)
    if not answer.is_classification:
        texts = [str(text).strip() for text in (label if isinstance(label, list | tuple) else [label])]
        texts = [text for text in texts if text]
        if not texts:
            raise UserError(f"answer.field '{answer.field}' is empty", where=where, how="drop the row or fill it")
        return RowAnswer(text=texts[0], references=tuple(dict.fromkeys(texts)))
    if answer.options is not None:
        options = tuple(render(option) if "{" in option else option for option in answer.options)
    else:
        options = tuple(str(option).strip() for option in _list_at(fields, str(answer.options_field), where))
    if len(options) < 2 or not all(options):
        raise UserError(f"options are {list(options)}", where=where, how="a row needs two or more, none empty")
    keys: list[Any] = list(range(len(options)))
    if answer.keys is not None:
        keys = list(answer.keys)
    elif answer.keys_field is not None:
        keys = _list_at(fields, answer.keys_field, where)
    right = []
    for one in label if isinstance(label, list | tuple) and label else [label]:
        index = _position(one, keys, options)
        if index is None:
            allowed = ", ".join(map(repr, keys[: len(options)])) + " or one of: " + ", ".join(options)
            what = f"label {one!r} in '{answer.field}' is not an option"
            raise UserError(what, where=where, how=f"expected {allowed}")
        right.append(index)
    return RowAnswer(
        text=options[right[0]],
        options=options,
        index=right[0],
        group="" if answer.group is None else str(_at(fields, answer.group, where)),
        references=tuple(dict.fromkeys(options[i] for i in right)),
    )


def _position(label: Any, keys: Sequence[Any], options: Sequence[str]) -> int | None:
    """Where the label stands among the keys or, as text, among the options; booleans count as 0 and 1."""
    for known in (keys, options, [str(key) for key in keys]):
        for index, key in enumerate(known[: len(options)]):
            if label == key:
                return index
    return None


def _at(fields: Mapping[str, Any], path: str, where: str) -> Any:
    """The value at a dotted path."""
    value: Any = fields
    for part in path.split("."):
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
