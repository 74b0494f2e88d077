"""Points: cells on measured clusters, their means, and what of them a plot shows.

Cells that share series and place on x are drawn as one point, the mean over them; on a plot by cluster one for each
cluster. Invariant: a point's numbers are those of `difference_of` against nothing, so a plot, a mean and a finding
never disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from openflan.errors import UserError
from openflan.runs.results import ClusterVerdict
from openflan.study.grid import Cell, Grid
from openflan.study.measuring import Difference, Measured, difference_of
from openflan.study.outcome import AxisRecord, Measure, Point, SeedPoint, ValueRecord
from openflan.study.sizes import parameters_of
from openflan.study.spec import AxisPart, StudySpec

__all__ = ["StudyPoints", "axes_of", "points_of"]


@dataclass(frozen=True, kw_only=True)
class StudyPoints:
    """All points of a study."""

    points: list[Point]
    means: list[Point]
    drawn: list[Point]


def axes_of(study: StudySpec, grid: Grid) -> list[AxisRecord]:
    """A study's axes with the places of their values."""
    return [_axis(axis, grid) for axis in study.part.axes]


def points_of(
    study: StudySpec, axes: Sequence[AxisRecord], cells: Sequence[Cell], measured: Mapping[str, Measured]
) -> StudyPoints:
    """Points of the cells that are whole.

    Args:
        measured: what was answered, by name of the cells that are whole.
    """
    placing = _Placing(study, axes)
    whole = [cell for cell in cells if cell.name in measured]
    points = [
        _point(placing, cell, verdict, role)
        for cell in whole
        for role, verdicts in measured[cell.name].verdicts.items()
        for verdict in verdicts
    ]
    means = [_mean(placing, [cell], measured) for cell in whole]
    return StudyPoints(points=points, means=means, drawn=_drawn(placing, whole, measured))


class _Placing:
    """Where a study's plot puts a cell."""

    def __init__(self, study: StudySpec, axes: Sequence[AxisRecord]) -> None:
        self.plot = study.file.plot
        self._by_rows = any(axis.name == self.plot.x and axis.x == "rows" for axis in study.part.axes)
        self._values = {axis.name: {value.label: value for value in axis.values} for axis in axes}

    @property
    def by_cluster(self) -> bool:
        return self.plot.x == "cluster"

    @property
    def series_by_cluster(self) -> bool:
        return self.plot.series == "cluster"

    def series(self, cell: Cell) -> str:
        return "" if self.plot.series in (None, "cluster") else cell.values[str(self.plot.series)]

    def place(self, cell: Cell) -> ValueRecord:
        if self.by_cluster:
            return ValueRecord(label="", x=0.0, settings={})
        return self._values[self.plot.x][cell.values[self.plot.x]]

    def order(self, series: str) -> int:
        """Place of a series among the others."""
        return list(self._values[str(self.plot.series)]).index(series) if series else 0

    def x_of(self, place: ValueRecord, measured: Sequence[Measured], tasks: Sequence[str]) -> float:
        """Where cells of a place stand: at its own x, or at the rows that they were tuned on."""
        if not self._by_rows:
            return place.x
        return _average([_average([one.rows.get(task, 0) for task in tasks or list(one.rows)]) for one in measured])


def _drawn(placing: _Placing, cells: Sequence[Cell], measured: Mapping[str, Measured]) -> list[Point]:
    groups: dict[tuple[int, float, str], list[Cell]] = {}
    for cell in cells:
        place = placing.place(cell)
        groups.setdefault((placing.order(placing.series(cell)), place.x, place.label), []).append(cell)
    drawn = []
    for key in sorted(groups):
        group = groups[key]
        if not placing.by_cluster and not placing.series_by_cluster:
            drawn.append(_mean(placing, group, measured))
            continue
        clusters = sorted({cluster for cell in group for cluster, _ in measured[cell.name].units})
        for number, cluster in enumerate(clusters):
            there = [cell for cell in group if any(name == cluster for name, _ in measured[cell.name].units)]
            point = _mean(placing, there, measured, cluster=cluster)
            if placing.series_by_cluster:
                place = placing.place(there[0])
                x = placing.x_of(place, [measured[cell.name] for cell in there], point.tasks)
                label = place.label if x == place.x else f"{x:,.0f}"  # a task that has fewer rows than the cell allows
                drawn.append(point.model_copy(update={"series": cluster, "x": x, "x_label": label}))
            else:
                drawn.append(point.model_copy(update={"x": float(number)}))
    return sorted(drawn, key=lambda point: (point.series, point.x)) if placing.series_by_cluster else drawn


def _mean(
    placing: _Placing, cells: Sequence[Cell], measured: Mapping[str, Measured], *, cluster: str | None = None
) -> Point:
    """Some cells' mean, over all clusters or on one."""
    members = [measured[cell.name] for cell in cells]
    units = {unit: verdict for one in members for unit, verdict in one.units.items() if cluster in (None, unit[0])}
    names = None if cluster is None else [cluster]
    scores = {measure: _alone(members, measure, names) for measure in _MEASURES}
    by_seed = []
    for seed in sorted(set.intersection(*(set(one.tuned) for one in members))):
        one_seed = [replace(one, tuned={seed: one.tuned[seed]}) for one in members]
        tuned, gain = (_alone(one_seed, measure, names) for measure in _TUNED)
        by_seed.append(
            SeedPoint(seed=seed, tuned=tuned.value, gain=gain.value, tuned_ci95=tuned.ci95, gain_ci95=gain.ci95)
        )
    place = placing.place(cells[0])
    verdicts = list(units.values())
    return Point(
        cell=_common(cells),
        series=placing.series(cells[0]),
        x=place.x,
        x_label=cluster if cluster is not None else place.label,
        cluster=cluster or "",
        role=members[0].role,
        tasks=[task for verdict in verdicts for task in verdict.tasks],
        metric=" + ".join(sorted({verdict.metric for verdict in verdicts})),
        untuned=scores["untuned"].value,
        tuned=scores["tuned"].value,
        gain=scores["gain"].value,
        untuned_ci95=scores["untuned"].ci95,
        tuned_ci95=scores["tuned"].ci95,
        gain_ci95=scores["gain"].ci95,
        by_seed=by_seed,
        chance=_average([verdict.chance for verdict in verdicts]),
        majority=_average([verdict.majority for verdict in verdicts]),
        n_rows=sum(verdict.n_rows for verdict in verdicts),
        n_templates=sum(verdict.n_templates for verdict in verdicts),
    )


_MEASURES: tuple[Measure, ...] = ("untuned", "tuned", "gain")
_TUNED: tuple[Measure, ...] = ("tuned", "gain")


def _alone(cells: Sequence[Measured], measure: Measure, clusters: Sequence[str] | None) -> Difference:
    score = difference_of(cells, [], measure, clusters=clusters)
    assert score is not None
    return score


def _point(placing: _Placing, cell: Cell, verdict: ClusterVerdict, role: str) -> Point:
    """One cell on one cluster, with the numbers of its own results."""
    place = placing.place(cell)
    return Point(
        cell=cell.name,
        series=placing.series(cell),
        x=place.x,
        x_label=place.label or verdict.cluster,
        cluster=verdict.cluster,
        role="held_out" if role == "held_out" else "seen",
        tasks=verdict.tasks,
        metric=verdict.metric,
        untuned=verdict.base,
        tuned=verdict.tuned,
        gain=verdict.gain,
        untuned_ci95=verdict.base_ci95,
        tuned_ci95=verdict.tuned_ci95,
        gain_ci95=verdict.gain_ci95,
        by_seed=[
            SeedPoint(seed=s.seed, tuned=s.tuned, gain=s.gain, tuned_ci95=s.tuned_ci95, gain_ci95=s.gain_ci95)
            for s in verdict.by_seed
        ],
        chance=verdict.chance,
        majority=verdict.majority,
        n_rows=verdict.n_rows,
        n_templates=verdict.n_templates,
    )


def _common(cells: Sequence[Cell]) -> str:
    """What some cells have in common: a cell's name, or the values that all of them have."""
    if len(cells) == 1:
        return cells[0].name
    shared = [
        f"{axis}={label}" for axis, label in cells[0].values.items() if all(c.values[axis] == label for c in cells)
    ]
    return ",".join(shared)


def _axis(axis: AxisPart, grid: Grid) -> AxisRecord:
    values = []
    for place, label in enumerate(axis.labels):
        x: float | None = float(label) if axis.numeric and axis.x != "parameters" else None
        if axis.x == "parameters":
            x = _parameters(next(cell for cell in grid.cells if cell.values[axis.name] == label))
        values.append(ValueRecord(label=label, x=place if x is None else x, settings=dict(axis.settings[label])))
    return AxisRecord(name=axis.name, title=axis.title or axis.name, numeric=axis.numeric, values=values)


def _parameters(cell: Cell) -> float | None:
    try:
        return parameters_of(cell.stand_in())
    except UserError:  # told as the cell's own failure
        return None


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)
