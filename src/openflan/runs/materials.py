"""What stages need of a run's tasks and model: the encoder and every rendered question, made when first needed.

Invariant: any process makes the same ones. Cost: rendering, 0.2 ms a question. Rejected: questions sent to the
processes that ask them, which takes as long.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openflan.recipes.recipe import Recipe
from openflan.runs.stored import StoredRun

if TYPE_CHECKING:
    from openflan.evaluation.protocol import Asked
    from openflan.prompts.encoding import TextEncoder

__all__ = ["Materials", "materials_here"]


class Materials:
    """What stages need of a plan's tasks and model; a fault in them is found when they are made."""

    def __init__(self, run: StoredRun) -> None:
        self.run = run
        """Whose they are."""
        self._plan = run.plan
        self.rendering = 0.0
        """Processor seconds that rendering questions took."""
        self._checked = False
        self._asked: dict[str, Asked] = {}
        self._skips = self._plan.recipe.mixture.faulty_rows == "skip"

    def current(self) -> "Materials":
        """These, or others where the mixture that is there by now is in another text format: it is what counts."""
        record = self.run.text_format if "encoder" in self.__dict__ else None
        return self if record is None or record.encoder == self.encoder.fingerprint else Materials(self.run)

    @cached_property
    def encoder(self) -> "TextEncoder":
        """What turns text into the model's tokens, as the mixture had it where there is one."""
        from openflan.models.load import load_encoder

        return load_encoder(self._plan.model, self._plan.recipe.prompts, kept=self.run.text_format)

    @cached_property
    def tuned_encoder(self) -> "TextEncoder":
        """The same for a model that was tuned to end its answers so."""
        return self.encoder.changed(ends=True)

    @cached_property
    def looks(self) -> "list[Asked]":
        """What `training.evaluate_tasks` ask."""
        from openflan.evaluation.protocol import Asked, ask_prompts, usable_templates

        rows, most, looks = self._plan.recipe.training.evaluate_rows, self._plan.recipe.evaluation.templates, []
        for entry, role in self._plan.looked_at:
            faulty: set[int] | None = set() if self._skips else None
            test = ask_prompts(
                entry,
                self.encoder,
                limit=rows,
                data=self._plan.data,
                role=role,
                templates=usable_templates(entry, most),
                faulty=faulty,
            )
            looks.append(Asked(entry=entry, test=test, left_out=len(faulty or ())))
        return looks

    @cached_property
    def questions(self) -> "list[Asked]":
        """What the evaluation asks."""
        return [self.question(entry.spec.name) for entry in self._plan.measured]

    def question(self, task: str, *, tuned: bool = False) -> "Asked":
        """What the evaluation asks of one task.

        Args:
            tuned: of a tuned model, which is not asked baselines.
        """
        if task not in self._asked:
            from openflan.evaluation.protocol import ask_task

            part, held_out = self._plan.recipe.evaluation, self._plan.measured_held_out
            entry = next(entry for entry in self._plan.measured if entry.spec.name == task)
            fresh = part.model_copy(update={"validation_rows": 0, "baseline": part.baseline and entry.own})
            asks, limit = (part, part.rows) if entry in held_out else (fresh, part.rows_of_tuned(own=entry.own))
            encoder, began = self.encoder, time.process_time()
            self._asked[task] = ask_task(
                entry, encoder, asks, limit=limit, data=self._plan.data, skip_faulty=self._skips
            )
            self.rendering += time.process_time() - began
        question = self._asked[task]
        return replace(question, baseline=()) if tuned and question.baseline else question

    def asked(self, *, tuned: bool) -> "list[Asked]":
        """Of the questions, what a model is asked.

        Args:
            tuned: of a tuned model.
        """
        generate = self._plan.recipe.evaluation.generate
        wanted = [one.entry.spec for one in self.questions if generate or one.entry.spec.is_classification]
        return [self.question(spec.name, tuned=tuned) for spec in wanted]

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
                self._refuse_cut([one for one in every if part.generate or one.entry.spec.is_classification])
            self._checked = True

    def check_model(self) -> Any:
        """Load the model and put its adapter on it, so that what is refused is refused first.

        Returns:
            The model as it is tuned.

        Raises:
            UserError: the model can't be loaded, its family can't be asked rightly, or the adapter does not fit it.
        """
        import torch

        from openflan.models.load import load_model
        from openflan.training.handover import make_trainable

        source, recipe = self._plan.model, self._plan.recipe
        model = load_model(source, device=torch.device("cpu"))
        return make_trainable(model, source, recipe, self.encoder, seed=recipe.seeds[0]).model

    def _refuse_cut(self, every: Sequence["Asked"]) -> None:
        """Refuse prompts that would be cut, also where whole answers to them lie in this run or another."""
        from openflan.evaluation.answering import refuse_cut

        for one in every:
            prompts = [prompt for prompt, _ in one.everything]
            cut = [encoded.cut for encoded in self.encoder.encode_inputs(prompts)]
            refuse_cut(one.entry, prompts, cut, self.encoder.part.max_input_tokens)


_here: Materials | None = None


def materials_here(folder: Path, recipe: Recipe) -> Materials:
    """In a process that works for a run, what it needs; kept from one piece of work to the next."""
    global _here  # noqa: PLW0603 (a process pool hands its state to jobs in no other way)
    if _here is None or _here.run.folder != folder:
        _here = Materials(StoredRun(folder, recipe))
    _here = _here.current()
    return _here
