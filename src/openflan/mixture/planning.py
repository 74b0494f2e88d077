"""The plan of a mixture: what `openflan mix` would make of a recipe, told before it is made.

    rows and mean lengths by task ─► rates ─► examples that fill the steps ─► tokens, epochs, disk, time ─► warnings

Where rows and lengths are those of the actual rows and tokenizer, the plan and the ledger of the mixture agree; where
they are official counts and known lengths it is an estimate, and every line says which.

Invariant: pure arithmetic, O(tasks). Cost: a millisecond. Rejected: asking the hub for sizes, which a plan must not
need; simulating the packing, which fills over 99.8 % of a step wherever examples are much shorter than it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from openflan.errors import UserError
from openflan.mixture.lengths import TokenLengths
from openflan.mixture.packing import OPEN_BINS, SPARE
from openflan.mixture.pieces import bounds, pieces_covering
from openflan.mixture.rates import draws_per_round
from openflan.recipes.mixture_part import MixturePart
from openflan.recipes.recipe import Recipe
from openflan.tasks.catalog import Entry

__all__ = ["SPEED", "ClusterPlan", "Concern", "MixPlan", "Speed", "TaskFacts", "TaskPlan", "Totals", "plan_mixture"]

Basis = Literal["exact", "rows", "estimate", "guess"]

_FILL = 0.999
"""Of a step's tokens, what packing fills (benchmarks/results/2026-11-24-mix.json)."""
_PROMPT_BYTES = 44
"""Of a prompt on disk, beside its tokens and its task's name: the other columns and its entry in `lengths.npy`."""
_PLACE_BYTES = 16
"""Of an example in the order of a seed's steps."""

_OFTEN = 5.0
_HALF = 0.5
_HEAVY = 0.10


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How fast mixtures were seen to be made, in tokens a second, rows read."""

    alone: float
    """Of one process."""
    two: float
    """Of two together."""
    plain: float
    """Of one process whose tokens `tokenizers` makes, where the faster engine can't."""
    leak_check: float
    """Training rows a second that are held against held-out ones."""
    source: str

    def seconds(self, tokens: float, *, workers: int, fast: bool) -> float:
        """Seconds of making so many tokens; what two processes did not share, more do not share either.

        Args:
            tokens: of the prompts, altogether.
            workers: processes that share the work.
            fast: whether the faster engine makes them.
        """
        one, shared = 1 / self.alone, 2 * (1 / self.alone - 1 / self.two)
        slower = 0.0 if fast else 1 / self.plain - one
        return tokens * (one - shared + (shared + slower) / workers)


SPEED = Speed(
    alone=3_419_000,
    two=5_811_000,
    plain=681_000,
    leak_check=38_600,
    source="measured on two cores, vocabulary 49,152: benchmarks/results/2026-11-29-mix-one-thread.json",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFacts:
    """What is known of a tuned task."""

    entry: Entry
    rows: int | None
    """Rows to train on after cap and slices; None where nothing tells."""
    lengths: TokenLengths
    basis: Basis
    """`exact`: rows and tokens are counted; `rows`: rows are counted, tokens follow from their bytes; `estimate`:
    official rows, known lengths; `guess`: no real rows stand behind its lengths, or its size is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskPlan:
    """A line of the plan; counts are those of one seed."""

    task: str
    cluster: str
    rows: int | None
    basis: Basis
    rate: float
    """Share of the examples."""
    token_share: float
    examples: float
    tokens: float
    epochs: float | None
    """How often a row is seen; None where the rows are not known."""
    input_tokens: float
    target_tokens: float
    cut: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterPlan:
    """The tasks of a cluster together."""

    cluster: str
    tasks: int
    rows: int
    unknown_rows: int
    """Tasks whose rows are not among these, for nothing tells how many they are."""
    rate: float
    token_share: float
    cut: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """The whole mixture."""

    tasks: int
    rows: int
    total_rate: int
    """Sum of min(rows, maximum), as section 2.1 of the paper counts."""
    steps: int
    tokens_per_step: int
    seeds: int
    examples: int
    """Of one seed."""
    tokens: int
    """Of one seed."""
    tokens_per_example: float
    cut: float
    made_prompts: int
    """In the token store, of all seeds; tasks are drawn in whole pieces, so more are made than are used."""
    made_tokens: int
    disk_bytes: int
    seconds: float
    """To check, render, tokenise and pack, rows at hand."""
    tokens_per_second: float
    """Without the check."""
    workers: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Concern:
    """Something that looks wrong."""

    kind: Literal[
        "often_seen", "never_seen", "large_cluster", "single_task", "truncation", "passed_over", "unknown_rows"
    ]
    text: str
    about: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MixPlan:
    """What a recipe would train on."""

    tasks: tuple[TaskPlan, ...]
    clusters: tuple[ClusterPlan, ...]
    totals: Totals
    concerns: tuple[Concern, ...]


def plan_mixture(
    facts: Sequence[TaskFacts], entries: Sequence[Entry], recipe: Recipe, *, workers: int, fast: bool = False
) -> MixPlan:
    """Plan a mixture.

    Args:
        facts: the tuned tasks.
        entries: all tasks of the recipe, held out or not.
        workers: processes that would make it.
        fast: whether the faster token engine would.

    Raises:
        UserError: weights or groups name no task or don't fit, or nothing is left to tune on.
    """
    if not any(task.lengths.total for task in facts):
        what = "no row can be rendered" if facts else "every training row stands in a held-out task"
        raise UserError(what, where="tasks", how="mend the templates or rows" if facts else "hold out fewer clusters")
    # a task of unknown size is most likely a large one
    most = recipe.mixture.most_rows
    rows = {t.entry.spec.name: most(t.entry.called) if t.rows is None else t.rows for t in facts}
    draws = draws_per_round(rows, entries, recipe.mixture)
    each = sum(draws[task.entry.spec.name] * task.lengths.total for task in facts) / sum(draws.values())
    examples = recipe.training.steps * recipe.training.tokens_per_batch * _FILL / each
    tasks = tuple(_task(task, draws, examples, each) for task in facts)
    clusters = _clusters(tasks)
    totals = _totals(tasks, rows, recipe, examples, each, workers=workers, fast=fast)
    return MixPlan(
        tasks=tasks, clusters=clusters, totals=totals, concerns=tuple(_concerns(tasks, clusters, entries, recipe))
    )


def _task(facts: TaskFacts, draws: Mapping[str, int], examples: float, each: float) -> TaskPlan:
    spec = facts.entry.spec
    rate = draws[spec.name] / sum(draws.values())
    return TaskPlan(
        task=spec.name,
        cluster=spec.cluster,
        rows=facts.rows,
        basis=facts.basis,
        rate=rate,
        token_share=rate * facts.lengths.total / each,
        examples=examples * rate,
        tokens=examples * rate * facts.lengths.total,
        epochs=examples * rate / facts.rows if facts.rows else None,
        input_tokens=facts.lengths.input,
        target_tokens=facts.lengths.target,
        cut=facts.lengths.cut,
    )


def _clusters(tasks: Sequence[TaskPlan]) -> tuple[ClusterPlan, ...]:
    """Clusters, that with most tokens first."""
    members: dict[str, list[TaskPlan]] = {}
    for task in tasks:
        members.setdefault(task.cluster, []).append(task)
    clusters = [
        ClusterPlan(
            cluster=cluster,
            tasks=len(inside),
            rows=sum(task.rows or 0 for task in inside),
            unknown_rows=sum(task.rows is None for task in inside),
            rate=(rate := sum(task.rate for task in inside)),
            token_share=sum(task.token_share for task in inside),
            cut=sum(task.rate * task.cut for task in inside) / rate,
        )
        for cluster, inside in members.items()
    ]
    return tuple(sorted(clusters, key=lambda one: -one.token_share))


def _totals(
    tasks: Sequence[TaskPlan],
    rows: Mapping[str, int],
    recipe: Recipe,
    examples: float,
    each: float,
    *,
    workers: int,
    fast: bool,
) -> Totals:
    training, seeds = recipe.training, len(recipe.seeds)
    steps_made = max(training.steps * SPARE, training.steps + OPEN_BINS - 1)
    positions = steps_made * training.tokens_per_batch / each + 1
    task_prompts = {task.task: seeds * _whole_pieces(positions * task.rate) for task in tasks}
    prompts = sum(task_prompts.values())
    tokens = sum(task_prompts[task.task] * (task.input_tokens + task.target_tokens) for task in tasks)
    names = sum(task_prompts[task.task] * len(task.task) for task in tasks)
    disk = 4 * tokens + prompts * _PROMPT_BYTES + names
    disk += seeds * (examples * _PLACE_BYTES + 8 * training.steps) + 8 * sum(rows.values())
    making = SPEED.seconds(tokens, workers=workers, fast=fast)
    return Totals(
        tasks=len(tasks),
        rows=sum(task.rows or 0 for task in tasks),
        total_rate=sum(min(n, recipe.mixture.maximum) for n in rows.values()),
        steps=training.steps,
        tokens_per_step=training.tokens_per_batch,
        seeds=seeds,
        examples=round(examples),
        tokens=round(examples * each),
        tokens_per_example=each,
        cut=sum(task.rate * task.cut for task in tasks),
        made_prompts=prompts,
        made_tokens=round(tokens),
        disk_bytes=round(disk),
        seconds=making + sum(rows.values()) / SPEED.leak_check,
        tokens_per_second=tokens / making,
        workers=workers,
    )


def _whole_pieces(draws: float) -> int:
    """Prompts in the pieces that hold so many draws of a task."""
    return bounds(pieces_covering(max(1, math.ceil(draws))) - 1)[1]


def _concerns(
    tasks: Sequence[TaskPlan], clusters: Sequence[ClusterPlan], entries: Sequence[Entry], recipe: Recipe
) -> list[Concern]:
    concerns: list[Concern] = []
    often = sorted((task for task in tasks if (task.epochs or 0) > _OFTEN), key=lambda task: -(task.epochs or 0))
    if often:
        many = "1 small dataset is" if len(often) == 1 else f"{len(often)} small datasets are"
        times = f"{often[0].epochs:.1f}" if often[0].epochs else ""
        text = f"{many} seen over {_OFTEN:g} times, up to {times}: {_names([task.task for task in often])}"
        concerns.append(_concern("often_seen", text, often))
    if never := [task for task in tasks if task.examples < 1]:
        concerns.append(_concern("never_seen", f"too few steps to draw {_names([task.task for task in never])}", never))
    for cluster in clusters:
        if cluster.token_share > _HALF and len(clusters) > 1:
            text = f"{cluster.cluster} has {cluster.token_share:.0%} of the tokens"
            concerns.append(Concern(kind="large_cluster", text=text, about=(cluster.cluster,)))
    if single := [cluster.cluster for cluster in clusters if cluster.tasks == 1]:
        concerns.append(Concern(kind="single_task", text=f"a single task in {_names(single)}", about=tuple(single)))
    if heavy := sorted((task for task in tasks if task.cut > _HEAVY), key=lambda task: -task.cut):
        limits = f"{recipe.prompts.max_input_tokens:,} + {recipe.prompts.max_target_tokens:,} tokens"
        listed = _names([f"{task.task} {task.cut:.0%}" for task in heavy])
        concerns.append(_concern("truncation", f"many prompts are longer than {limits} and are cut: {listed}", heavy))
    if over := _passed_over({task.task for task in tasks}, entries, recipe.mixture):
        text = f"{_names(over)}: no task of the name is tuned on, so it is passed over"
        concerns.append(Concern(kind="passed_over", text=text, about=tuple(over)))
    if unknown := [task for task in tasks if task.rows is None]:
        text = f"no size is known of {_names([task.task for task in unknown])}: counted as mixture.rows_per_task"
        concerns.append(_concern("unknown_rows", text, unknown))
    return concerns


def _passed_over(tuned: set[str], entries: Sequence[Entry], mixture: MixturePart) -> list[str]:
    """Weights and groups that no tuned task answers to, as keys of the recipe."""
    words = {word for entry in entries if entry.spec.name in tuned for word in entry.called}
    keys = [f"mixture.weights.{word}" for word in mixture.weights if word not in words]
    for group, part in mixture.groups.items():
        absent = [word for word in part.use if word not in words]
        keys += [f"mixture.groups.{group}"] if len(absent) == len(part.use) else [
            f"mixture.groups.{group}.use: {word}" for word in absent
        ]  # fmt: skip
        keys += [f"mixture.groups.{group}.weights.{word}" for word in part.weights if word not in words]
    return keys


def _concern(kind: Literal["often_seen", "never_seen", "truncation", "unknown_rows"], text: str,
             tasks: Sequence[TaskPlan]) -> Concern:  # fmt: skip
    return Concern(kind=kind, text=text, about=tuple(task.task for task in tasks))


def _names(names: Sequence[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} others" if len(shown) > 6 else "")
