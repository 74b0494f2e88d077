"""YAML from anyone: safe, small, and read the same way everywhere.

Recipes, tasks and imported files all come through here. Plain values only; a file over a megabyte or with more than
a few dozen aliases is refused before it is built, for aliases of aliases grow without bound.

Invariant: reading runs nothing and takes memory in proportion to the file. Cost: 2 ms a task file (libyaml).
Rejected: YAML 1.1's own numbers, in which 3e-5 is a text.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from openflan.errors import UserError

__all__ = ["parse_yaml", "read_yaml"]

_LARGEST = 1_000_000
_ALIASES = 50


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML that reads 3e-5 as a number, as YAML 1.2 and every user do and YAML 1.1 does not."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+\Z"), list("-+0123456789")
)


def parse_yaml(text: str) -> Any:
    """The value that a YAML text stands for.

    Raises:
        ValueError: it is no YAML, too large, or full of aliases.
    """
    if len(text) > _LARGEST:
        raise ValueError(f"over {_LARGEST:,} characters")
    try:
        if "&" in text and "*" in text and _aliases(text) > _ALIASES:
            raise ValueError(f"more than {_ALIASES} aliases")
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def read_yaml(path: Path, *, kind: str, how: str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Args:
        kind: what the file should be, in the user's words: `task file`, `recipe`.
        how: what to do where it is missing.

    Raises:
        UserError: it is missing, not YAML, too large, or no mapping.
    """
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"no such {kind}", where=str(path), how=how) from None
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}", where=str(path), how="check its permissions") from None
    except ValueError as error:  # UnicodeDecodeError is one
        raise UserError(f"not valid YAML: {error}", where=str(path), how="mend the file") from None
    if not isinstance(data, dict):
        raise UserError(f"a {kind} must hold a mapping", where=str(path), how="start with 'name:'")
    return data


def _aliases(text: str) -> int:
    return sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Loader))
