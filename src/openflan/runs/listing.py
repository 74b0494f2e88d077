"""The runs in a folder, and how each stands: told from what it wrote, whoever works on it and wherever.

    for run in list_runs("runs"):
        print(run.name, run.state_words, run.sentence)

Invariant: reads, and writes nothing; a folder of another version is listed and says so. Cost: 2 ms a run, 10 ms more
the first time for one that is done. Rejected: a database of runs, which is another truth beside the folders.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from openflan.errors import UserError
from openflan.links import links_out
from openflan.records import Record
from openflan.runs.progress import RunProgress, StageProgress, read_progress
from openflan.runs.results import Results
from openflan.runs.stages import RunPlaces, StageKind, stages_of
from openflan.runs.stored import StoredRun
from openflan.stage import read_manifest

__all__ = [
    "EvaluationStatus",
    "ListedGain",
    "RunState",
    "RunStatus",
    "entries_of",
    "list_evaluations",
    "list_runs",
    "run_status",
]

RunState = Literal["waiting", "mixing", "tuning", "evaluating", "reporting", "done", "failed", "unfinished"]
"""How a run stands; `unfinished`: some is whole and nobody works on it."""

_VERBS: dict[str, RunState] = {
    StageKind.MIXTURE: "mixing",
    StageKind.TRAINING: "tuning",
    StageKind.EVALUATION: "evaluating",
    StageKind.REPORT: "reporting",
}


class ListedGain(Record):
    """One line of a run's verdict: a cluster, or a task of the user's own."""

    name: str
    role: Literal["own", "held_out", "seen"]
    untuned: float
    tuned: float
    gain: float
    gain_ci95: tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStatus:
    """How a run stands."""

    name: str
    """Of its folder."""
    folder: Path
    state: RunState
    works: bool = False
    """Whether somebody works on it."""
    stages: tuple[StageProgress, ...] = ()
    """Of all its stages, in order."""
    left: float | None = None
    """Seconds until everything is done, where somebody works on it and that can be told."""
    message: str = ""
    """What ended it where it failed, or why it can't be read."""
    sentence: str = ""
    """The verdict in words; empty before it is done."""
    gains: tuple[ListedGain, ...] = ()
    """The verdict by cluster and own task."""
    seeds: tuple[int, ...] = ()
    model: str = ""
    """What it tunes, as the recipe names it."""
    changed: float = 0.0
    """When it last changed, in seconds since 1970."""

    @property
    def state_words(self) -> str:
        """The state as people are told: `tuning seed-0, step 12 of 600`."""
        at_work = [stage for stage in self.stages if stage.state == "working"]
        if self.state not in _VERBS.values() or not at_work:
            return self.state
        stage = at_work[0]
        _, _, model = stage.place.partition("/")
        words = f"{self.state} {model}".rstrip()
        if not stage.total:
            return words
        unit = "step " if stage.unit == "steps" else ""
        after = "" if stage.unit == "steps" else f" {stage.unit}"
        return f"{words}, {unit}{stage.done:,} of {stage.total:,}{after}"


def list_runs(runs: str | Path, *, links: bool = True) -> list[RunStatus]:
    """Every run in a folder, those that changed last first.

    Args:
        runs: folder that holds the run folders.
        links: whether what leads out of the folder, itself or by a link in it, is read.

    Raises:
        UserError: there is no such folder.
    """
    statuses = [run_status(place) for place in entries_of(runs, "*", links=links) if RunPlaces(place).is_run]
    return sorted(statuses, key=lambda status: (-status.changed, status.name))


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationStatus:
    """Answers of a model that was measured without a recipe."""

    name: str
    """Of their folder."""
    folder: Path
    model: str
    """As it was named."""
    tasks: tuple[str, ...]


def list_evaluations(runs: str | Path, *, links: bool = True) -> list[EvaluationStatus]:
    """What `evaluate` measured into a folder of runs, by name; what can't be read is left out.

    Args:
        runs: folder that holds the folders of answers.
        links: whether what leads out of the folder, itself or by a link in it, is read.

    Raises:
        UserError: there is no such folder.
    """
    places = entries_of(runs, "eval-*/results.json", links=links)
    evaluations = (_evaluation(path, path.stat().st_mtime_ns) for path in places)
    return [one for one in evaluations if one is not None]


@lru_cache(maxsize=512)
def _evaluation(path: Path, _stamp: int) -> EvaluationStatus | None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))  # what checks it all loads torch, too
        tasks = tuple(str(task["task"]) for task in fields["tasks"])
        return EvaluationStatus(name=path.parent.name, folder=path.parent, model=str(fields["model"]), tasks=tasks)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def entries_of(runs: str | Path, pattern: str, *, links: bool) -> list[Path]:
    """What a folder of runs holds by a pattern, by name.

    Args:
        runs: the folder.
        pattern: as `Path.glob` takes it.
        links: whether what leads out of the folder, itself or by a link in it, is read.

    Raises:
        UserError: there is no such folder.
    """
    folder = Path(runs)
    if not folder.is_dir():
        raise UserError("no such folder", where=str(folder), how="name the folder that holds the runs")
    return [path for path in sorted(folder.glob(pattern)) if links or links_out(path, [folder]) is None]


def run_status(run: str | Path) -> RunStatus:
    """How a run stands.

    Args:
        run: its folder.

    Raises:
        UserError: it is no run's folder.
    """
    folder = Path(run)
    places = RunPlaces(folder)
    if not places.is_run:
        raise UserError("no run folder", where=str(folder), how="give the folder that `openflan run` printed")
    changed = max(path.stat().st_mtime for path in (places.head, places.results, places.progress) if path.exists())
    try:
        stored = StoredRun.open(folder)
        head, progress = stored.head, read_progress(folder)
    except UserError as error:
        return RunStatus(name=folder.name, folder=folder, state="failed", message=str(error), changed=changed)
    recipe = stored.recipe
    done = head is not None and head.results is not None and places.results.is_file()
    summary = _summary(places.results, places.results.stat().st_mtime_ns) if done else _Summary()
    works = progress is not None and not progress.failed and progress.worker.works(heard=progress.updated)
    stages = tuple(progress.stages) if works and progress else _whole_stages(places, recipe.seeds, done=done)
    return RunStatus(
        name=folder.name,
        folder=folder,
        state=_state(progress if works or (progress and progress.failed) else None, stages, done=done),
        works=works,
        stages=stages,
        left=_left(progress) if works and progress else None,
        message=progress.failed if progress and not works else summary.message,
        sentence=summary.sentence,
        gains=summary.gains,
        seeds=tuple(recipe.seeds),
        model=recipe.model.path,
        changed=changed,
    )


def _state(progress: RunProgress | None, stages: tuple[StageProgress, ...], *, done: bool) -> RunState:
    if progress is not None and progress.failed:
        return "failed"
    if progress is not None:
        at_work = [stage for stage in stages if stage.state == "working"]
        return _VERBS[at_work[0].place.partition("/")[0]] if at_work else "waiting"
    if done:
        return "done"
    return "unfinished" if any(stage.state == "done" or stage.done for stage in stages) else "waiting"


def _left(progress: RunProgress) -> float | None:
    """Seconds left now, of what was left when it was written."""
    return None if progress.left is None else max(0.0, progress.left - (time.time() - progress.updated))


def _whole_stages(places: RunPlaces, seeds: Sequence[int], *, done: bool) -> tuple[StageProgress, ...]:
    """The stages of a run that nobody works on."""

    def state(place: str) -> Literal["done", "waiting"]:
        if place == StageKind.REPORT:
            return "done" if done else "waiting"
        return "waiting" if read_manifest(places.folder / place) is None else "done"

    return tuple(StageProgress(place=stage.place, state=state(stage.place)) for stage in stages_of(seeds))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Summary:
    """What results say, in short."""

    sentence: str = ""
    gains: tuple[ListedGain, ...] = ()
    message: str = ""


@lru_cache(maxsize=512)
def _summary(path: Path, _stamp: int) -> _Summary:
    """What results say, read once for each time that they are written."""
    try:
        verdict = Results.read(path.parent).verdict
    except UserError as error:
        return _Summary(message=str(error))
    gains = [
        *((one.task, "own", one) for one in verdict.own),
        *((one.cluster, "held_out", one) for one in verdict.held_out),
        *((one.cluster, "seen", one) for one in verdict.seen),
    ]
    return _Summary(
        sentence=" ".join(filter(None, (verdict.own_sentence, verdict.sentence))),
        gains=tuple(
            ListedGain.model_validate(
                {
                    "name": name,
                    "role": role,
                    "untuned": one.base,
                    "tuned": one.tuned,
                    "gain": one.gain,
                    "gain_ci95": one.gain_ci95,
                }
            )
            for name, role, one in gains
        ),
    )
