"""Contracts: the columns a task expects of its source, their types and their class names in order.

A source that disagrees is refused before a prompt is made of it, for a relabelled class or a renamed column makes
prompts that are wrong or empty and nobody notices.

    premise: string                                   int, float, bool, string; `string?` may be null
    label: {classes: [entailment, not_entailment]}    a class number; -1 stands for no label
    answerKey: {values: [A, B, C, D]}                 one of these
    choices: {text: [string], label: [string]}        a mapping; a list of one type
    tags: {separated: ";"}                            a list of texts in one cell

Invariant: a row that passes has every column, of its type. Cost: about 1 µs a column.
Rejected: JSON Schema, ten lines a column and no word for classes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from openflan.tasks.cells import parse_nested, split_list, turned

__all__ = [
    "PLAIN",
    "Column",
    "check_column",
    "column_at",
    "column_error",
    "describe_features",
    "difference",
    "from_text",
    "is_class_number",
    "may_be_null",
    "read_nested",
    "strings_in",
]

Column = str | list[Any] | dict[str, Any]
"""How a column is written in a task file."""

_SCALARS: dict[str, tuple[type, ...]] = {"string": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
"""One step of a path: a name, or a place in a list."""

PLAIN: dict[str, type] = {"string": str, "int": int, "float": float, "bool": bool}
"""Types that most values have, recognised without a closer look."""


def column_error(column: Any, place: str) -> str | None:
    """What is wrong with a contract as written, or None."""
    if isinstance(column, str):
        valid = column.removesuffix("?") in _SCALARS
        return None if valid else f"{place} is '{column}'; types are {', '.join(_SCALARS)}, with ? where null may stand"
    if isinstance(column, list):
        return column_error(column[0], f"{place}[]") if len(column) == 1 else f"{place}: a list names one type"
    if not isinstance(column, dict) or not column:
        return f"{place} is {column!r}; write a type, a [type] or a mapping"
    if set(column) == {"separated"}:
        one = column["separated"]
        return None if isinstance(one, str) and one else f"{place}.separated: write what stands between the items"
    for word in ("classes", "values"):
        if set(column) == {word}:
            return None if isinstance(column[word], list) and column[word] else f"{place}.{word} must be a list"
    return next((e for name, below in column.items() if (e := column_error(below, f"{place}.{name}"))), None)


def check_column(column: Column, value: Any, place: str) -> str | None:
    """What is wrong with a row's value: what was expected and what stands there, or None."""
    if type(column) is str and type(value) is PLAIN.get(column):
        return None
    check = _CHECKS[type(column)]
    return check(column, value, place)


def _check_scalar(column: str, value: Any, place: str) -> str | None:
    name = column.removesuffix("?")
    if value is None and name != column:
        return None
    if isinstance(value, _SCALARS[name]) and (name == "bool" or not isinstance(value, bool)):
        return None
    return _mismatch(place, name, value)


def _check_list(column: list[Any], value: Any, place: str) -> str | None:
    if not isinstance(value, list | tuple):
        return _mismatch(place, "a list", value)
    return next((e for n, item in enumerate(value) if (e := check_column(column[0], item, f"{place}[{n}]"))), None)


def _check_mapping(column: dict[str, Any], value: Any, place: str) -> str | None:
    if len(column) == 1 and (check := _WORDS_OF_CONTRACTS.get(next(iter(column)))):
        return check(column, value, place)
    if not isinstance(value, Mapping):
        return _mismatch(place, "a mapping", value)
    for name, below in column.items():
        if name not in value and not (isinstance(below, str) and below.endswith("?")):
            return f"column '{place}.{name}' is missing; there is {', '.join(map(str, value)) or 'nothing'}"
        if error := check_column(below, value.get(name), f"{place}.{name}"):
            return error
    return None


def _check_classes(column: dict[str, Any], value: Any, place: str) -> str | None:
    names = column["classes"]
    fits = isinstance(value, int) and not isinstance(value, bool) and -1 <= value < len(names)
    return None if fits else _mismatch(place, f"a class number 0 to {len(names) - 1} ({', '.join(names)})", value)


def _check_values(column: dict[str, Any], value: Any, place: str) -> str | None:
    valid = any(value == one and type(value) is type(one) for one in column["values"])
    return None if valid else _mismatch(place, f"one of {', '.join(map(repr, column['values']))}", value)


_WORDS_OF_CONTRACTS: dict[str, Callable[[dict[str, Any], Any, str], str | None]] = {
    "classes": _check_classes,
    "values": _check_values,
    "separated": lambda _, value, place: _check_list(["string"], value, place),
}

_CHECKS: dict[type, Callable[[Any, Any, str], str | None]] = {
    str: _check_scalar,
    list: _check_list,
    dict: _check_mapping,
}


def _mismatch(place: str, expected: str, value: Any) -> str:
    shown = repr(value)
    return f"column '{place}' should hold {expected}, holds {shown if len(shown) <= 60 else shown[:57] + '...'}"


def from_text(column: Column, text: str, *, decimal: str = ".") -> Any:
    """A CSV cell as the type its column states; a text that is none stays a text, which `check_column` refuses.

    Args:
        decimal: what stands before a number's decimals.
    """
    if isinstance(column, dict) and set(column) == {"values"}:
        return next((value for value in column["values"] if str(value) == text), text)
    kind = "int" if isinstance(column, dict) and set(column) == {"classes"} else column
    if not isinstance(kind, str) or (kind.endswith("?") and not text):
        return None if isinstance(kind, str) else text
    optional, kind = kind.endswith("?"), kind.removesuffix("?")
    if kind == "bool":
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind not in ("int", "float"):
        return text
    return _number_from(kind, text.replace(decimal, "."), optional=optional, cell=text)


def _number_from(kind: str, text: str, *, optional: bool, cell: str) -> Any:
    """A cell as a number; nothing for `nan` where that is allowed; the cell itself where it is neither."""
    if "_" in text:  # Python would read 1_000
        return cell
    try:
        number = int(text) if kind == "int" else float(text)
    except ValueError:
        return cell
    return None if optional and number != number else number  # noqa: PLR0124


def read_nested(column: Column, value: Any) -> Any:
    """A cell of a text as the list or mapping that its contract states, and a list of objects as the mapping of lists
    that it states; what is none stays as it is, and is refused."""
    if isinstance(column, dict) and isinstance(value, list):
        return turned(value) or value
    if isinstance(column, str) or not isinstance(value, str) or set(column) <= {"classes", "values"}:
        return value
    if isinstance(column, dict) and set(column) == {"separated"}:
        return split_list(value, column["separated"])
    nested = parse_nested(value)
    if isinstance(column, dict) and isinstance(nested, list):
        nested = turned(nested)
    return value if nested is None else nested


def column_at(columns: Mapping[str, Column], path: str) -> Column | None:
    """The contract at a path such as `choices.text[2]`; None where there is none."""
    current: Any = dict(columns)
    for name, place in _STEP.findall(path):
        if place:
            current = current[0] if isinstance(current, list) else None
        else:
            current = current.get(name) if isinstance(current, dict) else None
    return current  # type: ignore[no-any-return]


def may_be_null(columns: Mapping[str, Column], path: str) -> bool:
    """Whether the contract lets nothing stand at a path."""
    column = column_at(columns, path)
    return isinstance(column, str) and column.endswith("?")


def is_class_number(columns: Mapping[str, Column], path: str) -> bool:
    """Whether the contract says that a path holds the number of a class."""
    column = column_at(columns, path)
    return isinstance(column, dict) and set(column) == {"classes"}


def describe_features(feature: Any) -> Any:
    """A `datasets` feature in the words of a contract; kinds that have none are given by their name."""
    kind = type(feature).__name__
    if isinstance(feature, dict):
        return {name: describe_features(below) for name, below in feature.items()}
    if kind == "ClassLabel":
        return {"classes": list(feature.names)}
    if kind == "Value":
        return _dtype(feature.dtype)
    if kind in ("List", "LargeList", "Sequence"):
        return [describe_features(feature.feature)]
    if kind == "Translation":
        return dict.fromkeys(feature.languages, "string")
    return kind


def _dtype(name: str) -> str:
    for prefix, word in (("int", "int"), ("uint", "int"), ("float", "float"), ("bool", "bool")):
        if name.startswith(prefix):
            return word
    return "string" if name in ("string", "large_string") else name


def difference(expected: Any, actual: Any, place: str) -> str | None:
    """The first point in which a source's columns differ from a contract, or None."""
    if isinstance(expected, dict) and set(expected) == {"classes"}:
        return _class_difference(expected["classes"], actual, place)
    if isinstance(expected, dict) and set(expected) == {"values"}:
        return None
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, below in expected.items():
            inner = f"{place}.{name}" if place else name
            optional = isinstance(below, str) and below.endswith("?")
            missing = f"column '{inner}' is missing; there is {', '.join(actual)}"
            error = difference(below, actual[name], inner) if name in actual else None if optional else missing
            if error:
                return error
        return None
    if isinstance(expected, list) and isinstance(actual, list):
        return difference(expected[0], actual[0], f"{place}[]")
    wanted = expected.removesuffix("?") if isinstance(expected, str) else expected
    fits = actual in (wanted, "null") or (wanted, actual) == ("float", "int")
    return None if fits else f"column '{place}' is {_words(actual)}, expected {_words(expected)}"


def _class_difference(classes: list[str], actual: Any, place: str) -> str | None:
    """How a source's classes differ; plain numbers may stand for them."""
    if actual in ("int", {"classes": classes}):
        return None
    if isinstance(actual, dict) and set(actual) == {"classes"}:
        return (
            f"column '{place}' has the classes {', '.join(actual['classes'])},"
            f" expected {', '.join(classes)}, in this order"
        )
    return f"column '{place}' is {_words(actual)}, expected class numbers"


def _words(column: Any) -> str:
    if isinstance(column, dict):
        return f"class numbers ({', '.join(column['classes'])})" if set(column) == {"classes"} else "a mapping"
    return f"a list of {_words(column[0])}" if isinstance(column, list) else str(column)


def strings_in(value: Any) -> Iterator[str]:
    """Every text in a row's value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from strings_in(below)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from strings_in(below)
