"""`study.json`: a typed, versioned account of a study, computed offline from the answers that its cells stored.

A study is a grid of recipes. Its account holds the axes, every cell with where its run is and how it ended, a point
for each measured cluster of each cell, how the points are drawn, and for each claim of the paper a finding: what the
cells say, with an interval, and whether that confirms the claim.

Invariant: points and findings depend on the cells' answers and the study's text alone; a cell that failed is listed
with its message and has no points. Rejected: free-form tables, of which a report could not say what a column means.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from openflan.errors import UserError
from openflan.records import Record

__all__ = [
    "NO_FIGURE",
    "STUDY_SCHEMA",
    "About",
    "AxisRecord",
    "CellRecord",
    "Finding",
    "FindingVerdict",
    "Measure",
    "PlotRecord",
    "Point",
    "SeedPoint",
    "StudyOutcome",
    "ValueRecord",
    "read_study",
]

STUDY_SCHEMA = 1
"""Version of the schema; raised when a key changes its meaning or goes."""

NO_FIGURE = "none"
"""What a study's or a claim's `figure` says where the paper has none."""

About = Literal["held_out", "seen", "own"]
"""What a study's means, plot and claims are about: held-out clusters (where none is measured, seen ones), seen ones, or
each own task that is tuned on, by test rows of its own."""

Measure = Literal["untuned", "tuned", "gain"]
"""Of a point: the score before tuning, after it (mean over seeds), or the difference."""

FindingVerdict = Literal["confirmed", "not seen", "reversed", "not tested"]
"""What a study says of a claim; `not tested` where cells that it speaks of are missing or failed."""

_Interval = tuple[float, float]


class ValueRecord(Record):
    """One value of an axis."""

    label: str
    x: float
    """Where it stands on an x axis: the value itself where it is a number, parameters of a model, else its place."""
    settings: dict[str, Any]
    """What it sets in the recipe, by dotted key."""


class AxisRecord(Record):
    """What the cells differ in."""

    name: str
    title: str
    """As written beside a plot."""
    numeric: bool
    """Whether `x` is a quantity; else values are categories in order."""
    values: list[ValueRecord]


class CellRecord(Record):
    """One recipe of the grid."""

    name: str
    """`examples=32,model=tuned`: also what a failed cell is called on the terminal."""
    values: dict[str, str]
    """Label of its value by axis."""
    run: str
    """Name of its run folder, beside the study's folder; empty where it failed before it had one."""
    seeds: list[int]
    status: Literal["ok", "failed", "waiting"]
    """`waiting`: not run yet, in an account that was written before the study was through."""
    message: str = ""
    """Why it failed, in one line."""
    certificate: str = ""
    """The leak certificate's verdict on its tuning set; empty where it is not whole."""
    seconds: float = 0.0
    """Computing time of its stages, those that were taken over from other cells included."""
    shared: list[str] = Field(default_factory=list)
    """Stages that it has in common with cells before it: `mixture`, `training/seed-0`, `evaluation/untuned` …"""


class SeedPoint(Record):
    """A point under one seed of tuning."""

    seed: int
    tuned: float
    gain: float
    tuned_ci95: _Interval
    gain_ci95: _Interval


class Point(Record):
    """One cell on one measured cluster; scores from 0 to 1, 95 % intervals over rows and templates."""

    cell: str
    """Name of the cell."""
    series: str
    """Label of its value on the axis that tells series apart; empty where there is one series."""
    x: float
    x_label: str
    cluster: str
    role: Literal["held_out", "seen"]
    """Whether the cell's tuning never saw the cluster, or was on it."""
    tasks: list[str]
    metric: str
    untuned: float
    tuned: float
    """Mean over seeds."""
    gain: float
    untuned_ci95: _Interval
    tuned_ci95: _Interval
    gain_ci95: _Interval
    by_seed: list[SeedPoint]
    chance: float
    majority: float
    n_rows: int
    n_templates: int


class PlotRecord(Record):
    """How the points are drawn; `plot.svg`, `plot.png` and `plot.csv` lie beside `study.json`."""

    kind: Literal["line", "bar"]
    x: str
    """Axis along x, or `cluster`: each measured cluster is a place."""
    x_title: str
    log_x: bool
    y: list[Measure]
    """What is drawn of each point; several give several curves a series."""
    y_title: str
    series: str | None
    """Axis that tells series apart, or `cluster`: each measured cluster (own task) is one."""
    described: str
    """The plot in words, for readers who do not see it."""


class Finding(Record):
    """What the cells say of one claim."""

    claim: str
    figure: str
    """Where the paper makes it: `Figure 6`, `section 4.3` …"""
    paper: str
    """The paper's own numbers, in words."""
    measure: Measure
    of: str
    """The cells it is about, in words."""
    against: str
    """What they are held against: other cells in words, or `no change`."""
    expect: Literal["higher", "lower", "same"]
    margin: float
    """For `same`: differences up to it count as none; else 0."""
    verdict: FindingVerdict
    difference: float | None
    """`of` minus `against`, mean over clusters and seeds; None where it was not tested."""
    ci95: _Interval | None
    """Over rows and templates, paired where both sides answered the same."""
    by_seed: dict[int, float]
    """Difference by seed."""
    by_cluster: dict[str, float]
    """Difference by measured cluster."""
    sentence: str
    """All of that in one sentence."""


class StudyOutcome(Record):
    """The account of one study."""

    schema_version: int
    name: str
    title: str
    question: str
    """The paper's claim that is tested, as a question."""
    figure: str
    setting: str
    """`starter`, `paper`, or the name of another setting of the study file."""
    paper_setting: list[str]
    """What the authors did, in plain lines: model, data, sizes, what was measured."""
    differs: list[str]
    """Where this setting differs from theirs, in plain lines."""
    axes: list[AxisRecord]
    seeds: list[int]
    base: dict[str, Any]
    """The recipe that all cells start from."""
    cells: list[CellRecord]
    points: list[Point]
    """One for each measured cluster of each cell."""
    means: list[Point]
    """One a cell: the mean over its measured clusters, each of which counts alike; `cluster` is empty."""
    drawn: list[Point]
    """What the plot shows: one for each series and place on x, a mean over the cells that stand there and, but where x
    is `cluster`, over their measured clusters; `cell` says what these cells have in common."""
    plot: PlotRecord
    findings: list[Finding]
    sentence: str
    """What the study shows, in words."""
    command: str
    """What runs it again."""
    wall_seconds: float
    """Computing time of all stages, each counted once."""
    versions: dict[str, str]
    machine: dict[str, str]

    def __repr__(self) -> str:
        return f"StudyOutcome({self.name!r}: {self.sentence})"


def read_study(folder: Path) -> StudyOutcome:
    """Read a study's account.

    Raises:
        UserError: there is none, or it is damaged or of another version.
    """
    path = folder / "study.json"
    try:
        outcome = StudyOutcome.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, FileNotFoundError, NotADirectoryError):
        outcome = None
    if outcome is None or outcome.schema_version != STUDY_SCHEMA:
        how = "run the study again: `openflan study NAME` keeps what is whole"
        raise UserError(f"no account of a study of schema version {STUDY_SCHEMA}", where=str(path), how=how)
    return outcome
