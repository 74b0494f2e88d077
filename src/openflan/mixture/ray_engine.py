"""Pieces of a token store made on a Ray cluster.

The jobs are a Ray Data dataset, and `map_batches` runs the very function that a local process runs. A job carries the
rows that its piece draws, and pieces travel back as bytes that the caller writes, so the machines need neither the data
nor a common disk, only the same installation. Ray starts an actor that died again and repeats its jobs.

Invariant: the same bytes as without Ray, whatever dies on the way. Cost: one copy of each piece through Ray's object
store. Rejected: rendering rows as Ray Data rows: the unit of restart and sharing is the piece, not the row.
"""

import os
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from openflan.errors import UserError
from openflan.mixture.pieces import PieceFacts, read_facts
from openflan.mixture.workers import Job, MixWork, PieceMaker, UsableRows
from openflan.stage import whole_file

__all__ = ["RayEngine", "ray_cluster"]

_NOWHERE = Path("piece.arrow")
_HOW = 'pip install "openflan[ray]"'


@contextmanager
def ray_cluster(*, cpus: int | None) -> Iterator[None]:
    """The running Ray cluster that RAY_ADDRESS names, or one on this machine as long as it is needed.

    Args:
        cpus: of a cluster on this machine; all that there are if None.

    Raises:
        UserError: Ray is not installed or can't be reached.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise UserError("Ray is not installed", where="--engine ray", how=_HOW) from None
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    settings: dict[str, Any] = {"address": address} if address else {"num_cpus": cpus}
    try:
        ray.init(log_to_driver=False, include_dashboard=False if not address else None, **settings)
    except (ConnectionError, ValueError, RuntimeError) as error:
        first = (str(error).splitlines() or ["unreachable"])[0]
        where = f"RAY_ADDRESS={address}" if address else "--engine ray"
        raise UserError(f"no Ray cluster ({first})", where=where, how="start one with `ray start`") from None
    try:
        yield
    finally:
        ray.shutdown()


class RayEngine:
    """A running Ray cluster, or one on this machine where none is named by RAY_ADDRESS.

    Raises:
        UserError: Ray is not installed or can't be reached.
    """

    def __init__(self, work: MixWork, *, workers: int) -> None:
        self._work = work
        self._workers = workers
        self._cluster = ray_cluster(cpus=workers)

    def __enter__(self) -> "RayEngine":
        self._cluster.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._cluster.__exit__(*error)

    def read(self, tasks: Sequence[str]) -> dict[str, UsableRows]:
        """The tasks' usable rows, read here."""
        maker = PieceMaker(self._work)
        return {task: maker.read(task) for task in tasks}

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, PieceFacts]]:
        """Make pieces; they are written here as they come back, in any order."""
        import ray.data

        if not jobs:
            return
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.verbose_progress = False
        actors = min(self._workers, len(jobs))
        rows = [
            {"number": number, "job": pickle.dumps(replace(job.sent(), path=_NOWHERE))}
            for number, job in enumerate(jobs)
        ]
        pieces = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _PieceActor,
            fn_constructor_kwargs={"work": self._work},
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=actors),
            num_cpus=1,
        )
        try:
            for batch in pieces.iter_batches(batch_size=1, batch_format="numpy"):
                job = jobs[int(batch["number"][0])]
                _keep(job.path, batch["piece"][0])
                yield job, read_facts(job.path)[0]
        except Exception as error:
            raise _first_user_error(error) from error


class _PieceActor:
    """An actor: makes the pieces that it is given."""

    def __init__(self, work: MixWork) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self._maker = PieceMaker(work)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        sent = pickle.loads(batch["job"][0])
        with tempfile.TemporaryDirectory() as folder:
            job = replace(sent, path=Path(folder) / "piece.arrow")
            self._maker.make(job)
            piece = np.empty(1, dtype=object)
            piece[0] = job.path.read_bytes()
        return {"number": batch["number"], "piece": piece}


def _keep(path: Path, piece: bytes) -> None:
    """Write a piece whole or not at all."""
    with whole_file(path) as partial:
        partial.write_bytes(piece)


def _first_user_error(error: BaseException) -> Exception:
    """The user's error that an actor met, or the error as it is."""
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, UserError):
            return current
        inner = getattr(current, "cause", None)
        current = inner if isinstance(inner, BaseException) else current.__cause__
    return error if isinstance(error, Exception) else RuntimeError(str(error))
