"""The studies in a folder of runs, and how each stands: from its account, and from its progress while it works.

Invariant: reads, and writes nothing. Cost: a millisecond a study, a hundredth of a second where its account is large.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from openflan.errors import UserError
from openflan.runs.listing import entries_of
from openflan.study.outcome import StudyOutcome, read_study
from openflan.study.progress import CellProgress, StudyProgress, read_grid

__all__ = ["StudyState", "StudyStatus", "list_studies", "study_status"]

StudyState = Literal["working", "done", "failed", "unfinished"]
"""How a study stands; `failed`: a cell did. `unfinished`: cells wait and nobody works on it."""

_STATES: dict[str, Literal["done", "failed", "waiting"]] = {"ok": "done", "failed": "failed", "waiting": "waiting"}


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyStatus:
    """How a study stands."""

    name: str
    """Of its folder."""
    folder: Path
    title: str
    """The figure's title."""
    state: StudyState
    cells: tuple[CellProgress, ...]
    """Each with how it stands, in order."""
    left: float | None = None
    """Seconds until all of it is done, by its pace so far, where somebody works on it and that can be told."""
    sentence: str = ""
    """What it showed when it was last run, in words."""
    outcome: StudyOutcome | None = None
    """The account of it; None before the first is written."""
    message: str = ""
    """Why its account can't be read."""

    @property
    def through(self) -> int:
        """Cells that are done or failed."""
        return sum(cell.state in ("done", "failed") for cell in self.cells)


def list_studies(runs: str | Path, *, links: bool = True) -> list[StudyStatus]:
    """Every study in a folder of runs, by name.

    Args:
        runs: folder that holds the run folders and the studies'.
        links: whether what leads out of the folder, itself or by a link in it, is read.

    Raises:
        UserError: there is no such folder.
    """
    return [study_status(place) for place in entries_of(runs, "study-*", links=links) if _is_study(place)]


def study_status(study: str | Path) -> StudyStatus:
    """How a study stands.

    Args:
        study: its folder.

    Raises:
        UserError: it is no study's folder.
    """
    folder = Path(study)
    if not _is_study(folder):
        raise UserError("no study's folder", where=str(folder), how="give the folder that `openflan study` printed")
    progress = read_grid(folder)
    path, outcome, message = folder / "study.json", None, ""
    if path.is_file():
        try:
            outcome = _outcome(folder, path.stat().st_mtime_ns)
        except UserError as error:
            message = str(error)
    cells = tuple(progress.cells) if progress else _cells(outcome)
    return StudyStatus(
        name=folder.name,
        folder=folder,
        title=progress.title if progress else outcome.title if outcome else folder.name,
        state="working" if progress else _state(cells),
        cells=cells,
        left=_left(progress),
        sentence=outcome.sentence if outcome else "",
        outcome=outcome,
        message=message,
    )


def _is_study(folder: Path) -> bool:
    return (folder / "study.json").is_file() or read_grid(folder) is not None


def _cells(outcome: StudyOutcome | None) -> tuple[CellProgress, ...]:
    """The cells of a study that nobody works on."""
    return tuple(
        CellProgress(name=cell.name, run=cell.run, state=_STATES[cell.status], message=cell.message)
        for cell in (outcome.cells if outcome else ())
    )


def _state(cells: tuple[CellProgress, ...]) -> StudyState:
    states = {cell.state for cell in cells}
    if "failed" in states:
        return "failed"
    return "done" if states == {"done"} else "unfinished"


def _left(progress: StudyProgress | None) -> float | None:
    """Seconds left now, of what was left when it was written."""
    if progress is None or progress.left is None:
        return None
    return max(0.0, progress.left - (time.time() - progress.updated))


@lru_cache(maxsize=128)
def _outcome(folder: Path, _stamp: int) -> StudyOutcome:
    """The account, read once for each time that it is written."""
    return read_study(folder)
