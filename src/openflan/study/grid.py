"""The grid: a study as cells, each an ordinary recipe, in the order in which they can be run.

    base recipe + change ─┬─ + before.NAME           a model that cells start from, as far as training
                          └─ + a value of each axis  a cell, to its report

A cell that starts from such a model says `model.path: {run_of: NAME}` (and, if not the first, `seed:`); the grid puts
the model's folder in its place when the runs folder is known.

Invariant: every cell's recipe is valid before the first one is run. Cost: a millisecond a cell.
"""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from openflan.errors import UserError, did_you_mean
from openflan.recipes.ready import ready_file
from openflan.recipes.recipe import Recipe, make_recipe
from openflan.recipes.safe_yaml import read_yaml
from openflan.recipes.settings import set_key
from openflan.runs.stages import RunPlaces, StageKind
from openflan.stage import fingerprint_of
from openflan.study.spec import StudySpec

__all__ = ["Cell", "Grid", "make_grid"]

_REFERENCE = "run_of"
_LONGEST = 48
"""Characters of a cell's name that go into its run folder's."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A recipe of the grid, or a model that recipes of the grid start from."""

    name: str
    values: Mapping[str, str]
    """Label by axis; empty for a model that is tuned before."""
    settings: Mapping[str, Any]
    """What its values set."""
    data: Mapping[str, Any]
    """The recipe, with references in place of models that are not tuned yet."""
    folder: Path
    """Where relative paths in it start."""
    needs: "Cell | None" = None
    """The model that it starts from."""

    @property
    def until(self) -> StageKind:
        """How far it is run."""
        return StageKind.REPORT if self.values else StageKind.TRAINING

    @property
    def base(self) -> str:
        """The model that its first ancestor starts from."""
        return str((self.needs or self).data.get("model", {}).get("path", "starter"))

    def recipe(self, runs: Path) -> Recipe:
        """The recipe, for runs in a folder."""
        if self.needs is None:
            return make_recipe(self.data, where=self.name, folder=self.folder)
        data = deepcopy(dict(self.data))
        data["model"]["path"] = str(self._tuned(runs))
        return make_recipe(data, where=self.name, folder=self.folder)

    def stand_in(self) -> Recipe:
        """The recipe as if it started from what its model is tuned from: to check it, and to tell its cost."""
        if self.needs is None:
            return self.recipe(Path())
        data = deepcopy(dict(self.data))
        data["model"]["path"] = self.base
        return make_recipe(data, where=self.name, folder=self.folder)

    def _tuned(self, runs: Path) -> Path:
        assert self.needs is not None
        first = self.needs.recipe(runs)
        seed = self.data["model"]["path"].get("seed", first.seeds[0])
        return RunPlaces(runs.absolute() / first.run_name).model(seed)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """All that a study runs."""

    before: tuple[Cell, ...]
    """Models that cells start from."""
    cells: tuple[Cell, ...]
    base: Mapping[str, Any]
    """The recipe that all start from."""
    fingerprint: str
    """Hash of all recipes, wherever the runs lie."""

    @property
    def everything(self) -> tuple[Cell, ...]:
        """In an order in which they can be run."""
        return (*self.before, *self.cells)


def make_grid(study: StudySpec) -> Grid:
    """The cells of a study.

    Raises:
        UserError: a value, a base or a reference is at fault.
    """
    part = study.part
    data, folder = _base(study)
    for key, value in part.change.items():
        set_key(data, key, value, where=study.where)
    data["seeds"] = list(part.seeds)
    before = {name: _before(study, name, data, folder) for name in part.before}
    cells = []
    for labels in product(*(axis.labels for axis in part.axes)):
        values = dict(zip((axis.name for axis in part.axes), labels, strict=True))
        sets = {key: value for axis in part.axes for key, value in axis.settings[values[axis.name]].items()}
        cells.append(_cell(study, values, sets, data, folder, before))
    used = {cell.needs.name for cell in cells if cell.needs is not None}
    if unused := [name for name in before if before[name].name not in used]:
        raise UserError(f"no cell starts from '{unused[0]}'", where=f"{study.where}, before", how="leave it out")
    for cell in (*before.values(), *cells):
        cell.stand_in()
    print_of = fingerprint_of([[cell.name, cell.data] for cell in (*before.values(), *cells)])
    return Grid(before=tuple(before.values()), cells=tuple(cells), base=data, fingerprint=print_of)


def _base(study: StudySpec) -> tuple[dict[str, Any], Path]:
    """The recipe that a study starts from, and where its paths start."""
    base = study.part.base
    if study.recipe is not None:
        path = ready_file("recipe", Path(study.recipe))
        return read_yaml(path, kind="recipe", how="name a recipe, or a folder with one"), path.parent
    if isinstance(base, dict):
        return deepcopy(base), study.folder
    path = ready_file("recipe", Path(base), beside=study.folder)
    how = "give a ready recipe's name or a file beside the study's, or your own with --recipe"
    return read_yaml(path, kind="recipe", how=how), path.parent


def _before(study: StudySpec, name: str, data: Mapping[str, Any], folder: Path) -> Cell:
    fields = deepcopy(dict(data))
    fields["seeds"] = list(study.part.seeds)[:1]
    for key, value in study.part.before[name].items():
        set_key(fields, key, value, where=f"{study.where}, before.{name}")
    fields["name"] = _run_name(study.file.name, [name])
    if _reference(fields) is not None:
        how = "name a model that is there"
        raise UserError("a model that is tuned before can't start from another", where=f"before.{name}", how=how)
    return Cell(name=name, values={}, settings=study.part.before[name], data=fields, folder=folder)


def _cell(
    study: StudySpec,
    values: Mapping[str, str],
    sets: Mapping[str, Any],
    data: Mapping[str, Any],
    folder: Path,
    before: Mapping[str, Cell],
) -> Cell:
    fields = deepcopy(dict(data))
    name = ",".join(f"{axis}={label}" for axis, label in values.items())
    for key, value in sets.items():
        set_key(fields, key, deepcopy(value), where=f"{study.where}, {name}")
    fields["name"] = _run_name(study.file.name, [f"{axis}-{label}" for axis, label in values.items()])
    needs = None
    if (reference := _reference(fields)) is not None:
        where = f"{study.where}, {name}: model.path"
        target = str(reference.get(_REFERENCE))
        if target not in before:
            how = did_you_mean(target, before) or "name one of the setting's 'before:'"
            raise UserError(f"no model '{target}' is tuned before", where=where, how=how)
        needs = before[target]
        seeds = needs.data["seeds"]
        if set(reference) - {_REFERENCE, "seed"} or reference.get("seed", seeds[0]) not in seeds:
            raise UserError(f"{reference} is not of the form {{run_of: NAME, seed: N}}", where=where,
                            how=f"its seeds are {seeds}")  # fmt: skip
    return Cell(name=name, values=values, settings=sets, data=fields, folder=folder, needs=needs)


def _reference(data: Mapping[str, Any]) -> dict[str, Any] | None:
    path = data.get("model", {}).get("path")
    return path if isinstance(path, dict) else None


def _run_name(study: str, words: Sequence[str]) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")
    return f"{study}-{plain[:_LONGEST].strip('-')}"
