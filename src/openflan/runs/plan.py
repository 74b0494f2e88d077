"""The plan of a run: a recipe with every name resolved, checked before anything is written.

Which tasks are tuned on and which are measured, which model, and all stages with their keys (runs/keys.py).

Invariant: making a plan writes nothing and imports neither torch nor transformers, so "nothing to do" is known at once.
Cost: reads task files and hashes data and model files (0.3 s for the starter).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from openflan.errors import UserError, did_you_mean, strict_error
from openflan.evaluation.protocol import has_rows
from openflan.mixture.certificate import read_certificate
from openflan.mixture.holdout import HoldOut, first_of_clusters, hold_out
from openflan.mixture.workers import MixWork
from openflan.models.load import ModelSource, find_model
from openflan.prompts.encoding import EncoderRules
from openflan.prompts.render import TaskRenderer
from openflan.recipes.parts import SoftPromptPart
from openflan.recipes.recipe import Recipe
from openflan.runs.keys import Contents, keyed_stages, settings_of_tuning
from openflan.runs.stages import Stage, StageKind
from openflan.tasks.catalog import COLLECTIONS, Entry, open_catalog
from openflan.tasks.errata import active_errata
from openflan.tasks.local import find_data
from openflan.tasks.sources import must_be_fetched, source_fingerprint
from openflan.tasks.spec import TaskSpec
from openflan.tasks.splits import Role

__all__ = ["Plan", "Resolved", "make_plan", "resolve"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """What the names in a recipe stand for."""

    model: ModelSource
    data: Path | None
    errata: frozenset[str]
    """Switches that are on (openflan.tasks.errata)."""
    division: HoldOut
    measured_held_out: tuple[Entry, ...]
    measured_seen: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A recipe, resolved."""

    recipe: Recipe
    model: ModelSource
    data: Path | None
    division: HoldOut
    measured_held_out: tuple[Entry, ...]
    measured_seen: tuple[Entry, ...]
    looked_at: tuple[tuple[Entry, Role], ...]
    """Tasks that are looked at while training, and the rows that they are asked by."""
    errata: frozenset[str]
    """Switches that are on (openflan.tasks.errata)."""
    keyed: tuple[Stage, ...]
    """All stages, with their keys."""

    @property
    def measured(self) -> tuple[Entry, ...]:
        """Tasks that every model is asked."""
        return (*self.measured_held_out, *self.measured_seen)

    def stages(self, until: StageKind = StageKind.REPORT) -> tuple[Stage, ...]:
        """All stages as far as those of a kind, in the order in which they are done."""
        return tuple(stage for stage in self.keyed if stage.kind.order <= until.order)

    @property
    def mixture_key(self) -> str:
        """Key of the token store."""
        return self.keyed[0].key

    @property
    def used(self) -> tuple[Entry, ...]:
        """Every task that is tuned on or measured."""
        every = (*self.division.tuned, *self.measured_held_out, *self.measured_seen)
        return tuple({entry.spec.name: entry for entry in every}.values())

    def check_templates(self) -> None:
        """See to it that every template can be run; what a whole stage was made from was looked at before it was made.

        Raises:
            UserError: one is no Jinja, does what none may, or reads what the task has not.
        """
        for entry in self.used:
            TaskRenderer(entry)

    def work(self, encoder: EncoderRules, *, mixture: Path | None = None) -> MixWork:
        """What any process needs to make a piece of the token store.

        Args:
            mixture: a finished mixture, whose leak check says which rows were dropped.
        """
        return MixWork(
            mixture=self.recipe.mixture,
            entries={entry.spec.name: entry for entry in self.division.tuned},
            data=self.data,
            encoder=encoder,
            errata=self.errata,
            dropped={} if mixture is None else read_certificate(mixture).rows_dropped,
        )

    @property
    def identity(self) -> dict[str, str]:
        """Hashes of what tuned weights depend on, by what a user would call it."""
        return {
            "mixture": self.mixture_key,
            "tokenizer": self.model.tokenizer_fingerprint,
            "model": self.model.fingerprint,
            "training recipe": settings_of_tuning(self.recipe),
        }

    def tuned_source(self, folder: Path) -> ModelSource:
        """The model of a training's folder: whole, or an adapter on the recipe's own base."""
        if self.recipe.model.adapter is None:
            return ModelSource(name=str(folder), folder=folder)
        return replace(self.model, name=str(folder), adapter=folder)


def resolve(recipe: Recipe) -> Resolved:
    """Find the tasks and the model that a recipe names; no row is read and no file is hashed.

    Raises:
        UserError: a task, cluster, folder or setting is at fault.
    """
    wanted = recipe.tasks
    folders = [recipe.find(folder) for folder in wanted.folders]
    data = find_data(wanted.data, recipe.find)
    errata = active_errata(wanted.fidelity, wanted.errata, where="tasks.errata")
    if "cyclic_templates" in errata and recipe.prompts.inversion_rate is not None:
        how = "leave out one of them, e.g. --set tasks.errata.cyclic_templates=false"
        raise UserError("templates in turn leave nothing to draw", where="prompts.inversion_rate", how=how)
    catalog = open_catalog(folders, collections=COLLECTIONS, errata=errata)
    entries = [_with_splits(entry, recipe) for entry in catalog.select(wanted.spelt_out(wanted.use), where="tasks.use")]
    names = {name for entry in entries for name in entry.called}
    for where, keys in (("tasks.splits", wanted.splits), ("mixture.rows_of", recipe.mixture.rows_of)):
        if unknown := sorted(set(keys) - names):
            how = did_you_mean(unknown[0], sorted(names)) or "name a task, cluster or collection that tasks.use names"
            raise UserError(f"no task '{unknown[0]}'", where=where, how=how)
    if not entries:
        raise UserError("no tasks at all", where="tasks.use", how="`openflan tasks list` shows what there is")
    missing = tuple(entry for entry in entries if wanted.missing == "leave_out" and must_be_fetched(entry, data=data))
    left_out = _left_out(entries, wanted.spelt_out(wanted.leave_out))
    there = [entry for entry in entries if entry not in (*missing, *left_out)]
    division = hold_out(there, wanted.hold_out, kin=wanted.kin, lineage=wanted.lineage)
    division = replace(division, missing=missing, left_out=left_out)
    division = first_of_clusters(division, recipe.mixture.tasks_per_cluster)
    model = find_model(recipe.model, recipe.find(recipe.model.path))
    if model.adapter is not None:
        how = "merge it first (`openflan export model --merge`), or name its base"
        raise UserError("an adapter can't be tuned further", where=f"model.path: {recipe.model.path}", how=how)
    _check_lengths(recipe, model)
    held_out = _measured(recipe, division)
    rows_of = recipe.evaluation.rows_of_tuned
    seen = tuple(e for e in division.tuned if "test" in e.spec.splits and rows_of(own=e.own))
    return Resolved(
        model=model, data=data, errata=errata, division=division, measured_held_out=held_out, measured_seen=seen
    )


def make_plan(recipe: Recipe) -> Plan:
    """Resolve and check a recipe; templates are looked at where there is something to do (`Plan.check_templates`).

    Raises:
        UserError: a task, cluster, file or model is at fault.
    """
    resolved = resolve(recipe)
    data, errata, division, model = resolved.data, resolved.errata, resolved.division, resolved.model
    held_out, seen = resolved.measured_held_out, resolved.measured_seen
    if not held_out and not seen:
        raise UserError(
            "nothing to evaluate: no cluster is held out and evaluation.seen_rows is 0",
            where="tasks.hold_out",
            how="hold out a cluster, e.g. --set tasks.hold_out=[natural_language_inference]",
        )
    _refuse_missing([e for e in (*division.tuned, *held_out, *seen) if must_be_fetched(e, data=data)])
    chooses = [
        entry for entry in held_out if recipe.evaluation.validation_rows and has_rows(entry, "validation", data=data)
    ]
    contents = Contents(
        model=model.fingerprint,
        tokenizer=model.tokenizer_fingerprint,
        tuned=_content(division.tuned, "train", data),
        held_out=_content(held_out, "test", data),
        seen=_content(seen, "test", data),
        choosing=_content(chooses, "validation", data),
        own=sorted(entry.spec.name for entry in seen if entry.own),
        errata=sorted(errata),
    )
    return Plan(
        recipe=recipe,
        model=model,
        data=data,
        division=division,
        measured_held_out=held_out,
        measured_seen=seen,
        looked_at=_looked_at(recipe, division),
        errata=errata,
        keyed=keyed_stages(recipe, contents),
    )


def _refuse_missing(missing: Sequence[Entry]) -> None:
    """Stop before anything is downloaded where rows must be fetched by hand."""
    if missing:
        names = ", ".join(dict.fromkeys(entry.spec.name for entry in missing))
        how = (
            "`openflan plan` says how; give their folder with --data, or leave them out: --set tasks.missing=leave_out"
        )
        raise UserError(f"the rows of {names} must be fetched by hand", where="tasks.use", how=how)


def _measured(recipe: Recipe, division: HoldOut) -> tuple[Entry, ...]:
    """Held-out tasks to evaluate."""
    held_out = {entry.spec.name: entry for entry in division.held_out if "test" in entry.spec.splits}
    if recipe.evaluation.tasks is None:
        return tuple(held_out.values())
    chosen: dict[str, Entry] = {}
    tuned = {word for entry in division.tuned for word in entry.spec.called}
    for position, word in enumerate(recipe.evaluation.tasks):
        named = {name: entry for name, entry in held_out.items() if word in entry.spec.called}
        if not named:
            reason = "it is tuned on" if word in tuned else "no held-out task or cluster has that name"
            raise UserError(
                f"'{word}' can't be measured as held out: {reason}",
                where=f"evaluation.tasks[{position}]",
                how="hold its cluster out (tasks.hold_out), or use evaluation.seen_rows for tuned tasks",
            )
        chosen.update(named)
    return tuple(chosen.values())


def _looked_at(recipe: Recipe, division: HoldOut) -> tuple[tuple[Entry, Role], ...]:
    """Tasks to look at while training, with the rows they are asked by."""
    looks: dict[str, tuple[Entry, Role]] = {}
    held_out = [(entry, "test") for entry in division.held_out]
    pairs: list[tuple[Entry, Role]] = [*held_out, *((entry, "validation") for entry in division.tuned)]  # type: ignore[list-item]
    for position, word in enumerate(recipe.training.evaluate_tasks):
        mine = {e.spec.name: (e, role) for e, role in pairs if word in e.spec.called}
        there = {name: pair for name, pair in mine.items() if pair[1] in pair[0].spec.splits}
        if not there:
            words = {word for e, _ in pairs for word in e.spec.called}
            what = "has no rows for it (a tuned task needs a validation split)" if mine else "is no task of the recipe"
            how = did_you_mean(word, words) or "name held-out tasks, or tuned ones with a validation split"
            raise UserError(f"'{word}' {what}", where=f"training.evaluate_tasks[{position}]", how=how)
        looks.update(there)
    return tuple(looks.values())


def _left_out(entries: Sequence[Entry], words: Sequence[str]) -> tuple[Entry, ...]:
    """Tasks that a recipe names and leaves out again."""
    names = {word for entry in entries for word in entry.called}
    for position, word in enumerate(words):
        if word not in names:
            how = did_you_mean(word, sorted(names)) or "name something that tasks.use names"
            raise UserError(f"no task '{word}' to leave out", where=f"tasks.leave_out[{position}]", how=how)
    return tuple(entry for entry in entries if set(entry.called) & set(words))


def _with_splits(entry: Entry, recipe: Recipe) -> Entry:
    """The task with the splits that the recipe gives it."""
    names = reversed(entry.called)  # its own name last
    other = {role: text for name in names for role, text in recipe.tasks.splits.get(name, {}).items()}
    if not other:
        return entry
    fields = entry.spec.model_dump(mode="json") | {"splits": {**entry.spec.splits, **other}}
    try:
        return replace(entry, spec=TaskSpec.model_validate_json(json.dumps(fields)))
    except ValidationError as error:
        raise strict_error(error, f"tasks.splits.{entry.spec.name}", TaskSpec) from None


def _content(entries: Sequence[Entry], role: Role, data: Path | None) -> dict[str, list[str]]:
    """What tasks say and what their rows are."""
    return {e.spec.name: [e.spec.fingerprint, source_fingerprint(e, role, data=data)] for e in entries}


def _check_lengths(recipe: Recipe, model: ModelSource) -> None:
    answer = max(
        recipe.prompts.max_target_tokens, recipe.evaluation.max_new_tokens if recipe.evaluation.generate else 0
    )
    longest = recipe.prompts.max_input_tokens + answer
    if isinstance(recipe.model.adapter, SoftPromptPart):
        longest += recipe.model.adapter.tokens
    if model.positions is not None and longest > model.positions:
        raise UserError(
            f"prompts of {longest} tokens (input and answer) do not fit the model's {model.positions} positions",
            where="prompts.max_input_tokens, prompts.max_target_tokens, evaluation.max_new_tokens",
            how=f"lower them, e.g. --set prompts.max_input_tokens={max(8, model.positions * 3 // 4)}"
            f" --set prompts.max_target_tokens={max(1, model.positions // 4)}",
        )
