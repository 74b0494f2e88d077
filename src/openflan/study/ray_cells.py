"""Cells of a study as tasks of a Ray cluster.

A cell is run by the very function that a local study calls, with the processors and accelerators that the study
states. It is given out when the model that it starts from is tuned and no cell at work is making a stage that it
shares, so that a token store or the untuned model's answers are made once here too. Where a worker dies, Ray starts
its cell again, which goes on from the last whole piece.

All machines need the same installation and see the runs folder (and the recipe's data) under the same path.

Invariant: the same stages as without Ray, whatever dies on the way. Rejected: Ray Tune, which owns trials, folders and
checkpoints that the pipeline owns already.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.mixture.ray_engine import ray_cluster
from openflan.runs.plan import make_plan
from openflan.runs.stages import StageKind
from openflan.study.grid import Cell, Grid
from openflan.study.progress import CellEvent
from openflan.study.running import CellResult, WatchCells, blocked, ended, run_cell
from openflan.study.spec import ResourcesPart

__all__ = ["RayCells"]

_RETRIES = 3
"""Workers that may die under one cell."""


@dataclass
class _Board:
    """Which cells wait, work and are through."""

    waiting: list[Cell]
    at_work: dict[Any, Cell] = field(default_factory=dict)
    """By Ray's reference to the result."""
    keys: dict[str, frozenset[str]] = field(default_factory=dict)
    """Stages of each cell at work or through."""
    done: set[str] = field(default_factory=set)
    """Stages of cells that are through."""
    through: set[str] = field(default_factory=set)
    messages: dict[str, str] = field(default_factory=dict)


class RayCells:
    """A running Ray cluster, or one on this machine where RAY_ADDRESS names none."""

    def __init__(self, resources: ResourcesPart) -> None:
        self._resources = resources

    def run(self, grid: Grid, runs: Path, watch: WatchCells) -> Iterator[CellResult]:
        """Run all cells; results come as they end.

        Raises:
            UserError: Ray is not installed or can't be reached, or no machine has what a cell needs.
        """
        with ray_cluster(cpus=None):
            import ray

            self.refuse(ray.cluster_resources())
            work = ray.remote(num_cpus=self._resources.cpus, num_gpus=self._resources.gpus, max_retries=_RETRIES)(
                run_cell
            )
            board = _Board(waiting=list(grid.everything))
            while board.waiting or board.at_work:
                for result in self._give_out(board, work, runs.absolute(), watch):
                    watch(ended(result))
                    yield result
                if not board.at_work:
                    continue
                (first,), _ = ray.wait(list(board.at_work), num_returns=1)
                result = _result(board, first)
                watch(ended(result))
                yield result

    def refuse(self, there: Mapping[str, float]) -> None:
        """Refuse what could never be run.

        Args:
            there: the cluster's resources, in Ray's words.

        Raises:
            UserError: a cell needs more than there is.
        """
        for name, key, wanted in (("cpus", "CPU", self._resources.cpus), ("gpus", "GPU", self._resources.gpus)):
            if wanted > there.get(key, 0.0):
                how = "lower it in the study, or start larger machines"
                what = f"a cell needs {wanted:g} and the cluster has {there.get(key, 0.0):g}"
                raise UserError(what, where=f"resources.{name}", how=how)

    def _give_out(self, board: _Board, work: Any, runs: Path, watch: WatchCells) -> list[CellResult]:
        """Start all cells that can be started; returns those that can't ever be."""
        lost = []
        for cell in list(board.waiting):
            if cell.needs is not None and cell.needs.name not in board.through:
                continue
            result = blocked(cell, board.messages)
            if result is None:
                try:
                    keys = _stages(cell, runs)
                except UserError as error:
                    result = CellResult(cell=cell.name, message=" ".join(str(error).split()))
            if result is not None:
                board.waiting.remove(cell)
                board.through.add(cell.name)
                board.messages[cell.name] = result.message or ""
                lost.append(result)
                continue
            busy = frozenset().union(*(board.keys[other.name] for other in board.at_work.values()))
            if (keys - board.done) & busy:
                continue
            board.waiting.remove(cell)
            board.keys[cell.name] = keys
            board.at_work[work.remote(cell, runs)] = cell
            watch(CellEvent(cell=cell.name, kind="started"))
        return lost


def _stages(cell: Cell, runs: Path) -> frozenset[str]:
    """Keys of the stages that a cell makes and others may make too."""
    stages = make_plan(cell.recipe(runs)).stages(min(cell.until, StageKind.EVALUATION, key=lambda kind: kind.order))
    return frozenset(stage.key for stage in stages)


def _result(board: _Board, reference: Any) -> CellResult:
    """The result of a cell that is through."""
    import ray

    cell = board.at_work.pop(reference)
    try:
        result: CellResult = ray.get(reference)
    except ray.exceptions.RayError as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:300]
        result = CellResult(cell=cell.name, message=f"its worker died {_RETRIES + 1} times: {first}")
    board.through.add(cell.name)
    if result.message is None:
        board.done |= board.keys[cell.name]
    else:
        board.messages[cell.name] = result.message
    return result
