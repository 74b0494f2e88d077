"""Settings by dotted key: `training.steps=100` as a user writes it, and where it goes.

Values are read as YAML, as in a file. Invariant: a key that leads through something which holds no keys is an error,
never a silent replacement.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.recipes.safe_yaml import parse_yaml

__all__ = ["Settings", "parse_setting", "set_key", "setting_lines", "setting_pairs"]

Settings = Mapping[str, Any] | Sequence[str]
"""Settings by dotted key: `{"training.steps": 20}`, or lines as after `--set`: `["training.steps=20"]`."""


def setting_pairs(settings: Settings) -> list[tuple[str, Any]]:
    """Dotted keys and their values, in order.

    Raises:
        UserError: a line is not of the form a.b=value.
    """
    if isinstance(settings, Mapping):
        return list(settings.items())
    return [parse_setting(setting) for setting in settings]


def setting_lines(settings: Settings, data: str | Path | None = None) -> list[str]:
    """The same as lines, as after `--set`; JSON is YAML.

    Args:
        data: a folder of rows or `twins`, as one more setting (`tasks.data`).
    """
    lines = (
        [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
        if isinstance(settings, Mapping)
        else list(settings)
    )
    if data is None:
        return lines
    return [
        *lines,
        f"tasks.data={json.dumps('twins' if data == 'twins' else str(Path(data).absolute()), ensure_ascii=False)}",
    ]


def parse_setting(setting: str) -> tuple[str, Any]:
    """Key and value of `a.b=value`.

    Raises:
        UserError: it is not of that form.
    """
    key, equals, value = setting.partition("=")
    if not equals or not key:
        raise UserError(f"'{setting}' is not of the form a.b=value", where="--set")
    try:
        return key.strip(), parse_yaml(value)
    except ValueError:
        raise UserError(f"the value of '{setting}' is not valid YAML", where="--set", how="quote it") from None


def set_key(data: dict[str, Any], key: str, value: Any, *, where: str = "--set") -> None:
    """Set one dotted key in place.

    Raises:
        UserError: the key leads through a value.
    """
    *path, last = key.split(".")
    here = data
    for part in path:
        below = here.setdefault(part, {})
        if not isinstance(below, dict):
            raise UserError(f"'{part}' in '{key}' holds a value, not keys", where=where)
        here = below
    here[last] = value
