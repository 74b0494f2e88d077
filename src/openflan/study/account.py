"""The account: a study's folder, made offline from the runs of its cells.

    runs/study-<name>-<hash>/  study.json   the account (openflan.study.outcome)
                               plot.csv     what is drawn, a line a point
                               plot.svg, plot.png
                               report.html  the page, with report/*.csv
                               study.yaml   the study's own file, as it was run

Invariant: made from stored answers and manifests, so it can be made again at any time; a cell that is not whole is in
it with its status and has no points. Cost: a second for each ten cells.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from openflan.errors import UserError
from openflan.machine import machine_facts, version_facts
from openflan.runs.stages import RunPlaces, stages_of
from openflan.stage import read_manifest, user_file_errors, write_atomically
from openflan.study.figure import write_plot
from openflan.study.findings import findings_of, study_sentence
from openflan.study.grid import Cell, Grid
from openflan.study.measuring import Measured, measure_run
from openflan.study.outcome import STUDY_SCHEMA, CellRecord, PlotRecord, StudyOutcome
from openflan.study.page import write_study_page
from openflan.study.points import axes_of, points_of
from openflan.study.spec import StudySpec

__all__ = ["account_folder", "runs_of", "write_account"]


def account_folder(study: StudySpec, grid: Grid, runs: Path) -> Path:
    """Where a study's account lies."""
    return runs / f"study-{study.file.name}-{grid.fingerprint[:8]}"


def write_account(study: StudySpec, grid: Grid, runs: Path, messages: Mapping[str, str]) -> StudyOutcome:
    """Compute a study's account from what its runs stored and write it with its plot and page.

    Args:
        messages: why cells failed, by name.
    """
    folders = runs_of(grid, runs)
    measured: dict[str, Measured] = {}
    for cell in grid.cells:
        run = folders[cell.name]
        if cell.name not in messages and run is not None and RunPlaces(run).results.is_file():
            measured[cell.name] = measure_run(run, about=study.part.about)
    records = _cells(grid, folders, measured, messages)
    axes = axes_of(study, grid)
    points = points_of(study, axes, grid.cells, measured)
    findings = findings_of(study, grid.cells, measured)
    outcome = StudyOutcome(
        schema_version=STUDY_SCHEMA,
        name=study.file.name,
        title=study.file.title,
        question=study.file.question,
        figure=study.file.figure,
        setting=study.setting,
        paper_setting=list(study.file.paper_setting),
        differs=list(study.part.differs),
        axes=axes,
        seeds=list(study.part.seeds),
        base=dict(grid.base),
        cells=records,
        points=points.points,
        means=points.means,
        drawn=points.drawn,
        plot=_plot(study, findings_text=[one.sentence for one in findings]),
        findings=findings,
        sentence=study_sentence(findings, sum(record.status == "failed" for record in records)),
        command=_command(study),
        wall_seconds=_seconds(grid, folders),
        versions=version_facts(),
        machine=machine_facts(),
    )
    folder = account_folder(study, grid, runs)
    with user_file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "study.yaml", yaml.safe_dump(study.file.model_dump(mode="json"), sort_keys=False))
        write_plot(outcome, folder)
        write_atomically(folder / "study.json", outcome.model_dump_json(indent=1))
    return write_study_page(folder)


def runs_of(grid: Grid, runs: Path) -> dict[str, Path | None]:
    """The run folder of each cell, by name; None where the model that it starts from is not there."""
    return {cell.name: _run_of(cell, runs) for cell in grid.everything}


def _run_of(cell: Cell, runs: Path) -> Path | None:
    """A cell's run folder; None where the model that it starts from is not there."""
    try:
        return runs / cell.recipe(runs).run_name
    except UserError:
        return None


def _stages(cell: Cell, run: Path) -> dict[str, dict[str, object]]:
    """Manifests of a run's whole stages, by place."""
    stages = stages_of(cell.data["seeds"], until=cell.until)
    manifests = {stage.place: read_manifest(RunPlaces(run).stage(stage)) for stage in stages}
    return {place: manifest for place, manifest in manifests.items() if manifest is not None}


def _cells(
    grid: Grid, folders: Mapping[str, Path | None], measured: Mapping[str, Measured], messages: Mapping[str, str]
) -> list[CellRecord]:
    """What became of each cell, and what it shares with those before it."""
    keys: set[object] = set()
    records = []
    for cell in grid.everything:
        run = folders[cell.name]
        stages = {} if run is None else _stages(cell, run)
        shared = [place for place, manifest in stages.items() if manifest["key"] in keys]
        keys |= {manifest["key"] for manifest in stages.values()}
        if not cell.values:
            continue
        failed = cell.name in messages
        records.append(
            CellRecord(
                name=cell.name,
                values=dict(cell.values),
                run=run.name if run is not None and run.is_dir() else "",
                seeds=list(cell.data["seeds"]),
                status="failed" if failed else "ok" if cell.name in measured else "waiting",
                message=messages.get(cell.name, ""),
                certificate=measured[cell.name].certificate if cell.name in measured else "",
                seconds=round(sum(_number(manifest) for manifest in stages.values()), 2),
                shared=shared,
            )
        )
    return records


def _seconds(grid: Grid, folders: Mapping[str, Path | None]) -> float:
    """Computing time of all stages, each once."""
    once: dict[object, float] = {}
    for cell in grid.everything:
        run = folders[cell.name]
        for manifest in ({} if run is None else _stages(cell, run)).values():
            once[manifest["key"]] = _number(manifest)
    return round(sum(once.values()), 2)


def _number(manifest: Mapping[str, object]) -> float:
    value = manifest.get("seconds", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def _plot(study: StudySpec, *, findings_text: Sequence[str]) -> PlotRecord:
    plot = study.file.plot
    title = plot.x_title or ("" if plot.x == "cluster" else study.axes[plot.x].title or plot.x)
    return PlotRecord(
        kind=plot.kind,
        x=plot.x,
        x_title=title,
        log_x=plot.log_x,
        y=list(plot.y),
        y_title=plot.y_title,
        series=plot.series,
        described=" ".join([f"{study.file.title}: {plot.y_title} by {title or 'cluster'}.", *findings_text]),
    )


def _command(study: StudySpec) -> str:
    words = ["openflan", "study", study.named, "--setting", study.setting]
    words += ["--recipe", study.recipe] if study.recipe else []
    for setting in study.changed:
        words += ["--set", setting]
    return shlex.join(words)
