"""`openflan replay` and `openflan trace`: what a step held, and which steps saw a row."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openflan.cli.mix import mixture_folder
from openflan.cli.options import JsonOption

if TYPE_CHECKING:
    from openflan.runs.plan import Plan

__all__ = ["replay", "trace"]

RunArgument = Annotated[Path, typer.Argument(help="A run folder.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Which seed; the recipe's first by default.")]

_LONG = 500
"""Characters of an input that are printed without --whole."""


def replay(
    run: RunArgument,
    step: Annotated[int, typer.Option("--step", min=1, help="An optimizer step, from 1.")],
    seed: SeedOption = None,
    whole: Annotated[bool, typer.Option("--whole", help="Print long inputs whole.")] = False,
    json_: JsonOption = False,
) -> None:
    """Make the prompts of a training step again and hold them against the stored tokens."""
    from openflan.mixture.store import TokenStore
    from openflan.mixture.tracing import replay as make_again
    from openflan.models.load import load_rules

    plan = _plan(run)
    store = TokenStore.open(mixture_folder(run))
    rules = load_rules(plan.model, plan.recipe.prompts)
    chosen = plan.recipe.seeds[0] if seed is None else seed
    found = list(make_again(store, plan.work(rules, mixture=store.folder), seed=chosen, step=step))
    if json_:
        record = {"step": step, "seed": chosen, "prompts": [asdict(one) for one in found]}
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        return
    for one in found:
        text = one.input if whole or len(one.input) <= _LONG else one.input[:_LONG] + " […]"
        shots = f", {len(one.exemplars)} solved examples (rows {list(one.exemplars)})" if one.exemplars else ""
        sys.stdout.write(
            f"--- {one.task}, row {one.row + 1}, template {one.template + 1}{shots}, epoch {one.epoch + 1},"
            f" position {one.position:,}, {one.tokens} tokens{'' if one.same else ', NOT the stored tokens'} ---\n"
            f"{text}\n  => {one.target}\n\n"
        )
    tokens, same = sum(one.tokens for one in found), sum(one.same for one in found)
    sys.stdout.write(
        f"step {step} of seed {chosen}: {len(found)} prompts, {tokens:,} tokens; {same} made again alike\n"
    )


def trace(
    run: RunArgument,
    task: Annotated[str, typer.Option("--task", help="A task of the mixture.")],
    row: Annotated[int, typer.Option("--row", min=1, help="A row of its training split, from 1.")],
    seed: SeedOption = None,
    json_: JsonOption = False,
) -> None:
    """List every training step that saw a row, asked or as a solved example."""
    from openflan.mixture.store import TokenStore
    from openflan.mixture.tracing import trace as find

    store = TokenStore.open(mixture_folder(run))
    chosen = _plan(run).recipe.seeds[0] if seed is None else seed
    seen = find(store, seed=chosen, task=task, row=row - 1)
    if json_:
        record = {"task": task, "row": row, "seed": chosen, "seen": [asdict(one) for one in seen]}
        sys.stdout.write(json.dumps(record) + "\n")
        return
    for one in seen:
        how = "as a solved example" if one.as_exemplar else f"under template {one.template + 1}"
        sys.stdout.write(f"step {one.step}: {how}\n")
    sys.stdout.write(f"{task}, row {row}: seen {len(seen)} times with seed {chosen}\n")


def _plan(run: Path) -> "Plan":
    from openflan.runs.run_folder import plan_of

    return plan_of(run)
