"""Running a study: cell by cell, each by the pipeline, whatever becomes of the others.

All runs stand in one folder, where the pipeline takes stages of equal key over from siblings: token store, pieces,
trainings and the untuned model's answers are made once. A cell that is whole is skipped, so a killed study goes on
where it was. A cell that fails is told and the others go on; cells that start from a failed model fail with it.

Invariant: the account is the same whatever order, engine or number of interruptions. Rejected: stopping at the first
failure, which costs a night for one bad cell.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openflan.errors import UserError
from openflan.run import Run
from openflan.runs.pipeline import Event
from openflan.stage import user_file_errors
from openflan.study.account import account_folder, runs_of, write_account
from openflan.study.forecast import shares_of
from openflan.study.grid import Cell, Grid, make_grid
from openflan.study.outcome import StudyOutcome
from openflan.study.progress import CellEvent, GridProgress, kept_grid
from openflan.study.spec import ResourcesPart, StudySpec

__all__ = ["CellResult", "Engine", "StudyRun", "blocked", "ended", "run_cell", "run_study"]


WatchCells = Callable[[CellEvent], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class CellResult:
    """How a cell ended."""

    cell: str
    worked: bool = False
    """False where everything was already there."""
    message: str | None = None
    """Why it failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRun:
    """How a study ended."""

    outcome: StudyOutcome
    folder: Path
    """Where its account is."""


class Engine(Protocol):
    """What runs cells: this process, or a cluster."""

    def run(self, grid: Grid, runs: Path, watch: WatchCells) -> Iterator[CellResult]:
        """Run all cells, each after the model that it starts from; results come as they end."""
        ...


def run_study(
    study: StudySpec, *, runs: Path, engine: str = "local", watch: WatchCells = lambda _event: None
) -> StudyRun:
    """Run what is not run yet of a study, and write its account.

    Args:
        runs: folder that holds the run folders and the study's.
        engine: `local`, or `ray`.

    Raises:
        UserError: the study itself is at fault; faults of single cells stand in the account.
    """
    grid = make_grid(study)
    cells = _engine(engine, study.part.resources)
    with user_file_errors(runs):
        runs.mkdir(parents=True, exist_ok=True)
    messages: dict[str, str] = {}
    progress = GridProgress(shares_of(grid), len(study.part.seeds))
    folders = {name: "" if run is None else run.name for name, run in runs_of(grid, runs).items()}
    try:
        with kept_grid(account_folder(study, grid, runs), study.file.title, folders, progress, watch) as watcher:
            for result in cells.run(grid, runs, watcher):
                if result.message is not None:
                    messages[result.cell] = result.message
    except KeyboardInterrupt:  # what is whole is accounted for, too
        write_account(study, grid, runs, messages)
        raise
    outcome = write_account(study, grid, runs, messages)
    return StudyRun(outcome=outcome, folder=account_folder(study, grid, runs))


def run_cell(cell: Cell, runs: Path, watch: Callable[[Event], None] = lambda _event: None) -> CellResult:
    """Run one cell; what is wrong with it is its result."""
    try:
        outcome = Run(cell.recipe(runs), runs=runs).work(cell.until, watch=watch)
    except UserError as error:
        return CellResult(cell=cell.name, message=" ".join(str(error).split()))
    except Exception as error:
        if os.environ.get("OPENFLAN_DEBUG"):
            raise
        first = (str(error).splitlines() or [""])[0][:300]
        return CellResult(cell=cell.name, message=f"{type(error).__name__}: {first} (`openflan --debug` shows more)")
    return CellResult(cell=cell.name, worked=outcome.worked)


def blocked(cell: Cell, messages: Mapping[str, str]) -> CellResult | None:
    """The result of a cell whose model failed, or None where it can be run."""
    if cell.needs is None or cell.needs.name not in messages:
        return None
    message = f"the model that it starts from failed: {cell.needs.name}: {messages[cell.needs.name]}"
    return CellResult(cell=cell.name, message=message)


class _Here:
    """This process, one cell after the other."""

    def run(self, grid: Grid, runs: Path, watch: WatchCells) -> Iterator[CellResult]:
        messages: dict[str, str] = {}
        for cell in grid.everything:
            result = blocked(cell, messages)
            if result is None:
                watch(CellEvent(cell=cell.name, kind="started"))

                def pass_on(event: Event, name: str = cell.name) -> None:
                    watch(CellEvent(cell=name, kind="working", event=event))

                result = run_cell(cell, runs, pass_on)
            if result.message is not None:
                messages[cell.name] = result.message
            watch(ended(result))
            yield result


def ended(result: CellResult) -> CellEvent:
    """What to tell of a cell's end."""
    if result.message is not None:
        return CellEvent(cell=result.cell, kind="failed", message=result.message)
    return CellEvent(cell=result.cell, kind="done" if result.worked else "kept")


def _engine(kind: str, resources: ResourcesPart) -> Engine:
    if kind == "ray":
        from openflan.study.ray_cells import RayCells

        return RayCells(resources)
    if kind != "local":
        raise UserError(f"no engine '{kind}'", where="--engine", how="local or ray")
    return _Here()
