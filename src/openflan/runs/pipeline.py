"""The pipeline: mixture → training → evaluation → report, each stage whole or absent.

A finished stage is skipped; a changed setting redoes the stages that depend on it (runs/keys.py), and a stage that
another run already has under the same key is linked from there. Killed at any moment, the next call goes on from the
last whole piece. What is where: runs/stages.py. How a stage is made: runs/making.py. Who writes the report is told by
the caller (openflan/run.py), for a report reads runs and not the other way.

Invariant: a run that was killed and one that was not end with the same bytes. Rejected: a workflow engine; four stages
in a line need none.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from openflan import ranks
from openflan.cores import CorePool, thread_count, torch_threads
from openflan.cost import Meter
from openflan.errors import UserError, interrupts_shown
from openflan.mixture.workers import default_workers
from openflan.models.device import pick_device, pick_precision
from openflan.runs.asking import Asking
from openflan.runs.head import RunHead
from openflan.runs.making import MAKERS, Making
from openflan.runs.materials import Materials
from openflan.runs.progress import kept_progress
from openflan.runs.stages import UNTUNED, Stage, StageKind
from openflan.runs.stored import StoredRun
from openflan.runs.time_left import TimeLeft, measure_costs, prompts_of
from openflan.stage import (
    adopt_twin,
    commit_folder,
    free_bytes,
    partial_folder,
    partial_of,
    read_manifest,
    user_file_errors,
    write_atomically,
)

if TYPE_CHECKING:
    from openflan.runs.results import Results

__all__ = ["Event", "EventKind", "Outcome", "Until", "report_again", "work"]

EventKind = Literal["started", "progress", "note", "done", "kept", "linked"]
Until = StageKind | Literal["mixture", "training", "evaluation", "report"]
"""The last kind of stage that is done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something a user may want to see while the pipeline works."""

    stage: Stage
    kind: EventKind
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""
    share: float | None = None
    """Share of the stage's work that is done, where that is not `done` of `total`: prompts differ in length."""
    spent: float | None = None
    """Processor seconds that this took so far, in all processes, where that is known."""
    left: float | None = None
    """Seconds until everything that was asked for is done, where that can be told."""


Watch = Callable[[Event], None]

_SMALL = 32 << 20
"""Bytes of weights up to which a model is trained and asked by processes of one thread."""
_TRIED = 4 << 30
"""Bytes of weights up to which a few tokens are tried on CPU before the first stage."""
_WORTH_PROCESSES = 2e11
"""Tokens of tuning times bytes of weights from which on starting processes pays: ten seconds of one core."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a call of the pipeline ended."""

    folder: Path
    worked: bool
    """False where everything was already there."""


def work(
    run: StoredRun,
    *,
    report: Callable[[StoredRun], "Results"],
    until: Until = StageKind.REPORT,
    workers: int | None = None,
    engine: str = "local",
    watch: Watch = lambda _event: None,
) -> Outcome:
    """Do what a run's recipe says, as far as it is not done yet.

    Args:
        report: writes results and page of a run whose answers are whole (openflan.report.write).
        until: last stage to do.
        workers: processes that make the token store; by default one for each core where the store is large.
        engine: `local`, or `ray` for the processes of a Ray cluster.
        watch: told how it goes.

    Raises:
        UserError: the recipe, its data, its model or the disk is at fault; a run folder that this call began and
            got nowhere in is removed again.
    """
    until, folder = StageKind(until), run.folder
    with user_file_errors(folder):
        _ = run.head  # a folder of another version is refused
        if run.finished(until):
            return Outcome(folder=folder, worked=False)
        run.plan.check_templates()
        if ranks.world() > 1:
            _check_mixed(run)
            ranks.begin()
            watch = watch if ranks.is_first() else lambda _event: None
        _check_space(run)
        began = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with _sharing(run, until, thread_count(run.recipe.threads)) as pool:
                _work(
                    run,
                    report,
                    until,
                    workers=workers or default_workers(run.recipe),
                    engine=engine,
                    watch=watch,
                    pool=pool,
                )
        except UserError:
            if began and not any(read_manifest(path.parent) for path in folder.rglob("manifest.json")):
                shutil.rmtree(folder)
            raise
        except KeyboardInterrupt:
            if not any(path.is_file() for path in folder.rglob("*")):
                shutil.rmtree(folder)
            raise
    return Outcome(folder=folder, worked=True)


@interrupts_shown()
def _work(
    run: StoredRun,
    report: Callable[[StoredRun], "Results"],
    until: StageKind,
    *,
    workers: int,
    engine: str,
    watch: Watch,
    pool: CorePool | None,
) -> None:
    """Check everything, then do the stages and let whoever looks know how far they are."""
    materials = Materials(run)
    begun = run.head is not None
    if ranks.is_first() and (not begun or run.recipe.evaluation.too_long == "refuse"):
        materials.check()  # prompts of changed rows may be too long, whoever has answers to them
    model = None
    if ranks.is_first() and not begun:
        if until is not StageKind.MIXTURE:
            model = materials.check_model()
        _write_head(run)
    with kept_progress(run.folder, run.plan.stages(until), watch, writes=ranks.is_first()) as tell:
        timed = until is not StageKind.MIXTURE and _is_timed(run)
        watcher = (
            _with_time_left(tell, run, materials, until, pool, model or materials.check_model()) if timed else tell
        )
        del model
        _do_all(run, report, until, materials, workers=workers, engine=engine, watch=watcher, pool=pool)


def _do_all(
    run: StoredRun,
    report: Callable[[StoredRun], "Results"],
    until: StageKind,
    materials: Materials,
    *,
    workers: int,
    engine: str,
    watch: Watch,
    pool: CorePool | None,
) -> None:
    """Do the stages, one after the other and the untuned model's answers beside them."""
    asking = None
    if pool is not None:

        def answered(stage: Stage, done: int, total: int, share: float, spent: float) -> None:
            _tell(watch, stage, "progress", done=done, total=total, unit="prompts", share=share, spent=spent)

        asking = Asking(pool, answered)
        _ask_untuned_first(run, materials, until, asking, watch)
    for stage in run.plan.stages(until):
        materials = materials.current()
        tell = partial(_tell, watch, stage)
        if stage.kind in MAKERS:
            making = Making(
                run=run,
                materials=materials,
                tell=tell if asking is None else partial(_tell_all, tell, asking),
                workers=workers,
                engine=engine,
                pool=pool,
                asking=asking,
            )
            _do(making, stage, watch)
        elif ranks.is_first():
            tell("started")
            report(run)
            _write_head(run, results=stage.key)
            tell("done")


def _with_time_left(
    watch: Watch, run: StoredRun, materials: Materials, until: StageKind, pool: CorePool | None, model: Any
) -> Watch:
    """Tell with every event how long everything still takes."""
    todo = [stage for stage in run.plan.stages(until) if not run.done(stage)]

    def now() -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), 0.0 if pool is None else pool.processor_seconds

    parts = {"tuning": run.recipe.training.precision, "asking": run.recipe.evaluation.precision}
    bfloat16 = {name: pick_precision(wish, model.device) == "bfloat16" for name, wish in parts.items()}
    costs, prompts = measure_costs(model, run.recipe, bfloat16=bfloat16), prompts_of(materials)
    clock = TimeLeft(todo, run.recipe, costs, prompts, cores=0 if pool is None else pool.size, now=now)

    def tell(event: Event) -> None:
        match event.kind:
            case "started":
                clock.began(event.stage)
            case "progress":
                share = event.done / max(1, event.total) if event.share is None else event.share
                clock.progress(event.stage, share, spent=event.spent)
            case "done" | "kept" | "linked":
                clock.ended(event.stage)
        watch(replace(event, left=clock.seconds))

    return tell


def _ask_untuned_first(run: StoredRun, materials: Materials, until: StageKind, asking: Asking, watch: Watch) -> None:
    """Ask the untuned model while the mixture is made: one process makes that, so there is room.

    Where the text format may be another by then (a chat template that says the date), it waits for the mixture.
    """
    mixture, *others = run.plan.stages(until)
    untuned = [stage for stage in others if stage.kind is StageKind.EVALUATION and stage.model == UNTUNED]
    if run.done(mixture) or run.recipe.prompts.chat:
        return
    for stage in untuned:
        if _begin(run, stage) is None:
            _tell(watch, stage, "started")
            asking.begin(materials, stage, partial_of(run.places.stage(stage)))


def _tell_all(tell: Callable[..., None], asking: Asking, kind: EventKind, **about: Any) -> None:
    """Tell of a stage, and of what is done beside it."""
    asking.listen()
    tell(kind, **about)


@contextmanager
def _sharing(run: StoredRun, until: StageKind, threads: int) -> Iterator[CorePool | None]:
    """Processes of one thread that share the work, where that pays: a small model, on CPU, and a minute of work."""
    if until is StageKind.MIXTURE:
        yield None
        return
    small = _is_small(run)
    with torch_threads(1 if small else threads):
        todo = [stage for stage in run.plan.stages(until) if stage.kind in MAKERS and not run.done(stage)]
        tokens = run.recipe.training.steps * run.recipe.training.tokens_per_batch * len(run.recipe.seeds)
        pays = small and threads > 1 and tokens * (run.plan.model.size or 0) > _WORTH_PROCESSES
        if pays and todo and not _device_helps():
            with CorePool(threads, ready=_libraries) as pool:
                yield pool
        else:
            yield None


def _is_small(run: StoredRun) -> bool:
    """Whether the model is so small that one thread serves it best."""
    size = run.plan.model.size
    return ranks.world() == 1 and size is not None and size <= _SMALL


def _is_timed(run: StoredRun) -> bool:
    """Whether the time left is told: one process, on CPU, and a model that a second or two can be spent on trying."""
    size = run.plan.model.size
    return ranks.world() == 1 and size is not None and size <= _TRIED and not _device_helps()


def _device_helps() -> bool:
    return pick_device().type != "cpu"


def _libraries() -> None:
    """What processes that share the work need, loaded while there is none."""
    import openflan.evaluation.answering
    import openflan.training.loop  # noqa: F401


def report_again(run: StoredRun, *, report: Callable[[StoredRun], "Results"]) -> "Results":
    """Compute results and page of a finished run again, from what its stages stored.

    Raises:
        UserError: its stages are not the ones its recipe now asks for.
    """
    if not run.finished(StageKind.EVALUATION):
        raise UserError("the run is not finished", where=str(run.folder), how="finish it with `openflan run`")
    with user_file_errors(run.folder):
        return report(run)


def _tell(watch: Watch, stage: Stage, kind: EventKind, **about: Any) -> None:
    watch(Event(stage=stage, kind=kind, **about))


def _write_head(run: StoredRun, *, results: str | None = None) -> None:
    """Say whose the folder is, and which results are whole."""
    if results is None:
        write_atomically(run.places.recipe, run.recipe.to_yaml())
    head = RunHead(recipe=run.recipe.fingerprint, folder=str(run.recipe.folder), results=results)
    head.write(run.folder)


def _do(making: Making, stage: Stage, watch: Watch) -> None:
    """Do a stage unless it is there, here or in a sibling run."""
    folder = making.run.places.stage(stage)
    there = ranks.everyones(_begin(making.run, stage) if ranks.is_first() else None)[0]
    if there is not None:
        watch(there)
        return
    if making.asking is None or not making.asking.has_begun(stage):
        making.tell("started")
    meter = Meter(device=stage.kind is not StageKind.MIXTURE, alone=ranks.world() == 1)
    place = partial_of(folder)
    try:
        with user_file_errors(place):
            facts = MAKERS[stage.kind](making, stage, place)
    except UserError:
        # checkpoints and whole tasks' answers are worth going on from
        if not any(place.rglob("manifest.json")) and not any(place.glob("*.parquet")):
            shutil.rmtree(place, ignore_errors=True)
        raise
    cost = meter.facts(seconds=facts.pop("seconds", None))
    ranks.wait()
    if ranks.is_first():
        commit_folder(place, folder, key=stage.key, facts={**cost, **facts})
    ranks.wait()
    making.tell("done", note=f"{cost['seconds']:.0f} s")


def _begin(run: StoredRun, stage: Stage) -> Event | None:
    """What says that a stage is there already, here or in a sibling run; else its folder is made."""
    folder = run.places.stage(stage)
    if run.done(stage):
        return Event(stage=stage, kind="kept")
    suits = partial(run.suits, stage)
    twin = adopt_twin(folder, key=stage.key, runs=run.folder.parent, place=Path(stage.place), suits=suits)
    if twin is not None:
        return Event(stage=stage, kind="linked", note=str(twin))
    if stage.kind is StageKind.TRAINING:
        from openflan.training.checkpoint import refuse_other

        refuse_other(partial_of(folder) / "checkpoints", run.plan.identity)
    partial_folder(folder, key=stage.key)
    return None


def _check_mixed(run: StoredRun) -> None:
    """Refuse to tokenise inside a process group, where the other ranks would wait until they time out."""
    if not run.finished(StageKind.MIXTURE):
        how = "make it first, in one process: `openflan mix` with the same recipe, settings and --out"
        raise UserError("the mixture is not there", where=str(run.places.mixture), how=how)


def _check_space(run: StoredRun) -> None:
    """Refuse to begin what the disk can't hold: weights, optimizer state and a checkpoint a seed, the token store."""
    model, part = run.plan.model, run.recipe.training
    weights = model.size or 0
    needed = (2 * len(run.recipe.seeds) + 8) * weights + 8 * part.steps * part.tokens_per_batch + (16 << 20)
    free = free_bytes(run.folder.parent)
    if free < needed:
        raise UserError(
            f"{free >> 20:,} MiB are free and about {needed >> 20:,} MiB are needed",
            where=str(run.folder.parent),
            how="free some space or choose another --out",
        )
