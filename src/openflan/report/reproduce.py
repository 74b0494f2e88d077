"""How to repeat a run: the commands, the recipe to save, and the versions that decide its numbers.

The recipe in the page holds every setting, defaults too, so one command without `--set` does it; the run folder then
bears the same name, for the name ends in the recipe's hash.

Invariant: nothing here names the machine that the run was made on, but for paths that the recipe itself states.
Rejected: the command line as typed, which leaves out the recipe file's content and the folder it was typed in.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from openflan.report.plot_data import download
from openflan.runs.results import Results

__all__ = ["Reproduction", "reproduction_of", "version_pins"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reproduction:
    """What a reader types, saves and needs."""

    commands: str
    recipe: str
    """The recipe as YAML."""
    recipe_address: str
    """A link that holds it."""
    needs: list[str]
    """What the recipe names and does not hold: keys and what they say."""


def reproduction_of(results: Results) -> Reproduction:
    """How to repeat a run."""
    recipe = yaml.safe_dump(results.recipe, sort_keys=False, allow_unicode=True)
    name = f"{results.name}.yaml"
    commands = [f"pip install {version_pins(results.versions)}", f"openflan run {shlex.quote(name)}"]
    return Reproduction(
        commands="\n".join(commands),
        recipe=recipe,
        recipe_address=download(recipe, "application/yaml"),
        needs=_needs(results.recipe),
    )


def version_pins(versions: Mapping[str, str]) -> str:
    """Arguments of `pip install` for the libraries; Python is told apart, and builds (`+cpu`) are the reader's own."""
    return " ".join(f"{name}=={number.partition('+')[0]}" for name, number in versions.items() if name != "python")


def _needs(recipe: Mapping[str, Any]) -> list[str]:
    tasks, model = recipe["tasks"], recipe["model"]["path"]
    needs = [f"tasks.folders: {folder}" for folder in tasks.get("folders", ())]
    if tasks.get("data") not in (None, "twins"):
        needs.append(f"tasks.data: {tasks['data']}")
    if model != "starter":
        needs.append(f"model.path: {model}")
    return needs
