"""The OPTIONS block and the answer of a row.

The block is the paper's: a header line, then one line an option, in the dataset's class order
(Wei et al. 2022, section 2.3). Rejected: shuffled options by default; the paper keeps class order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openflan.errors import UserError
from openflan.tasks.spec import Answer

__all__ = ["RowAnswer", "find_answer", "options_block"]

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
