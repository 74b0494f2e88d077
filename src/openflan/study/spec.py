"""A study as its file says it: base recipe, axes, seeds, claims and plot, for one or more settings.

    name, title, question, figure     what it is and where the paper has it
    paper_setting                     what the authors did, in lines
    claims, plot                      what is asked of the cells, how they are drawn
    settings: {starter: …, paper: …}  base + change, models tuned before, axes, seeds; a user picks one

Values name recipe settings by dotted key. A cell may start from a model that a run of the same study tunes before:
`model.path: {run_of: NAME}`.

Invariant: what a file says is either used or refused. Rejected: claims as Python functions, which a reader of the
plot can't check without reading code.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from openflan.errors import UserError, did_you_mean, strict_error
from openflan.recipes.ready import ready_file
from openflan.recipes.safe_yaml import read_yaml
from openflan.recipes.settings import parse_setting
from openflan.records import Record
from openflan.study.outcome import About, Measure

__all__ = ["AxisPart", "ClaimPart", "PlotPart", "ResourcesPart", "SettingPart", "StudyFile", "StudySpec", "load_study"]

_NAME = r"^[a-z0-9][a-z0-9-]*$"
_DEFAULT, _OWN = "starter", "own"
_STUDYS_OWN = ("axes", "before", "resources")
"""What `--set` may change of a study itself; every other key is a recipe's."""


class AxisPart(Record):
    """What cells differ in."""

    name: str = Field(pattern=_NAME)
    title: str = ""
    """As written beside a plot; the name by default."""
    key: str | None = None
    """The recipe setting that `values` are values of."""
    values: dict[str, dict[str, Any]] | tuple[Any, ...] = Field(min_length=1)
    """With `key`, a list of its values; else by label the settings that a value stands for."""
    x: Literal["number", "parameters", "rows", "place"] | None = None
    """Where a value stands on a plot: at its label as a number, at its model's parameters, at the training rows that it
    was tuned on (of the series' tasks, where a series is a cluster), or in order. By default as a number where all
    labels are."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.key is None) == isinstance(self.values, tuple):
            raise ValueError("a list of values needs a key, values by label need none")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("two values have one label")
        if self.x in ("number", "rows") and not self._numbers:
            raise ValueError(f"x: {self.x} needs labels that are numbers")
        return self

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """What each value sets, by label."""
        if isinstance(self.values, dict):
            return self.values
        return {_label(value): {str(self.key): value} for value in self.values}

    @property
    def labels(self) -> list[str]:
        """Labels of the values, in order."""
        return list(self.values) if isinstance(self.values, dict) else [_label(value) for value in self.values]

    @property
    def numeric(self) -> bool:
        """Whether values stand on a plot at a quantity."""
        return self.x in ("number", "parameters", "rows") or (self.x is None and self._numbers)

    @property
    def _numbers(self) -> bool:
        try:
            return all(float(label) is not None for label in self.labels)
        except ValueError:
            return False


LAST_BUT_ONE = "last but one"
"""Names the value before an axis' last, so that an end can be held against what stands before it."""


class ClaimPart(Record):
    """Something that the paper says of the study's cells."""

    says: str
    paper: str = ""
    """The paper's own numbers."""
    figure: str | None = None
    """Where the paper makes it; the study's figure by default."""
    measure: Measure = "tuned"
    of: dict[str, str] = {}
    """The cells it is about: for some axes a value's label, `first`, `last` or `last but one`; all cells by
    default."""
    against: dict[str, str] | None = None
    """Cells they are held against; None: against no change, for gains only."""
    expect: Literal["higher", "lower", "same"] = "higher"
    margin: float = Field(default=0.0, ge=0, lt=1)
    clusters: tuple[str, ...] | None = None
    """Measured clusters that count; all by default."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.against is None and self.measure != "gain":
            raise ValueError("only a gain can be held against no change: add 'against:'")
        if (self.expect == "same") != (self.margin > 0):
            raise ValueError("expect: same needs a margin, and nothing else has one")
        return self


class PlotPart(Record):
    """How a study is drawn."""

    kind: Literal["line", "bar"] = "line"
    x: str
    """An axis, or `cluster`."""
    x_title: str = ""
    log_x: bool = False
    y: tuple[Measure, ...] = ("tuned",)
    y_title: str = "mean score on held-out clusters"
    series: str | None = None
    """An axis, or `cluster`: a curve for each measured cluster (own task)."""


class ResourcesPart(Record):
    """What one cell needs where a cluster runs it."""

    cpus: float = Field(default=1.0, gt=0)
    gpus: float = Field(default=0.0, ge=0)


class SettingPart(Record):
    """One way to run a study."""

    differs: tuple[str, ...] = ()
    """Where it differs from what the authors did."""
    base: str | dict[str, Any]
    """A ready recipe's name, a file beside the study's, or a recipe."""
    about: About = "held_out"
    """What means, plot and claims are about."""
    change: dict[str, Any] = {}
    """Settings of every cell, by dotted key."""
    before: dict[str, dict[str, Any]] = {}
    """Models to tune first, by name: what their recipe sets after `change`."""
    axes: tuple[AxisPart, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """Repeats: tuning runs of each cell."""
    resources: ResourcesPart = ResourcesPart()


class StudyFile(Record):
    """A study file."""

    name: str = Field(pattern=_NAME)
    title: str
    question: str
    figure: str
    paper_setting: tuple[str, ...] = ()
    claims: tuple[ClaimPart, ...] = ()
    plot: PlotPart
    settings: dict[str, SettingPart] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """A study in one of its settings, with what a user changed."""

    file: StudyFile
    setting: str
    part: SettingPart
    folder: Path
    """Where relative paths in it start."""
    where: str
    """What it was read from, for messages."""
    named: str
    """How the user named it: a file, or a ready study."""
    changed: tuple[str, ...] = ()
    """What the user set, as written."""
    recipe: str | None = None
    """The recipe that the user named in place of the setting's base."""

    @property
    def axes(self) -> dict[str, AxisPart]:
        """Axes by name."""
        return {axis.name: axis for axis in self.part.axes}


def load_study(
    path: Path, *, setting: str | None = None, settings: Sequence[str] = (), recipe: str | None = None
) -> StudySpec:
    """Read a study file, or the ready study of a name.

    Args:
        setting: which of its settings; `starter`, or its only one, by default.
        settings: as after `--set`: `axes.NAME=VALUES`, `before.NAME.KEY=VALUE` and `resources.…` change the study,
            other keys its recipes.
        recipe: a recipe file, a folder with one or a ready one, in place of the setting's base; the setting is then
            `own` by default.

    Raises:
        UserError: the file is missing, a key is unknown, a value is not allowed, or axes, claims and plot don't fit.
    """
    named, path = str(path), ready_file("study", path)
    data = read_yaml(path, kind="study", how="`ls studies/` shows the ready ones")
    try:
        file = StudyFile.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise strict_error(error, str(path), StudyFile) from None
    name = setting or (_OWN if recipe is not None and _OWN in file.settings else None)
    name = name or (_DEFAULT if _DEFAULT in file.settings else next(iter(file.settings)))
    if name not in file.settings:
        how = did_you_mean(name, file.settings) or f"one of: {', '.join(file.settings)}"
        raise UserError(f"no setting '{name}'", where=str(path), how=how)
    where = f"{path}: settings.{name}"
    part = file.settings[name]
    study = StudySpec(file=file, setting=name, part=part, folder=path.parent, where=where, named=named, recipe=recipe)
    _check(study)  # as written: with other values of an axis a claim may go untested
    part = _changed(study.part, settings, where=where)
    return replace(study, part=part, changed=tuple(settings))


def _changed(part: SettingPart, settings: Sequence[str], *, where: str) -> SettingPart:
    """A setting with what the user set; a setting that an axis would override is refused."""
    fields = part.model_dump(mode="json")
    axes: dict[str, dict[str, Any]] = {axis["name"]: axis for axis in fields["axes"]}
    recipes: dict[str, Any] = {}
    for key, value in map(parse_setting, settings):
        first, _, rest = key.partition(".")
        if first not in _STUDYS_OWN:
            recipes[key] = value
        elif first == "resources":
            fields["resources"][rest] = value
        elif first == "before":
            name, _, own = rest.partition(".")
            if name not in fields["before"] or not own:
                how = did_you_mean(name, fields["before"]) or f"before.NAME.KEY=VALUE, of {list(fields['before'])}"
                raise UserError(f"no model '{name}' is tuned before", where=f"--set {key}", how=how)
            fields["before"][name][own] = value
        elif rest in axes:
            axes[rest] |= _values_of(axes[rest], value, place=f"--set {key}")
        else:
            how = did_you_mean(rest, axes) or f"its axes: {', '.join(axes)}"
            raise UserError(f"no axis '{rest}'", where=f"--set {key}", how=how)
    fields["seeds"] = recipes.pop("seeds", fields["seeds"])
    fields["change"] = {**fields["change"], **recipes}
    try:
        changed = SettingPart.model_validate_json(json.dumps(fields, default=str))
    except ValidationError as error:
        raise strict_error(error, where if not settings else f"{where} with --set", SettingPart) from None
    for axis in changed.axes:
        for other in {key for sets in axis.settings.values() for key in sets}:
            for key in recipes:
                if f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}."):
                    how = f"set the axis instead: --set axes.{axis.name}=…"
                    raise UserError(f"an axis sets '{other}' in each cell", where=f"--set {key}", how=how)
    return changed


def _values_of(axis: Mapping[str, Any], value: Any, *, place: str) -> dict[str, Any]:
    """An axis's new values: a list of its setting's values or of its labels, or a mapping of labels to settings."""
    if not isinstance(value, list):
        return {"key": None, "values": value}
    if axis["key"] is not None:
        return {"values": value}
    labels = [_label(one) for one in value]
    for label in labels:
        _known(label, list(axis["values"]), f"value of {axis['name']}", place)
    return {"values": {label: axis["values"][label] for label in labels}}


def _check(study: StudySpec) -> None:
    """Axes, claims and plot speak of each other by name."""
    axes = study.axes
    if len(axes) != len(study.part.axes):
        raise UserError("two axes have one name", where=study.where, how="rename one")
    for number, claim in enumerate(study.file.claims):
        for side in (claim.of, claim.against or {}):
            for name, label in side.items():
                place = f"{study.where}, claims[{number}]"
                _known(name, list(axes), "axis", place)
                _known(label, ["first", "last", LAST_BUT_ONE, *axes[name].labels], f"value of {name}", place)
    plot = study.file.plot
    _known(plot.x, ["cluster", *axes], "axis", f"{study.where}, plot.x")
    if plot.series is not None:
        names = [*axes] if plot.x == "cluster" else ["cluster", *axes]
        _known(plot.series, names, "axis", f"{study.where}, plot.series")
    if plot.log_x and (plot.x == "cluster" or not axes[plot.x].numeric):
        raise UserError("log_x needs an axis of quantities", where=f"{study.where}, plot", how="leave log_x out")


def _known(word: str, names: Sequence[str], what: str, where: str) -> None:
    if word not in names:
        how = did_you_mean(word, names) or f"one of: {', '.join(names)}"
        raise UserError(f"no {what} '{word}'", where=where, how=how)


def _label(value: Any) -> str:
    """A value as a label: as YAML writes it, a path by its last part."""
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return json.dumps(value)
    return str(value).rstrip("/").rsplit("/", 1)[-1] if isinstance(value, str) else str(value)
