"""YAML from anyone: safe, small, and read the same way everywhere.

Recipes, tasks and imported files all come through here. Plain values only; a file over a megabyte or with more than
a few dozen aliases is refused before it is built, for aliases of aliases grow without bound. Tags of other tools are
read where a caller names them: a mapping as a mapping, a word as `Marked`, and nothing is ever run. `as_yaml` writes
what a person reads and this reads back as it was.

Invariant: reading runs nothing and takes memory in proportion to the file. Cost: 2 ms a task file (libyaml).
Rejected: YAML 1.1's own numbers, in which 3e-5 is a text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from openflan.errors import UserError

__all__ = ["Marked", "as_yaml", "parse_yaml", "read_yaml", "tree_of"]

_LARGEST = 1_000_000
_ALIASES = 50
_DEEPEST = 100
_NESTERS = ("[", "{", "- -", "? ?")
"""What can open a level without a line of its own; nesting by indentation alone stays shallow in a megabyte."""
_FEW = 1_000


@dataclass(frozen=True, slots=True)
class Marked:
    """A word under a tag that means something to another tool (`!function utils.clean`)."""

    tag: str
    text: str


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML that reads 3e-5 as a number, as YAML 1.2 and every user do and YAML 1.1 does not."""


_EXPONENT = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+\Z")
"""A number that YAML 1.1 takes for a text."""

_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))


class _Dumper(yaml.SafeDumper):
    """YAML in which a text of several lines stands as it reads, and nothing is an alias."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    blank = not text.strip() and bool(text)
    style = '"' if blank or _EXPONENT.match(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent)


def as_yaml(value: object) -> str:
    """Plain values as YAML that a person reads."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))


def parse_yaml(text: str, *, tags: Iterable[str] = ()) -> Any:
    """The value that a YAML text stands for.

    Args:
        tags: tags to read besides YAML's own.

    Raises:
        ValueError: it is no YAML, too large, or full of aliases.
    """
    if len(text) > _LARGEST:
        raise ValueError(f"over {_LARGEST:,} characters")
    try:
        if "&" in text and "*" in text and _aliases(text) > _ALIASES:
            raise ValueError(f"more than {_ALIASES} aliases")
        if sum(map(text.count, _NESTERS)) > _FEW and _depth(text) > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep")  # libyaml's own builder would overflow its stack
        return yaml.load(text, Loader=_with_tags(tuple(tags)))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("nested too deep") from None


def tree_of(text: str) -> yaml.Node | None:
    """The tree of a YAML text that `parse_yaml` reads, in which each part knows its place; None where it reads none."""
    try:
        parse_yaml(text)
        return yaml.compose(text, Loader=_Loader)
    except (ValueError, yaml.YAMLError):
        return None


def read_yaml(path: Path, *, kind: str, how: str, tags: Iterable[str] = ()) -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        kind: what the file should be, in the user's words: `task file`, `recipe`.
        how: what to do where it is missing.
        tags: tags to read besides YAML's own.

    Raises:
        UserError: it is missing, not YAML, too large, or no mapping.
    """
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"), tags=tags)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"no such {kind}", where=str(path), how=how) from None
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}", where=str(path), how="check its permissions") from None
    except ValueError as error:  # UnicodeDecodeError is one
        raise UserError(f"not valid YAML: {error}", where=str(path), how="mend the file") from None
    if not isinstance(data, dict):
        raise UserError(f"a {kind} must hold a mapping", where=str(path), how="start with 'name:'")
    return data


def _with_tags(tags: tuple[str, ...]) -> Any:
    """The loader, or one that also reads some tags."""
    if not tags:
        return _Loader
    loader = type("_TaggedLoader", (_Loader,), {})

    def read(building: Any, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return building.construct_mapping(node, deep=True)
        if isinstance(node, yaml.ScalarNode):
            return Marked(node.tag, str(node.value))
        return building.construct_sequence(node, deep=True)

    for tag in tags:
        loader.add_constructor(tag, read)  # type: ignore[attr-defined]
    return loader


def _aliases(text: str) -> int:
    return sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Loader))


def _depth(text: str) -> int:
    """How deep lists and mappings stand in each other, counted until it is too deep."""
    depth = deepest = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            deepest = max(deepest, depth)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if deepest > _DEEPEST:
            break
    return deepest
