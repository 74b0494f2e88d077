"""The pipeline: mixture → training → evaluation → report, each stage whole or absent.

    runs/<name>-<hash>/   recipe.yaml  run.json  results.json  report.html
        mixture/          the token store and its ledger
        training/seed-0/  the tuned model in Hugging Face layout, metrics.jsonl
        evaluation/untuned/, evaluation/seed-0/   the row × template matrix

A finished stage is skipped; a changed setting redoes the stages that depend on it, and a stage that another run
already has under the same key is linked from there. Killed at any moment, the next call goes on from the last
whole piece. Rejected: a workflow engine; four stages in a line need none.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import openflan
from openflan import ranks
from openflan.cost import Meter
from openflan.errors import UserError
from openflan.machine import machine_facts, version_facts
from openflan.mixture.workers import default_workers
from openflan.recipes.recipe import Recipe
from openflan.runs.plan import Plan, make_plan
from openflan.runs.run_folder import StageName, check_format, check_mixed, check_space, finished, plan_of
from openflan.runs.stages import RunPlaces, Stage, StageKind
from openflan.stage import (
    FORMAT,
    adopt_twin,
    commit_folder,
    partial_folder,
    read_manifest,
    user_file_errors,
    write_atomically,
)

if TYPE_CHECKING:
    from openflan.evaluation.protocol import Asked
    from openflan.prompts.encoding import TextEncoder
    from openflan.runs.results import Results

__all__ = ["Event", "EventKind", "Outcome", "StageName", "report_again", "run"]

EventKind = Literal["started", "progress", "note", "done", "kept", "linked"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something a user may want to see while the pipeline works."""

    stage: Stage
    kind: EventKind
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""


Watch = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What `run` did."""

    folder: Path
    worked: bool
    """False where everything was already there."""


def run(
    recipe: Recipe,
    *,
    runs: Path,
    until: StageKind | StageName = StageKind.REPORT,
    workers: int | None = None,
    engine: str = "local",
    watch: Watch = lambda _event: None,
) -> Outcome:
    """Do what a recipe says, as far as it is not done yet.

    Args:
        runs: folder that holds the run folders.
        until: last stage to do.
        workers: processes that make the token store; by default one for each core where the store is large.
        engine: `local`, or `ray` for the processes of a Ray cluster.

    Raises:
        UserError: the recipe, its data, its model or the disk is at fault; a run folder that this call began and
            got nowhere in is removed again.
    """
    until = StageKind(until)
    plan = make_plan(recipe)
    folder = runs / recipe.run_name
    with user_file_errors(folder):
        check_format(folder)
        if finished(folder, plan, until):
            return Outcome(folder=folder, worked=False)
        if ranks.world() > 1:
            check_mixed(folder, plan)
            ranks.begin()
            watch = watch if ranks.is_first() else lambda _event: None
        check_space(runs, plan)
        began = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _Pipeline(plan, folder, watch, workers or default_workers(recipe), engine).work(until)
        except UserError:
            if began and not any(read_manifest(path.parent) for path in folder.rglob("manifest.json")):
                shutil.rmtree(folder)
            raise
        except KeyboardInterrupt:
            if not any(path.is_file() for path in folder.rglob("*")):
                shutil.rmtree(folder)
            raise
    return Outcome(folder=folder, worked=True)


def report_again(folder: Path) -> "Results":
    """Compute results and page of a finished run folder again, from what its stages stored.

    Raises:
        UserError: the folder is of another version, or its stages are not the ones its recipe now asks for.
    """
    from openflan.report.write import write_report

    plan = plan_of(folder)
    if not finished(folder, plan, StageKind.EVALUATION):
        raise UserError("the run is not finished", where=str(folder), how="finish it with `openflan run`")
    with user_file_errors(folder):
        return write_report(plan, folder, machine=machine_facts(), versions=version_facts())


class _Pipeline:
    """The stages of one run."""

    def __init__(self, plan: Plan, folder: Path, watch: Watch, workers: int, engine: str) -> None:
        self._plan = plan
        self._recipe = plan.recipe
        self._folder = folder
        self._watch = watch
        self._workers = workers
        self._engine = engine
        self._encoder: TextEncoder | None = None
        self._questions: list[Asked] | None = None
        self._looks: list[Asked] | None = None

    def work(self, until: StageKind) -> None:
        head = {
            "format": FORMAT,
            "openflan": openflan.__version__,
            "recipe": self._recipe.fingerprint,
            "folder": str(self._recipe.folder),
        }
        if not (self._folder / "run.json").exists() and ranks.is_first():
            self._prepare()
            write_atomically(self._folder / "recipe.yaml", self._recipe.to_yaml())
            write_atomically(self._folder / "run.json", json.dumps(head, indent=1))
        makers = {
            StageKind.MIXTURE: self._mixture,
            StageKind.TRAINING: self._training,
            StageKind.EVALUATION: self._evaluation,
        }
        for stage in self._plan.stages(until):
            if stage.kind in makers:
                self._stage(stage, partial(makers[stage.kind], stage=stage))
            elif ranks.is_first():
                self._report(stage)
                write_atomically(self._folder / "run.json", json.dumps({**head, "results": stage.key}, indent=1))

    def _prepare(self) -> None:
        """Read and render everything once, so that bad rows are found before hours of work."""
        from openflan.training.trackers import check_trackers

        check_trackers(self._recipe.training)
        from openflan.models.load import load_rules
        from openflan.prompts.encoding import TextEncoder

        if self._encoder is None:
            self._encoder = TextEncoder(load_rules(self._plan.model, self._recipe.prompts))
        if self._questions is None:
            self._ask()

    def _ask(self) -> None:
        from openflan.evaluation.protocol import Asked, ask_prompts, ask_task

        assert self._encoder is not None
        part = self._recipe.evaluation
        fresh = part.model_copy(update={"validation_rows": 0, "baseline": False})
        chosen = [(entry, part, part.rows) for entry in self._plan.measured_held_out]
        chosen += [(entry, fresh, part.seen_rows) for entry in self._plan.measured_seen]
        rows = self._recipe.training.evaluate_rows
        self._looks = [
            Asked(entry=entry, test=ask_prompts(entry, self._encoder, limit=rows, data=self._plan.data, role=role))
            for entry, role in self._plan.looked_at
        ]
        self._questions = [
            ask_task(entry, self._encoder, asks, limit=limit, data=self._plan.data) for entry, asks, limit in chosen
        ]

    def _tell(self, stage: Stage, kind: EventKind, **about: Any) -> None:
        self._watch(Event(stage=stage, kind=kind, **about))

    def _stage(self, stage: Stage, work: Callable[[Path], dict[str, Any]]) -> None:
        """Do a stage unless it is there, here or in a sibling run."""
        folder = self._folder / stage.place
        there = ranks.everyones(self._begin_stage(stage) if ranks.is_first() else None)[0]
        if there is not None:
            self._watch(there)
            return
        self._tell(stage, "started")
        meter = Meter(device=stage.kind is not StageKind.MIXTURE, alone=ranks.world() == 1)
        place_in_work = folder.with_name(f".{folder.name}.partial")
        try:
            with user_file_errors(place_in_work):
                facts = work(place_in_work)
        except UserError:
            # checkpoints and whole tasks' answers are worth going on from
            if not any(place_in_work.rglob("manifest.json")) and not any(place_in_work.glob("*.parquet")):
                shutil.rmtree(place_in_work, ignore_errors=True)
            raise
        cost = meter.facts(seconds=facts.pop("seconds", None))
        ranks.wait()
        if ranks.is_first():
            about = {**cost, **facts}
            commit_folder(place_in_work, folder, key=stage.key, facts=about)
        ranks.wait()
        self._tell(stage, "done", note=f"{cost['seconds']:.0f} s")

    def _begin_stage(self, stage: Stage) -> Event | None:
        """What says that a stage is there already, here or in a sibling run; else its folder is made."""
        folder, key = self._folder / stage.place, stage.key
        manifest = read_manifest(folder)
        if manifest is not None and manifest["key"] == key:
            return Event(stage=stage, kind="kept")
        twin = adopt_twin(folder, key=key, runs=self._folder.parent, place=Path(stage.place))
        if twin is not None:
            return Event(stage=stage, kind="linked", note=str(twin))
        if stage.kind is StageKind.TRAINING:
            from openflan.training.checkpoint import refuse_other

            refuse_other(folder.with_name(f".{folder.name}.partial") / "checkpoints", self._plan.identity)
        partial_folder(folder, key=key)
        return None

    def _mixture(self, place: Path, stage: Stage) -> dict[str, Any]:
        from openflan.mixture.build import Mixing, build_mixture

        self._prepare()
        assert self._encoder is not None
        plan = self._plan
        mixing = Mixing(
            recipe=self._recipe,
            division=plan.division,
            measured=plan.measured_held_out,
            work=plan.work(self._encoder.rules),
            key=plan.mixture_key,
            tokenizer=plan.model.tokenizer_fingerprint,
        )
        siblings = [run / "mixture" for run in sorted(self._folder.parent.iterdir()) if run != self._folder]

        def report(done: int, total: int) -> None:
            self._tell(stage, "progress", done=done, total=total, unit="tokens")

        build_mixture(place, mixing, siblings=siblings, workers=self._workers, engine=self._engine, report=report)
        return {}

    def _training(self, place: Path, stage: Stage) -> dict[str, Any]:
        from openflan.mixture.certificate import read_certificate
        from openflan.mixture.store import TokenStore
        from openflan.models.load import load_model, pick_device
        from openflan.training.handover import Provenance, make_trainable, save_model
        from openflan.training.loop import StepReport, tune

        seed = stage.seed
        assert seed is not None
        self._prepare()
        assert self._encoder is not None
        store = TokenStore.open(self._folder / "mixture", check=True)
        read_certificate(store.folder, key=self._plan.mixture_key)
        source = self._plan.model
        model = load_model(source, device=pick_device())
        tuned = make_trainable(model, source, self._recipe, self._encoder, seed=seed)
        part = self._recipe.training

        def report(line: StepReport) -> None:
            note = f"loss {line.loss:.3f}  {line.tokens / line.seconds:,.0f} tokens/s  full {line.fill:.0%}"
            note += f"  mfu {line.mfu:.0%}" if line.mfu else ""
            note += f"  waited {line.waited / line.seconds:.0%}" if line.waited > 0.05 * line.seconds else ""
            self._tell(stage, "progress", done=line.step, total=part.steps, unit="steps", note=note)

        progress = tune(
            tuned.model,
            store,
            part,
            place,
            seed=seed,
            report=report,
            identity=self._plan.identity,
            evaluate=self._look if part.evaluate_every else None,
            say=lambda text: self._tell(stage, "note", note=text),
        )
        weights = ranks.whole_state(tuned.model)
        if ranks.is_first():
            made = Provenance(
                recipe=self._recipe,
                source=source,
                mixture=store.folder,
                errata=sorted(self._plan.errata),
                seed=seed,
            )
            save_model(place / "model", tuned, self._encoder, made, weights=weights)
        return {"seconds": progress.seconds}

    def _look(self, model: Any) -> dict[str, float]:
        """How a model in training does on `training.evaluate_tasks`."""
        from openflan.evaluation.answering import evaluate

        assert self._encoder is not None
        assert self._looks is not None
        answers = evaluate(model, self._encoder, self._looks, self._recipe.evaluation, report=lambda _d, _t: None)
        found: dict[str, list[float]] = {}
        for answer in answers:
            found.setdefault(answer.task, []).append(answer.value)
        return {task: sum(values) / len(values) for task, values in found.items()}

    def _evaluation(self, place: Path, stage: Stage) -> dict[str, Any]:
        from openflan.evaluation.answering import Keep, evaluate
        from openflan.evaluation.identity import hash_of_model
        from openflan.mixture.certificate import read_certificate
        from openflan.models.load import load_model, pick_device
        from openflan.prompts.text_format import read_text_format
        from openflan.ranks import Team

        self._prepare()
        assert self._encoder is not None
        assert self._questions is not None
        source = self._plan.model
        if stage.seed is not None:
            tuned = RunPlaces(self._folder).model(stage.seed)
            source = self._plan.tuned_source(tuned)
            record = read_text_format(tuned)
            if record is None or record.encoder != self._encoder.fingerprint:
                raise UserError(
                    "the model was tuned on another text format than it would be asked in",
                    where=str(tuned),
                    how="remove the run folder and run the recipe again",
                )
        model = load_model(source, device=pick_device())

        def report(done: int, total: int) -> None:
            self._tell(stage, "progress", done=done, total=total, unit="prompts")

        untuned = stage.seed is None
        keep = Keep(
            folder=place,
            model=hash_of_model(model),
            dirty=None if untuned else read_certificate(self._folder / "mixture").dirty,
        )
        questions = self._questions if untuned else [replace(asked, baseline=()) for asked in self._questions]
        part, team = self._recipe.evaluation, Team.gathered()
        answers = evaluate(model, self._encoder, questions, part, report=report, keep=keep, team=team)
        return {"prompts": len(answers), "format": self._encoder.fingerprint, "model": keep.model}

    def _report(self, stage: Stage) -> None:
        from openflan.report.write import write_report

        self._tell(stage, "started")
        write_report(self._plan, self._folder, machine=machine_facts(), versions=version_facts())
        self._tell(stage, "done")
