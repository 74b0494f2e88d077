"""A change to a YAML file that leaves the rest of it as somebody wrote it: comments, order, blank lines.

The parser tells where each key and each item of a list stands; those lines are written anew and no others.

Invariant: what is given back reads as what was asked for; where the lines can't be told apart (a mapping in braces, an
anchor), the whole is written anew. Cost: one parse before and one after. Rejected: ruamel.yaml, which writes all of a
file again in its own hand, and so makes a diff of everything.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from openflan.recipes.safe_yaml import as_yaml, parse_yaml, tree_of

__all__ = ["with_item", "with_keys"]


def with_keys(text: str, changes: Mapping[str, Any], *, after: str = "") -> str:
    """A mapping's text with some of its keys set, where they stand; None takes a key out.

    Args:
        after: the key that new ones stand after; without it, or where there is none such, they stand at the end.

    Raises:
        ValueError: the text is no YAML.
    """
    wanted = dict(parse_yaml(text))
    for key, value in changes.items():
        if value is None:
            wanted.pop(key, None)
        else:
            wanted[key] = value
    changed: str | None = text
    for key, value in changes.items():
        changed = None if changed is None else _with_key(changed, key, value, after=after)
    return _checked(changed, wanted)


def with_item(text: str, key: str, place: int, value: Any) -> str:
    """A mapping's text with one item of a key's list replaced, added where there is none so far, or (None) taken out.

    Raises:
        ValueError: the text is no YAML.
    """
    wanted = dict(parse_yaml(text))
    wanted[key] = [*wanted.get(key, ())]
    wanted[key][place : place + 1] = [] if value is None else [value]
    return _checked(_with_item(text, key, place, value), wanted)


def _checked(changed: str | None, wanted: Mapping[str, Any]) -> str:
    """A changed text that says what it should, else the whole written anew."""
    try:
        if changed is not None and parse_yaml(changed) == wanted:
            return changed
    except ValueError:
        pass
    return as_yaml(dict(wanted))


def _root(text: str) -> yaml.MappingNode | None:
    """The tree of a text that is a mapping with a key a line."""
    node = tree_of(text)
    return node if isinstance(node, yaml.MappingNode) and not node.flow_style else None


def _with_key(text: str, key: str, value: Any, *, after: str = "") -> str | None:
    root = _root(text)
    if root is None:
        return None
    lines = _lines(text)
    starts = [name.start_mark.line for name, _ in root.value]
    new = [] if value is None else _written({key: value})
    keys = [name.value for name, _ in root.value]
    if key not in keys:
        _, last = (
            _span(lines, starts, keys.index(after), column=0, end=len(lines)) if after in keys else (0, len(lines))
        )
        return "".join([*lines[:last], *new, *lines[last:]])
    place = keys.index(key)
    first, last = _span(lines, starts, place, column=0, end=len(lines))
    return "".join([*lines[:first], *new, *lines[last:]])


def _with_item(text: str, key: str, place: int, value: Any) -> str | None:
    root = _root(text)
    if root is None:
        return None
    lines = _lines(text)
    keys = [name.value for name, _ in root.value]
    if key not in keys:
        return _with_key(text, key, [value])
    number = keys.index(key)
    items = root.value[number][1]
    if not isinstance(items, yaml.SequenceNode) or items.flow_style or not items.value:
        return None
    column = items.start_mark.column
    starts = [_dash(lines, item.start_mark.line, column) for item in items.value]
    ends = [name.start_mark.line for name, _ in root.value[number + 1 :]]
    end = ends[0] if ends else len(lines)
    new = [] if value is None else [_indented(line, column) for line in _written([value])]
    if place >= len(starts):
        _, after = _span(lines, starts, len(starts) - 1, column=column, end=end)
        return "".join([*lines[:after], *new, *lines[after:]])
    first, last = _span(lines, starts, place, column=column, end=end)
    return "".join([*lines[:first], *new, *lines[last:]])


def _span(lines: list[str], starts: list[int], place: int, *, column: int, end: int) -> tuple[int, int]:
    """First line of a part, and the line after its last; comments and blank lines before the next part are that's."""
    first = starts[place]
    last = starts[place + 1] if place + 1 < len(starts) else end
    while last > first + 1:
        line = lines[last - 1]
        remark = line.lstrip().startswith("#") and len(line) - len(line.lstrip()) <= column
        if line.strip() and not remark:
            break
        last -= 1
    return first, last


def _dash(lines: list[str], line: int, column: int) -> int:
    """The line of an item's dash, on or above that of its content."""
    while line > 0 and not (lines[line][column : column + 1] == "-" and not lines[line][:column].strip()):
        line -= 1
    return line


def _written(value: Any) -> list[str]:
    """A value's lines, without the mark that ends a document after a text that ends in empty lines."""
    lines = _lines(as_yaml(value))
    return lines[:-1] if lines[-1] == "...\n" else lines


def _indented(line: str, column: int) -> str:
    return " " * column + line if line.strip() else line


def _lines(text: str) -> list[str]:
    """Lines with their ends, the last one too."""
    lines = text.splitlines(keepends=True) if "\r" not in text else text.replace("\r\n", "\n").splitlines(keepends=True)
    return [*lines[:-1], lines[-1] if lines[-1].endswith("\n") else lines[-1] + "\n"] if lines else []
