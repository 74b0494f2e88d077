"""How each stage is made: tasks and model in, a stage's folder filled.

`MAKERS` has one function a kind of stage; the pipeline says which are called, in what order, and makes folders whole.
What several stages need is in `Materials`; how models are asked: runs/asking.py.

Invariant: a maker writes into the place it is given and nowhere else, goes on from what an interrupted call left
there, and returns what the stage's manifest should tell.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from openflan import ranks
from openflan.cores import CorePool
from openflan.evaluation.answered import Answered
from openflan.recipes.recipe import Recipe
from openflan.runs.asking import Asking, ask, workload
from openflan.runs.materials import Materials, materials_here
from openflan.runs.stages import Stage, StageKind
from openflan.runs.stored import StoredRun
from openflan.training.metrics import Look, StepReport

__all__ = ["MAKERS", "Making"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Making:
    """What a maker works with."""

    run: StoredRun
    materials: Materials
    tell: Callable[..., None]
    """Told how it goes: the kind of an event, and its fields."""
    workers: int
    """Processes that make the token store."""
    engine: str
    """`local` or `ray`."""
    pool: CorePool | None
    """Processes that share the work, where that pays."""
    asking: Asking | None
    """The evaluations that they are at."""


def _make_mixture(making: Making, stage: Stage, place: Path) -> dict[str, Any]:
    from openflan.mixture.build import Mixing, build_mixture

    run, plan = making.run, making.run.plan
    making.materials.check()
    mixing = Mixing(
        recipe=run.recipe,
        division=plan.division,
        measured=plan.measured_held_out,
        seen=plan.measured_seen,
        work=plan.work(making.materials.encoder.rules),
        key=stage.key,
        tokenizer=plan.model.tokenizer_fingerprint,
    )
    build_mixture(
        place,
        mixing,
        siblings=[sibling.mixture for sibling in run.places.siblings],
        workers=making.workers,
        engine=making.engine,
        report=lambda done, total: making.tell("progress", done=done, total=total, unit="tokens"),
        note=lambda text: making.tell("note", note=text),
    )
    return {}


def _make_training(making: Making, stage: Stage, place: Path) -> dict[str, Any]:
    from openflan.mixture.certificate import read_certificate
    from openflan.mixture.store import TokenStore
    from openflan.models.device import pick_device
    from openflan.models.load import load_model
    from openflan.runs.results import left_out_words
    from openflan.training.gradients import Sharers
    from openflan.training.handover import Provenance, make_trainable, save_model
    from openflan.training.loop import tune

    run, plan, seed = making.run, making.run.plan, stage.seed
    if seed is None:
        raise ValueError(f"{stage} has no seed")
    making.materials.check()
    encoder, part = making.materials.encoder, run.recipe.training
    store = TokenStore.open(run.places.mixture, check=True)
    read_certificate(store.folder, key=plan.mixture_key)
    tuned = make_trainable(load_model(plan.model, device=pick_device()), plan.model, run.recipe, encoder, seed=seed)

    def report(line: StepReport) -> None:
        note = f"loss {line.loss:.3f}  {line.tokens / line.seconds:,.0f} tokens/s  full {line.fill:.0%}"
        note += f"  mfu {line.mfu:.0%}" if line.mfu else ""
        note += f"  waited {line.waited / line.seconds:.0%}" if line.waited > 0.05 * line.seconds else ""
        making.tell("progress", done=line.step, total=part.steps, unit="steps", note=note)

    if note := left_out_words({look.entry.spec.name: look.left_out for look in making.materials.looks}):
        making.tell("note", note=note)
    sharers = None
    if making.pool is not None:
        sharers = Sharers(pool=making.pool, again=partial(_again, run.folder, run.recipe, seed))
    progress = tune(
        tuned.model,
        store,
        part,
        place,
        seed=seed,
        report=report,
        identity=plan.identity,
        evaluate=(lambda model: _look(making, model)) if part.evaluate_every else None,
        say=lambda text: making.tell("note", note=text),
        sharers=sharers,
    )
    weights = ranks.whole_state(tuned.model)
    if ranks.is_first():
        provenance = Provenance(
            recipe=run.recipe, source=plan.model, mixture=store.folder, errata=sorted(plan.errata), seed=seed
        )
        save_model(place / "model", tuned, encoder, provenance, weights=weights)
    return {"seconds": progress.seconds}


def _again(folder: Path, recipe: Recipe, seed: int) -> Any:
    """In another process, the model that a training began with."""
    from openflan.models.device import pick_device
    from openflan.models.load import load_model
    from openflan.training.handover import make_trainable

    materials = materials_here(folder, recipe)
    source = materials.run.plan.model
    model = load_model(source, device=pick_device())
    return make_trainable(model, source, recipe, materials.encoder, seed=seed).model


def _look(making: Making, model: Any) -> Look:
    """How a model in training does on `training.evaluate_tasks`."""
    from openflan.evaluation.answering import evaluate

    materials, part = making.materials, making.run.recipe.evaluation
    answers = evaluate(model, materials.tuned_encoder, materials.looks, part, report=lambda _done, _total: None)
    by_task: dict[str, list[Answered]] = {}
    for answer in answers:
        by_task.setdefault(answer.task, []).append(answer)
    scores = {task: sum(answer.value for answer in some) / len(some) for task, some in by_task.items()}
    return Look(scores, {f"{name}/{task}": mean for task, some in by_task.items() for name, mean in _measures(some)})


def _measures(answers: Sequence[Answered]) -> Iterator[tuple[str, float]]:
    """Mean of each measure that a task's answers have."""
    from openflan.evaluation.matrix import task_matrices

    (matrix,) = task_matrices(answers).values()
    for name, values in matrix.measures.items():
        yield name, float(np.nanmean(values))


def _make_evaluation(making: Making, stage: Stage, place: Path) -> dict[str, Any]:
    making.materials.check()
    seconds = None
    if making.asking is None:
        load = workload(making.materials, tuned=stage.seed is not None)

        def report(done: int, total: int) -> None:
            making.tell("progress", done=done, total=total, unit="prompts", share=load.share_in_order(done))

        outcome = ask(
            making.materials,
            stage,
            place,
            tasks=list(load.prompts),
            report=report,
            team=ranks.Team.gathered(),
        )
    else:
        making.asking.begin(making.materials, stage, place)
        outcome, seconds = making.asking.finish(stage)
    if outcome.note:
        making.tell("note", note=outcome.note)
    if outcome.undecided:
        doubt = (
            f"{outcome.undecided / outcome.ranked:.0%} of the ranked answers are to options of which one begins another"
        )
        doubt += "; it is unknown how this model ends an answer, so they are told apart without their ends"
        making.tell("note", note=doubt)
    facts: dict[str, Any] = {"prompts": outcome.prompts, "format": outcome.format, "model": outcome.model}
    facts |= {"family": outcome.note} if outcome.note else {}
    facts |= {"seconds": seconds} if seconds is not None else {}
    return facts | ({"left_out": outcome.left_out} if outcome.left_out else {})


MAKERS: Mapping[StageKind, Callable[[Making, Stage, Path], dict[str, Any]]] = {
    StageKind.MIXTURE: _make_mixture,
    StageKind.TRAINING: _make_training,
    StageKind.EVALUATION: _make_evaluation,
}
