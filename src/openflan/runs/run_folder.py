"""A run folder seen from outside: what of a plan is done in it, and whether it may be worked in.

Invariant: nothing here writes.
"""

import json
from pathlib import Path
from typing import Any, Literal

import openflan
from openflan.errors import UserError
from openflan.recipes.recipe import Recipe, load_recipe
from openflan.runs.plan import Plan, make_plan
from openflan.runs.stages import RunPlaces, Stage, StageKind
from openflan.stage import FORMAT, free_bytes, read_manifest

__all__ = [
    "StageName",
    "check_format",
    "check_mixed",
    "check_space",
    "finished",
    "head_of",
    "is_done",
    "plan_of",
    "recipe_of",
]

StageName = Literal["mixture", "training", "evaluation", "report"]
"""The stages in their order."""


def plan_of(folder: Path) -> Plan:
    """The plan of a run folder.

    Raises:
        UserError: it is no run folder, or one of another version.
    """
    return make_plan(recipe_of(folder))


def recipe_of(folder: Path) -> Recipe:
    """The recipe of a run folder.

    Raises:
        UserError: it is no run folder, or one of another version.
    """
    if not (folder / "recipe.yaml").is_file():
        raise UserError("no run folder", where=str(folder), how="give the folder that `openflan run` printed")
    check_format(folder)
    return load_recipe(folder / "recipe.yaml", folder=Path(head_of(folder)["folder"]))


def finished(folder: Path, plan: Plan, until: StageKind) -> bool:
    """Whether everything up to a stage is there under the plan's keys."""
    return all(is_done(folder, stage) for stage in plan.stages(until))


def is_done(folder: Path, stage: Stage) -> bool:
    """Whether a stage is there under its key."""
    places = RunPlaces(folder)
    if stage.kind is StageKind.REPORT:
        return places.results.is_file() and places.page.is_file() and head_of(folder).get("results") == stage.key
    manifest = read_manifest(places.stage(stage))
    return manifest is not None and manifest["key"] == stage.key


def check_mixed(folder: Path, plan: Plan) -> None:
    """Refuse to tokenise inside a process group, where the other ranks would wait until they time out.

    Raises:
        UserError: the mixture is not there under the plan's key.
    """
    if not finished(folder, plan, StageKind.MIXTURE):
        how = "make it first, in one process: `openflan mix` with the same recipe, settings and --out"
        raise UserError("the mixture is not there", where=str(folder / "mixture"), how=how)


def head_of(folder: Path) -> dict[str, Any]:
    """The folder's `run.json`: its format, who wrote it, of which recipe; empty where there is none."""
    try:
        head = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}
    return head if isinstance(head, dict) else {}


def check_format(folder: Path) -> None:
    """Refuse a run folder that another version of openflan laid out.

    Raises:
        UserError: it is one.
    """
    head = head_of(folder)
    if head and head.get("format") != FORMAT:
        raise UserError(
            f"a run folder of format {head.get('format')} (openflan {head.get('openflan', 'unknown')});"
            f" this openflan {openflan.__version__} writes format {FORMAT}",
            where=str(folder),
            how="move or delete the folder, or choose another --out",
        )


def check_space(runs: Path, plan: Plan) -> None:
    """Refuse to begin what the disk can't hold: weights, optimizer state and a checkpoint a seed, the token store.

    Raises:
        UserError: too little is free.
    """
    weights = sum(path.stat().st_size for path in plan.model.folder.glob("*.safetensors")) if plan.model.folder else 0
    part = plan.recipe.training
    needed = (2 * len(plan.recipe.seeds) + 8) * weights + 8 * part.steps * part.tokens_per_batch + (16 << 20)
    free = free_bytes(runs)
    if free < needed:
        raise UserError(
            f"{free >> 20:,} MiB are free and about {needed >> 20:,} MiB are needed",
            where=str(runs),
            how="free some space or choose another --out",
        )
