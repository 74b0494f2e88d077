"""The forecast: what a study would run and how long it would take, told before anything is downloaded or written.

Tokens are exact, for a step holds so many; questions are at most so many. Time follows from the pace that the shipped
base was seen to have on two cores, in proportion to the model's parameters, or from a pace that the user names; rows
are taken to be as many as the starter's. What cells share is counted once, as the pipeline does it.

Invariant: it counts what runs would do, for the keys are made by the same function (runs/keys.py); no row is read and
no weights are hashed. Cost: 60 ms a cell. Rejected: a trial step of each cell, which needs the
data and the model.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openflan.errors import UserError
from openflan.evaluation.content_free import WITHOUT_CONTENT
from openflan.mixture.planning import SPEED
from openflan.prompts.options import TURNS
from openflan.recipes.parts import EvaluationPart
from openflan.recipes.recipe import Recipe
from openflan.runs.keys import Contents, keyed_stages
from openflan.runs.plan import Resolved, resolve
from openflan.runs.stages import Stage, StageKind
from openflan.study.grid import Cell, Grid
from openflan.study.sizes import parameters_of
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import source_name
from openflan.tasks.splits import Role

__all__ = ["PACE", "CellForecast", "Forecast", "Pace", "forecast", "shares_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How fast a model was seen to be tuned and asked."""

    parameters: int
    tokens: float
    """Tuned on a second."""
    prompts: float
    """Answered a second."""
    rows: float
    """Seconds that a mixture's rows take, to be read and held against held-out ones."""
    source: str


PACE = Pace(
    parameters=1_317_248,
    tokens=16_000,
    prompts=1_400,
    rows=19.0,
    source="measured with the shipped base on two cores: benchmarks/results/2026-11-24-starter.json",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CellForecast:
    """What one cell takes; what it shares with cells before it is not counted again."""

    cell: str
    tuned: bool
    """Whether it is a cell, or a model that cells start from."""
    tuned_tasks: int
    held_out: tuple[str, ...]
    trainings: int
    """Tuning runs that no cell before it has."""
    tokens: int
    """Tuned on in these."""
    prompts: int
    """Asked, of models that no cell before it asked them."""
    mixed_tokens: int
    shared: tuple[str, ...]
    """What it has in common with cells before it."""
    seconds: float | None
    """None where the size of the model is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What a study takes."""

    cells: tuple[CellForecast, ...]
    tokens: int
    prompts: int
    seconds: float | None
    concerns: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Forecast({len(self.cells)} cells, {self.tokens:,} tokens, {self.prompts:,} prompts)"


def forecast(grid: Grid, *, pace: float | None = None) -> Forecast:
    """Tell what a study takes.

    Args:
        pace: tokens tuned on a second, where the user knows.

    Raises:
        UserError: a task, a model or a setting of a cell is at fault.
    """
    keys: set[str] = set()
    cells = tuple(_cell(cell, keys, pace) for cell in grid.everything)
    times = [cell.seconds for cell in cells]
    total = None if None in times else sum(time for time in times if time is not None)
    concerns = []
    if total is None:
        concerns.append("no time is told, for the size of a model is not known here: name a pace with --pace")
    return Forecast(
        cells=cells,
        tokens=sum(cell.tokens for cell in cells),
        prompts=sum(cell.prompts for cell in cells),
        seconds=total,
        concerns=tuple(concerns),
    )


def _cell(cell: Cell, keys: set[str], pace: float | None) -> CellForecast:
    recipe = cell.stand_in()
    resolved = resolve(recipe)
    stages = _stages(cell, recipe, resolved)
    fresh = [stage for stage in stages if stage.key not in keys]
    keys |= {stage.key for stage in stages}
    training = recipe.training
    tokens = training.steps * training.tokens_per_batch
    kinds = Counter(stage.kind for stage in fresh)
    trainings = kinds[StageKind.TRAINING]
    questions = _questions(recipe, resolved) * kinds[StageKind.EVALUATION]
    mixed = tokens * len(recipe.seeds) * kinds[StageKind.MIXTURE]
    return CellForecast(
        cell=cell.name,
        tuned=bool(cell.values),
        tuned_tasks=len(resolved.division.tuned),
        held_out=resolved.division.clusters,
        trainings=trainings,
        tokens=tokens * trainings,
        prompts=questions,
        mixed_tokens=mixed,
        shared=tuple(stage.place for stage in stages if stage not in fresh),
        seconds=_seconds(recipe, tokens * trainings, questions, mixed, pace),
    )


def _stages(cell: Cell, recipe: Recipe, resolved: Resolved) -> tuple[Stage, ...]:
    """A cell's stages with stand-ins for keys: equal where the keys would be, without a look at rows and weights."""
    named = [cell.data.get("model", {}).get("path", "starter"), resolved.model.revision]
    local = cell.needs is None and resolved.model.folder is not None

    def rows(entries: Iterable[Entry], role: Role) -> dict[str, list[str]]:
        return {e.spec.name: [e.spec.fingerprint, source_name(e, role, data=resolved.data)] for e in entries}

    held_out = resolved.measured_held_out
    chooses = [entry for entry in held_out if recipe.evaluation.validation_rows and "validation" in entry.spec.splits]
    contents = Contents(
        model=named,
        tokenizer=resolved.model.tokenizer_fingerprint if local else named,
        tuned=rows(resolved.division.tuned, "train"),
        held_out=rows(held_out, "test"),
        seen=rows(resolved.measured_seen, "test"),
        choosing=rows(chooses, "validation"),
        own=sorted(entry.spec.name for entry in resolved.measured_seen if entry.own),
        errata=sorted(resolved.errata),
    )
    return keyed_stages(recipe, contents, min(cell.until, StageKind.EVALUATION, key=lambda kind: kind.order))


def _questions(recipe: Recipe, resolved: Resolved) -> int:
    """Questions to one model, at most."""
    part = recipe.evaluation
    held_out, seen = resolved.measured_held_out, resolved.measured_seen
    tasks = [(entry, part.rows, min(part.validation_rows, part.rows)) for entry in held_out]
    tasks += [(entry, part.rows_of_tuned(own=entry.own), 0) for entry in seen]
    total = 0
    for entry, rows, chooses in tasks:
        if entry.spec.is_classification or part.generate:
            templates = sum(not template.inverted for template in entry.spec.templates)
            templates = 1 if recipe.prompts.form != "instruction" else min(templates, part.templates or templates)
            choosing = chooses if templates > 1 and "validation" in entry.spec.splits else 0
            empty = WITHOUT_CONTENT if entry.spec.answer.options else 0
            total += (rows + choosing + empty) * _turns(entry, part) * templates
    return total


def _turns(entry: Entry, part: EvaluationPart) -> int:
    """In how many orders of its options a question is asked, at most."""
    most = len(entry.spec.answer.options or range(TURNS)) if entry.spec.is_classification else 1
    return min(TURNS, most) if part.option_order == "rotated" else 1


def _seconds(recipe: Recipe, tokens: int, prompts: int, mixed: int, pace: float | None) -> float | None:
    if pace is None:
        size = parameters_of(recipe)
        if size is None:
            return None
        pace = PACE.tokens * PACE.parameters / size
    longer = 1 + max(recipe.prompts.all_shots)  # solved examples are read with every question
    mixing = mixed / SPEED.alone + PACE.rows if mixed else 0.0
    return tokens / pace + longer * prompts / (PACE.prompts * pace / PACE.tokens) + mixing


def shares_of(grid: Grid) -> dict[str, float]:
    """How much of the whole each cell is, by name; they sum to 1. Alike where a cell is at fault."""
    try:
        return _weights_of(forecast(grid, pace=1.0).cells)
    except UserError:  # it is told when it is run
        return {cell.name: 1 / len(grid.everything) for cell in grid.everything}


def _weights_of(cells: Sequence[CellForecast]) -> dict[str, float]:
    """How much of the whole each cell is, for progress."""
    costs = {cell.cell: cell.tokens + 10 * cell.prompts + 1 for cell in cells}
    whole = sum(costs.values())
    return {name: cost / whole for name, cost in costs.items()}
