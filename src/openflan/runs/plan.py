"""The plan of a run: a recipe with every name resolved, checked before anything is written.

Which tasks are tuned on and which are measured, which model, and for each stage a key: a hash of exactly what its
content depends on. A changed setting changes the keys of the stages it matters to and of no others.

Invariant: equal keys mean equal content. Cost: reads task files and hashes data and model files (0.3 s for the
starter); imports neither torch nor transformers. Rejected: time stamps, which a copy or a clone changes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

import openflan
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
from openflan.runs.stages import UNTUNED, Stage, StageKind, stages_of, tuned_name
from openflan.stage import FORMAT, fingerprint_of
from openflan.tasks.catalog import COLLECTIONS, Entry, open_catalog
from openflan.tasks.errata import active_errata
from openflan.tasks.sources import find_data, source_fingerprint
from openflan.tasks.spec import TaskSpec
from openflan.tasks.splits import Role

__all__ = ["Plan", "Resolved", "make_plan", "resolve"]

_NOT_TUNING = {
    "checkpoint_every",
    "keep_checkpoints",
    "trackers",
    "evaluate_every",
    "evaluate_tasks",
    "evaluate_rows",
    "gradient_checkpointing",
}
"""Training settings that the tuned weights do not depend on."""


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
    mixture_key: str
    training_keys: dict[int, str]
    """By seed."""
    evaluation_keys: dict[str, str]
    """By model: `untuned`, `seed-0`, …"""

    def stages(self, until: StageKind = StageKind.REPORT) -> tuple[Stage, ...]:
        """All stages as far as those of a kind, with their keys, in the order in which they are done."""
        keys = {
            "mixture": self.mixture_key,
            **{f"training/{tuned_name(seed)}": key for seed, key in self.training_keys.items()},
            **{f"evaluation/{model}": key for model, key in self.evaluation_keys.items()},
            "report": self.results_key,
        }
        return stages_of(self.recipe.seeds, keys=keys, until=until)

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
        tuning = self.recipe.training.model_dump(mode="json", exclude=_NOT_TUNING)
        adapter = self.recipe.model.adapter
        return {
            "mixture": self.mixture_key,
            "tokenizer": self.model.tokenizer_fingerprint,
            "model": self.model.fingerprint,
            "training recipe": fingerprint_of(tuning),
            **({} if adapter is None else {"adapter": fingerprint_of(adapter.model_dump(mode="json"))}),
        }

    def tuned_source(self, folder: Path) -> ModelSource:
        """The model of a training's folder: whole, or an adapter on the recipe's own base."""
        if self.recipe.model.adapter is None:
            return ModelSource(name=str(folder), folder=folder)
        return replace(self.model, name=str(folder), adapter=folder)

    @property
    def results_key(self) -> str:
        """Key of `results.json` and the report."""
        return fingerprint_of([self.evaluation_keys, self.recipe.model_dump(mode="json"), self.mixture_key])


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
    entries = [_with_splits(entry, recipe) for entry in catalog.select(wanted.use, where="tasks.use")]
    names = {name for entry in entries for name in _names(entry)}
    if unknown := sorted(set(wanted.splits) - names):
        how = did_you_mean(unknown[0], sorted(names)) or "name a task, cluster or collection that tasks.use names"
        raise UserError(f"no task '{unknown[0]}'", where="tasks.splits", how=how)
    if not entries:
        raise UserError("no tasks at all", where="tasks.use", how="`openflan tasks list` shows what there is")
    division = hold_out(entries, wanted.hold_out, kin=wanted.kin, lineage=wanted.lineage)
    division = first_of_clusters(division, recipe.mixture.tasks_per_cluster)
    model = find_model(recipe.model, recipe.find(recipe.model.path))
    if model.adapter is not None:
        how = "merge it first (`openflan export model --merge`), or name its base"
        raise UserError("an adapter can't be tuned further", where=f"model.path: {recipe.model.path}", how=how)
    _check_lengths(recipe, model)
    held = _measured(recipe, division)
    seen = tuple(e for e in division.tuned if "test" in e.spec.splits) if recipe.evaluation.seen_rows else ()
    return Resolved(
        model=model, data=data, errata=errata, division=division, measured_held_out=held, measured_seen=seen
    )


def make_plan(recipe: Recipe) -> Plan:
    """Resolve and check a recipe.

    Raises:
        UserError: a task, cluster, file, model or template is at fault.
    """
    found = resolve(recipe)
    data, errata, division, model = found.data, found.errata, found.division, found.model
    held, seen = found.measured_held_out, found.measured_seen
    if not held and not seen:
        raise UserError(
            "nothing to evaluate: no cluster is held out and evaluation.seen_rows is 0",
            where="tasks.hold_out",
            how="hold out a cluster, e.g. --set tasks.hold_out=[natural_language_inference]",
        )
    for entry in {e.spec.name: e for e in (*division.tuned, *held, *seen)}.values():
        TaskRenderer(entry)
    mixture = [
        [FORMAT, openflan.__version__],
        _content(division.tuned, "train", data),
        _content(held, "test", data),
        sorted(errata),
        recipe.prompts.tuning_settings,
        recipe.mixture.model_dump(mode="json"),
        [recipe.training.steps, recipe.training.tokens_per_batch],
        model.tokenizer_fingerprint,
    ]
    tuning = recipe.training.model_dump(mode="json", exclude=_NOT_TUNING)
    tuned = [mixture, tuning, model.fingerprint]
    if recipe.model.adapter is not None:
        tuned.append(recipe.model.adapter.model_dump(mode="json"))
    training_keys = {seed: fingerprint_of([*tuned, seed]) for seed in recipe.seeds}
    chooses = [
        entry for entry in held if recipe.evaluation.validation_rows and has_rows(entry, "validation", data=data)
    ]
    asked = [
        _content(held, "test", data),
        _content(seen, "test", data),
        _content(chooses, "validation", data),
        recipe.prompts.asking_settings,
        recipe.evaluation.model_dump(mode="json", exclude={"bootstrap", "score", "tasks", "too_long"}),
        [FORMAT, openflan.__version__],
    ]
    models = {UNTUNED: model.fingerprint, **{tuned_name(seed): key for seed, key in training_keys.items()}}
    return Plan(
        recipe=recipe,
        model=model,
        data=data,
        division=division,
        measured_held_out=held,
        measured_seen=seen,
        looked_at=_looked_at(recipe, division),
        errata=errata,
        mixture_key=fingerprint_of([mixture, list(recipe.seeds)]),
        training_keys=training_keys,
        evaluation_keys={name: fingerprint_of([asked, key]) for name, key in models.items()},
    )


def _measured(recipe: Recipe, division: HoldOut) -> tuple[Entry, ...]:
    """Held-out tasks to evaluate."""
    held = {entry.spec.name: entry for entry in division.held_out if "test" in entry.spec.splits}
    if recipe.evaluation.tasks is None:
        return tuple(held.values())
    chosen: dict[str, Entry] = {}
    tuned = {word for entry in division.tuned for word in entry.spec.called}
    for position, word in enumerate(recipe.evaluation.tasks):
        found = {name: entry for name, entry in held.items() if word in entry.spec.called}
        if not found:
            reason = "it is tuned on" if word in tuned else "no held-out task or cluster has that name"
            raise UserError(
                f"'{word}' can't be measured as held out: {reason}",
                where=f"evaluation.tasks[{position}]",
                how="hold its cluster out (tasks.hold_out), or use evaluation.seen_rows for tuned tasks",
            )
        chosen.update(found)
    return tuple(chosen.values())


def _looked_at(recipe: Recipe, division: HoldOut) -> tuple[tuple[Entry, Role], ...]:
    """Tasks to look at while training, with the rows they are asked by."""
    found: dict[str, tuple[Entry, Role]] = {}
    held = [(entry, "test") for entry in division.held_out]
    known: list[tuple[Entry, Role]] = [*held, *((entry, "validation") for entry in division.tuned)]  # type: ignore[list-item]
    for position, word in enumerate(recipe.training.evaluate_tasks):
        mine = {e.spec.name: (e, role) for e, role in known if word in e.spec.called}
        there = {name: pair for name, pair in mine.items() if pair[1] in pair[0].spec.splits}
        if not there:
            words = {word for e, _ in known for word in e.spec.called}
            what = "has no rows for it (a tuned task needs a validation split)" if mine else "is no task of the recipe"
            how = did_you_mean(word, words) or "name held-out tasks, or tuned ones with a validation split"
            raise UserError(f"'{word}' {what}", where=f"training.evaluate_tasks[{position}]", how=how)
        found.update(there)
    return tuple(found.values())


def _names(entry: Entry) -> tuple[str, str, str]:
    """What a task goes by, its own name last."""
    return entry.collection, entry.spec.cluster, entry.spec.name


def _with_splits(entry: Entry, recipe: Recipe) -> Entry:
    """The task with the splits that the recipe gives it."""
    other = {role: text for name in _names(entry) for role, text in recipe.tasks.splits.get(name, {}).items()}
    if not other:
        return entry
    said = entry.spec.model_dump(mode="json") | {"splits": {**entry.spec.splits, **other}}
    try:
        return replace(entry, spec=TaskSpec.model_validate_json(json.dumps(said)))
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
