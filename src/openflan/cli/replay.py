"""`openflan replay` and `openflan trace`: what a step held, and which steps saw a row."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import JsonOption

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
    opened = openflan.Run.open(run)
    chosen, prompts = opened.seed(seed), opened.replay(step, seed=seed)
    if json_:
        record = {"step": step, "seed": chosen, "prompts": [asdict(one) for one in prompts]}
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        return
    for one in prompts:
        text = one.input if whole or len(one.input) <= _LONG else one.input[:_LONG] + " […]"
        shots = f", {len(one.exemplars)} solved examples (rows {list(one.exemplars)})" if one.exemplars else ""
        sys.stdout.write(
            f"--- {one.task}, row {one.row + 1}, template {one.template + 1}{shots}, epoch {one.epoch + 1},"
            f" position {one.position:,}, {one.tokens} tokens{'' if one.same else ', NOT the stored tokens'} ---\n"
            f"{text}\n  => {one.target}\n\n"
        )
    tokens, same = sum(one.tokens for one in prompts), sum(one.same for one in prompts)
    sys.stdout.write(
        f"step {step} of seed {chosen}: {len(prompts)} prompts, {tokens:,} tokens; {same} made again alike\n"
    )


def trace(
    run: RunArgument,
    task: Annotated[str, typer.Option("--task", help="A task of the mixture.")],
    row: Annotated[int, typer.Option("--row", min=1, help="A row of its training split, from 1.")],
    seed: SeedOption = None,
    json_: JsonOption = False,
) -> None:
    """List every training step that saw a row, asked or as a solved example."""
    opened = openflan.Run.open(run)
    chosen, seen = opened.seed(seed), opened.trace(task, row - 1, seed=seed)
    if json_:
        record = {"task": task, "row": row, "seed": chosen, "seen": [asdict(one) for one in seen]}
        sys.stdout.write(json.dumps(record) + "\n")
        return
    for one in seen:
        how = "as a solved example" if one.as_exemplar else f"under template {one.template + 1}"
        sys.stdout.write(f"step {one.step}: {how}\n")
    sys.stdout.write(f"{task}, row {row}: seen {len(seen)} times with seed {chosen}\n")
