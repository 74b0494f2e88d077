"""How each stage is made: tasks and model in, a stage's folder filled.

`MAKERS` has one function a kind of stage; the pipeline says which are called, in what order, and makes folders whole.
What several stages need (the encoder, every rendered question) is in `Materials`, made once when it is first needed.

Invariant: a maker writes into the place it is given and nowhere else, goes on from what an interrupted call left
there, and returns what the stage's manifest should tell.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openflan import ranks
from openflan.runs.stages import Stage, StageKind
from openflan.runs.stored import StoredRun

if TYPE_CHECKING:
    from openflan.evaluation.protocol import Asked
    from openflan.prompts.encoding import TextEncoder
    from openflan.training.metrics import StepReport

__all__ = ["MAKERS", "Making", "Materials"]


class Materials:
    """What stages need of a plan's tasks and model; a fault in them is found when they are made."""

    def __init__(self, run: StoredRun) -> None:
        self._run = run
        self._plan = run.plan
        self._checked = False
        self._skips = self._plan.recipe.mixture.faulty_rows == "skip"

    def current(self) -> "Materials":
        """These, or others where the mixture that is there by now is in another text format: it is what counts."""
        kept = self._run.text_format if "encoder" in self.__dict__ else None
        return self if kept is None or kept.encoder == self.encoder.fingerprint else Materials(self._run)

    @cached_property
    def encoder(self) -> "TextEncoder":
        """What turns text into the model's tokens, as the mixture had it where there is one."""
        from openflan.models.load import load_rules
        from openflan.prompts.encoding import TextEncoder

        return TextEncoder(load_rules(self._plan.model, self._plan.recipe.prompts, kept=self._run.text_format))

    @cached_property
    def tuned_encoder(self) -> "TextEncoder":
        """The same for a model that was tuned to end its answers so."""
        from openflan.prompts.encoding import TextEncoder

        return TextEncoder(replace(self.encoder.rules, ends=True))

    @cached_property
    def looks(self) -> "list[Asked]":
        """What `training.evaluate_tasks` ask."""
        from openflan.evaluation.protocol import Asked, ask_prompts

        rows, looks = self._plan.recipe.training.evaluate_rows, []
        for entry, role in self._plan.looked_at:
            faulty: set[int] | None = set() if self._skips else None
            test = ask_prompts(entry, self.encoder, limit=rows, data=self._plan.data, role=role, faulty=faulty)
            looks.append(Asked(entry=entry, test=test, left_out=len(faulty or ())))
        return looks

    @cached_property
    def questions(self) -> "list[Asked]":
        """What the evaluation asks."""
        from openflan.evaluation.protocol import ask_task

        part = self._plan.recipe.evaluation
        chosen = [(entry, part, part.rows) for entry in self._plan.measured_held_out]
        for entry in self._plan.measured_seen:
            fresh = part.model_copy(update={"validation_rows": 0, "baseline": part.baseline and entry.own})
            chosen.append((entry, fresh, part.rows_of_tuned(own=entry.own)))
        return [
            ask_task(entry, self.encoder, asks, limit=limit, data=self._plan.data, skip_faulty=self._skips)
            for entry, asks, limit in chosen
        ]

    @cached_property
    def questions_to_tuned(self) -> "list[Asked]":
        """What the evaluation asks tuned models: the same but for baselines."""
        return [replace(asked, baseline=()) for asked in self.questions]

    def check(self) -> None:
        """Read and render everything, so that bad rows are found before hours of work.

        Raises:
            UserError: a row, a template, the tokenizer or a tracker is at fault, or a prompt is too long and must not
                be cut.
        """
        if not self._checked:
            from openflan.training.trackers import check_trackers

            check_trackers(self._plan.recipe.training)
            every, part = [*self.looks, *self.questions], self._plan.recipe.evaluation
            if part.too_long == "refuse":
                self._refuse_cut([asked for asked in every if part.generate or asked.entry.spec.is_classification])
            self._checked = True

    def check_model(self) -> None:
        """Load the model and put its adapter on it, so that what is refused is refused first.

        Raises:
            UserError: the model can't be loaded, its family can't be asked rightly, or the adapter does not fit it.
        """
        import torch

        from openflan.models.load import load_model
        from openflan.training.handover import make_trainable

        source, recipe = self._plan.model, self._plan.recipe
        model = load_model(source, device=torch.device("cpu"))
        make_trainable(model, source, recipe, self.encoder, seed=recipe.seeds[0])

    def _refuse_cut(self, every: "Sequence[Asked]") -> None:
        """Refuse prompts that would be cut, also where whole answers to them lie in this run or another."""
        from openflan.evaluation.answering import refuse_cut

        for asked in every:
            prompts = [prompt for prompt, _ in asked.everything]
            cut = [encoded.cut for encoded in self.encoder.encode_inputs(prompts)]
            refuse_cut(asked.entry, prompts, cut, self.encoder.part.max_input_tokens)


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
    )
    return {}


def _make_training(making: Making, stage: Stage, place: Path) -> dict[str, Any]:
    from openflan.mixture.certificate import read_certificate
    from openflan.mixture.store import TokenStore
    from openflan.models.load import load_model, pick_device
    from openflan.runs.results import left_out_words
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

    def report(line: "StepReport") -> None:
        note = f"loss {line.loss:.3f}  {line.tokens / line.seconds:,.0f} tokens/s  full {line.fill:.0%}"
        note += f"  mfu {line.mfu:.0%}" if line.mfu else ""
        note += f"  waited {line.waited / line.seconds:.0%}" if line.waited > 0.05 * line.seconds else ""
        making.tell("progress", done=line.step, total=part.steps, unit="steps", note=note)

    if note := left_out_words({asked.entry.spec.name: asked.left_out for asked in making.materials.looks}):
        making.tell("note", note=note)
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
    )
    weights = ranks.whole_state(tuned.model)
    if ranks.is_first():
        provenance = Provenance(
            recipe=run.recipe, source=plan.model, mixture=store.folder, errata=sorted(plan.errata), seed=seed
        )
        save_model(place / "model", tuned, encoder, provenance, weights=weights)
    return {"seconds": progress.seconds}


def _look(making: Making, model: Any) -> dict[str, float]:
    """How a model in training does on `training.evaluate_tasks`."""
    from openflan.evaluation.answering import evaluate

    materials, part = making.materials, making.run.recipe.evaluation
    answers = evaluate(model, materials.tuned_encoder, materials.looks, part, report=lambda _done, _total: None)
    values: dict[str, list[float]] = {}
    for answer in answers:
        values.setdefault(answer.task, []).append(answer.value)
    return {task: sum(of_task) / len(of_task) for task, of_task in values.items()}


def _make_evaluation(making: Making, stage: Stage, place: Path) -> dict[str, Any]:
    from openflan.evaluation.answered import undecided_share
    from openflan.evaluation.answering import Keep, evaluate
    from openflan.evaluation.identity import hash_of_model
    from openflan.models.family import family_of
    from openflan.models.load import load_model, pick_device
    from openflan.prompts.text_format import hold_to, read_text_format

    run, seed = making.run, stage.seed
    making.materials.check()
    encoder = making.materials.encoder
    if seed is not None:
        hold_to(read_text_format(run.tuned_model(seed)), encoder.format, where=run.tuned_model(seed))
        encoder = making.materials.tuned_encoder
    model = load_model(run.plan.model if seed is None else run.model_source(seed), device=pick_device())
    if note := family_of(model).note:
        making.tell("note", note=note)
    keep = Keep(
        folder=place, model=hash_of_model(model), dirty=None if seed is None else run.certificate.measured_in_tuning
    )
    answers = evaluate(
        model,
        encoder,
        making.materials.questions if seed is None else making.materials.questions_to_tuned,
        run.recipe.evaluation,
        report=lambda done, total: making.tell("progress", done=done, total=total, unit="prompts"),
        keep=keep,
        team=ranks.Team.gathered(),
    )
    if share := undecided_share(answers):
        doubt = f"{share:.0%} of the ranked answers are to options of which one begins another; it is unknown how this"
        making.tell("note", note=f"{doubt} model ends an answer, so they are told apart without their ends")
    left_out = {asked.entry.spec.name: asked.left_out for asked in making.materials.questions if asked.left_out}
    facts = {"prompts": len(answers), "format": encoder.fingerprint, "model": keep.model}
    return facts | ({"family": note} if note else {}) | ({"left_out": left_out} if left_out else {})


MAKERS: Mapping[StageKind, Callable[[Making, Stage, Path], dict[str, Any]]] = {
    StageKind.MIXTURE: _make_mixture,
    StageKind.TRAINING: _make_training,
    StageKind.EVALUATION: _make_evaluation,
}
