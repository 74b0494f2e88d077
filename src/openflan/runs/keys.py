"""Keys: for each stage of a run a hash of everything that its content depends on.

    settings that count for it (recipes/counting.py)  +  content of what the recipe names  ─►  key

A changed setting changes the keys of the stages that it counts for and of no others. `training/seed-1` does not depend
on which other seeds there are, though the token store holds an order for each.

Invariant: equal keys mean equal content; this is the only place that makes one. With stand-ins for content (a path for
a model, a name for rows) keys are equal where the real ones would be, so that a forecast counts what a run does.
Rejected: time stamps, which a copy or a clone changes; a list of settings beside each key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import openflan
from openflan.evaluation.answer_files import MATRIX_SCHEMA
from openflan.recipes.recipe import Recipe
from openflan.runs.results import SCHEMA
from openflan.runs.stages import UNTUNED, Stage, StageKind, stages_of, tuned_name
from openflan.stage import FORMAT, fingerprint_of

__all__ = ["Contents", "keyed_stages", "settings_of_tuning"]

TaskHashes = Mapping[str, Sequence[str]]
"""By task: hashes of its file and of its rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What the names in a recipe stand for: hashes, or stand-ins for them."""

    model: object
    tokenizer: object
    tuned: TaskHashes
    """By training rows."""
    held_out: TaskHashes
    """Measured tasks that tuning never sees, by test rows."""
    seen: TaskHashes
    """Measured tasks that are tuned on, by test rows."""
    choosing: TaskHashes
    """Tasks whose validation rows choose a template, by those."""
    own: Sequence[str]
    """Those of the seen that are the user's own, which are asked their baselines too."""
    errata: Sequence[str]


def keyed_stages(recipe: Recipe, contents: Contents, until: StageKind = StageKind.REPORT) -> tuple[Stage, ...]:
    """The stages of a run with their keys, as far as those of a kind."""
    version = [FORMAT, openflan.__version__]
    settings = {purpose: recipe.counted(purpose) for purpose in ("mixture", "orders", "weights", "answers", "results")}
    mixture = [
        version,
        settings["mixture"],
        contents.tokenizer,
        contents.tuned,
        contents.held_out,
        list(contents.errata),
    ]
    weights = [mixture, settings["weights"], contents.model]
    answers = [
        version,
        MATRIX_SCHEMA,
        settings["answers"],
        contents.held_out,
        contents.seen,
        contents.choosing,
        list(contents.own),
    ]
    keys: dict[tuple[StageKind, str], str] = {
        (StageKind.MIXTURE, ""): fingerprint_of([mixture, settings["orders"], contents.seen]),
        (StageKind.EVALUATION, UNTUNED): fingerprint_of([answers, contents.model]),
    }
    for seed in recipe.seeds:
        tuned = fingerprint_of([weights, seed])
        keys[StageKind.TRAINING, tuned_name(seed)] = tuned
        keys[StageKind.EVALUATION, tuned_name(seed)] = fingerprint_of([answers, tuned])
    keys[StageKind.REPORT, ""] = fingerprint_of([sorted(keys.values()), settings["results"], SCHEMA])
    return stages_of(recipe.seeds, keys=keys, until=until)


def settings_of_tuning(recipe: Recipe) -> str:
    """Hash of the settings by which a model is tuned on a mixture."""
    return fingerprint_of(recipe.counted("weights"))
