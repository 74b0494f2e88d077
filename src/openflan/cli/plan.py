"""`openflan plan`: what a recipe would train on, before anything is downloaded or written."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openflan.cli.durations import rough_time
from openflan.cli.options import DataOption, JsonOption, RecipeArgument, SetOption, recipe_path, settings

if TYPE_CHECKING:
    from openflan.mixture.holdout import HoldOut
    from openflan.mixture.planning import ClusterPlan, MixPlan, TaskPlan
    from openflan.mixture.survey import Survey

__all__ = ["plan"]

_WIDE = 100
"""Columns of a table that is not read on a terminal."""

_MARKS = {"exact": "exact", "rows": "rows", "estimate": "", "guess": "guess"}
_LEGEND = {
    "exact": "exact: rows counted, prompts made and tokenised",
    "rows": "rows: counted; tokens from their bytes, for the tokenizer is not a local folder",
    "estimate": "no mark: official rows, known lengths",
    "guess": "guess: no real rows behind its lengths, or no known size",
}


def plan(
    recipe: RecipeArgument = Path("starter"),
    set_: SetOption = None,
    data: DataOption = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Look at no rows, even where they are at hand.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes that would mix.")] = None,
    json_: JsonOption = False,
) -> None:
    """Show what a recipe would train on: rows, rates, tokens, epochs, truncation, disk, time. Needs no data."""
    from openflan.mixture.planning import plan_mixture
    from openflan.mixture.survey import survey
    from openflan.mixture.workers import default_workers
    from openflan.recipes.recipe import load_recipe
    from openflan.runs.plan import resolve

    loaded = load_recipe(recipe_path(recipe), settings(set_, data))
    found = resolve(loaded)
    with _patience(quiet=json_):
        known = survey(
            loaded,
            found.division,
            found.measured_held_out,
            found.model,
            data=found.data,
            errata=found.errata,
            estimate=estimate,
        )
    division = found.division
    every = [*division.tuned, *division.held_out, *(one.entry for one in division.condemned)]
    made = plan_mixture(known.facts, every, loaded, workers=workers or default_workers(loaded))
    if json_:
        record = _record(made, known, loaded.name, division.clusters)
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        return
    _print(made, known, division)


def _patience(*, quiet: bool) -> Any:
    """A sign of life on a terminal."""
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status("looking at rows and lengths")


def _record(made: "MixPlan", known: "Survey", name: str, held_out: tuple[str, ...]) -> dict[str, Any]:
    from dataclasses import asdict

    from openflan.mixture.planning import SPEED

    record = asdict(made)
    return {
        "recipe": name,
        "held_out_clusters": list(held_out),
        "tasks": {one.pop("task"): one for one in record["tasks"]},
        "clusters": {one.pop("cluster"): one for one in record["clusters"]},
        "totals": record["totals"],
        "speed": asdict(SPEED),
        "leaks": known.leaks,
        "warnings": [*record["concerns"], *({"kind": k, "text": t, "about": a} for k, t, a in _remarks(known))],
    }


def _print(made: "MixPlan", known: "Survey", division: "HoldOut") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("task", "rows", "examples", "tokens", "length", "epochs", "cut", ""):
        table.add_column(name, justify="left" if name in ("task", "") else "right", no_wrap=True)
    for cluster in made.clusters:
        table.add_row(*_cluster_cells(cluster))
        for task in sorted((one for one in made.tasks if one.cluster == cluster.cluster), key=lambda one: one.task):
            table.add_row(*_task_cells(task))
    # as wide as the table needs where the terminal is narrower: numbers that are folded can't be read
    console = Console(width=max(_WIDE, Console().width if sys.stdout.isatty() else 0), soft_wrap=True)
    console.print(table, highlight=False, markup=True)
    out = sys.stdout
    out.write("\n" + "".join(f"{line}\n" for line in [*_left(division), *_summary(made)]))
    bases = {one.basis for one in made.tasks}
    out.write("".join(f"{_LEGEND[basis]}\n" for basis in _LEGEND if basis in bases and bases != {"estimate"}))
    if bases == {"estimate"}:
        out.write("An estimate: official rows and known lengths; with the rows at hand (--data DIR) it is exact.\n")
    if known.leaks is not None:
        out.write(f"leak check: {known.leaks}\n")
    warnings = [*(one.text for one in made.concerns), *(text for _, text, _ in _remarks(known))]
    if warnings:
        out.write("\n" + "".join(f"warning: {text}\n" for text in warnings))


def _cluster_cells(one: "ClusterPlan") -> tuple[str, ...]:
    name = f"[bold]{one.cluster}[/bold]"
    rows = f"{one.rows:,}{'+' if one.unknown_rows else ''}" if one.rows else "?"
    return name, rows, f"{one.rate:.2%}", f"{one.token_share:.2%}", "", "", _share(one.cut), ""


def _task_cells(one: "TaskPlan") -> tuple[str, ...]:
    return (
        f"  {one.task}",
        "?" if one.rows is None else f"{one.rows:,}",
        f"{one.rate:.2%}",
        f"{one.token_share:.2%}",
        f"{one.input_tokens:,.0f}+{one.target_tokens:,.0f}",
        "?" if one.epochs is None else f"{one.epochs:.2f}",
        _share(one.cut),
        _MARKS[one.basis],
    )


def _share(value: float) -> str:
    return "" if value < 0.0005 else f"{value:.1%}"


def _left(division: "HoldOut") -> list[str]:
    """What is not tuned on."""
    lines = []
    if division.clusters:
        lines.append(f"held out: {', '.join(division.clusters)} ({len(division.held_out)} tasks)")
    if gone := tuple(one.entry.spec.name for one in division.condemned):
        lines.append(f"not tuned on, for they share text with held-out tasks: {_names(gone)}")
    return lines


def _summary(made: "MixPlan") -> list[str]:
    from openflan.mixture.planning import SPEED

    of = made.totals
    times = f", {of.seeds} seeds" if of.seeds > 1 else ""
    each = " a seed" if of.seeds > 1 else ""
    processes = "1 process" if of.workers == 1 else f"{of.workers} processes"
    rate = SPEED.alone if of.workers == 1 else SPEED.beside * of.workers
    return [
        f"{of.tasks} tasks in {len(made.clusters)} clusters, {of.rows:,} rows, total rate {of.total_rate:,}",
        f"{of.steps:,} steps of {of.tokens_per_step:,} tokens{times}: {of.tokens:,} tokens and {of.examples:,} examples"
        f"{each}, {of.tokens_per_example:.0f} tokens each, {_share(of.cut) or 'none'} of them cut",
        f"token store: {of.made_prompts:,} prompts in whole pieces, {_size(of.disk_bytes)}",
        f"mixing: {rough_time(of.seconds)} with {processes} once the rows are there, at {rate:,.0f} tokens a second",
        f"  ({SPEED.source})",
    ]


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _remarks(known: "Survey") -> list[tuple[str, str, tuple[str, ...]]]:
    """What is missing before the recipe can be mixed: kind, text, tasks."""
    said = (
        ("no_rows", "no rows of {} in the folder of data: estimated here, and `openflan mix` would stop", known.absent),
        ("by_hand", "rows must be fetched by hand: {}; give their folder with --data", known.by_hand),
        ("unchecked", "not checked for leaks, for their rows are not at hand: {}", known.unchecked),
        ("left_out", "every row stands in a held-out task, so it is left out: {}", known.left_out),
    )
    return [(kind, text.format(_names(names)), names) for kind, text, names in said if names]


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} others" if len(names) > 6 else "")
