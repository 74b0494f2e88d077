"""A kind's seed templates with a table's own columns in them.

Every column of the question stands in every template that asks; one that is empty in some rows takes its line with it.

Invariant: what comes out is Jinja that the sandbox runs, whatever columns are called. Rejected: templates by code,
which nobody edits; the seeds are a file to be read.
"""

import json
import keyword
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openflan.own.names import readable
from openflan.own.profile import OwnColumn
from openflan.recipes.safe_yaml import read_yaml
from openflan.tasks.spec import RESERVED

__all__ = ["expression", "fill", "value_of"]

_SEEDS = Path(__file__).with_name("templates.yaml")
_JINJA = {
    *keyword.kwlist,
    *keyword.softkwlist,
    "true",
    "false",
    "none",
    "range",
    "loop",
    "self",
    "super",
    "caller",
    "namespace",
}
_METHODS = {name for kind in (dict, list, str) for name in dir(kind)}


def value_of(column: OwnColumn) -> str:
    """How Jinja names a column, whatever its name is made of: through the row where it means something else."""
    parts = [column.path] if column.path == column.top else column.path.split(".")
    first, *below = parts
    plain = first.isidentifier() and first.isascii() and first not in _JINJA and not first.startswith("_")
    name = f"row.{first}" if first in RESERVED else first if plain else f"row[{_quoted(first)}]"
    for part in below:
        name += f".{part}" if part.isidentifier() and part not in _METHODS else f"[{_quoted(part)}]"
    return name


def expression(column: OwnColumn) -> str:
    """What writes a column into a text."""
    name = value_of(column)
    if column.kind == "texts":
        return "{{" + name + " | join(', ')}}"
    if column.kind == "lists":
        return "{% for part in " + name + " %}{{part | join(' | ')}}{{'' if loop.last else '; '}}{% endfor %}"
    if column.kind == "bool" and column.stored == "bool":
        return "{{'yes' if " + name + " else 'no'}}"
    return "{{" + name + "}}"


def fill(
    kind: str, parts: Mapping[str, OwnColumn], extras: Sequence[OwnColumn], words: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The templates of a kind.

    Args:
        parts: columns by their place in the seeds.
        extras: columns that stand in a line of their own.
        words: what stands for the other names in angle brackets.
    """
    more = "".join(_line(column) for column in extras)
    places = {name: expression(column) for name, column in parts.items()}
    if kind == "instruction":
        places["input"] = _line(parts["text"], name="") if "text" in parts else ""
    templates = []
    for seed in read_yaml(_SEEDS, kind="file of seed templates", how="install openflan again")[kind]:
        template = dict(seed)
        for part in ("input", "target"):
            text = template.get(part)
            if text is None:
                continue
            text = text.replace("<<more>>", more)
            for name, value in {**places, **words}.items():
                text = text.replace(f"<<{name}>>", value).replace(
                    f"<<{name.capitalize()}>>", value[:1].upper() + value[1:]
                )
            template[part] = text
        templates.append(template)
    return templates


def _line(column: OwnColumn, name: str | None = None) -> str:
    """A line of its own for a column, or nothing where it is empty."""
    label = (readable(column.path) or "also").capitalize() if name is None else name
    start = f"\n{label}: " if label else "\n\n"
    if not column.empty:
        return start + expression(column)
    inner = value_of(column) + (" | join(', ')" if column.kind == "texts" else "")
    return "{{" + json.dumps(start) + f" ~ ({inner}) if {value_of(column)} else ''" + "}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if "\\" not in text else repr(text)
