"""`openflan plan`: what a recipe would train on, before anything is downloaded or written."""

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import openflan
from openflan.cli.options import DataOption, JsonOption, RecipeArgument, SetOption
from openflan.cli.progress import rough_time

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
    run = openflan.Run(recipe, settings=set_ or (), data=data)
    with _patience(quiet=json_):
        preview = run.plan(estimate=estimate, workers=workers)
    if json_:
        sys.stdout.write(json.dumps(_record(preview), ensure_ascii=False) + "\n")
        return
    _print(preview)


def _patience(*, quiet: bool) -> Any:
    """A sign of life on a terminal."""
    if quiet or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status("looking at rows and lengths")


def _record(preview: "openflan.MixturePreview") -> dict[str, Any]:
    record = asdict(preview.mixture)
    return {
        "recipe": preview.recipe,
        "held_out_clusters": list(preview.held_out_clusters),
        "tasks": {task.pop("task"): task for task in record["tasks"]},
        "clusters": {cluster.pop("cluster"): cluster for cluster in record["clusters"]},
        "totals": record["totals"],
        "speed": asdict(preview.speed),
        "scope": preview.scope,
        "leaks": preview.leaks,
        "freshness": preview.freshness,
        "warnings": [
            *record["concerns"],
            *({"kind": rows.kind, "text": _sentence(rows), "about": rows.tasks} for rows in preview.missing),
        ],
    }


def _print(preview: "openflan.MixturePreview") -> None:
    from rich.console import Console
    from rich.table import Table

    mixture = preview.mixture
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("task", "rows", "examples", "tokens", "length", "epochs", "cut", ""):
        table.add_column(name, justify="left" if name in ("task", "") else "right", no_wrap=True)
    for cluster in mixture.clusters:
        table.add_row(*_cluster_cells(cluster))
        for task in sorted((one for one in mixture.tasks if one.cluster == cluster.cluster), key=lambda one: one.task):
            table.add_row(*_task_cells(task))
    # as wide as the table needs where the terminal is narrower: numbers that are folded can't be read
    console = Console(width=max(_WIDE, Console().width if sys.stdout.isatty() else 0), soft_wrap=True)
    console.print(table, highlight=False, markup=True)
    out = sys.stdout
    out.write("\n" + "".join(f"{line}\n" for line in [*_left(preview), *_summary(mixture, preview.speed)]))
    bases = {one.basis for one in mixture.tasks}
    out.write("".join(f"{_LEGEND[basis]}\n" for basis in _LEGEND if basis in bases and bases != {"estimate"}))
    if bases == {"estimate"}:
        out.write("An estimate: official rows and known lengths; with the rows at hand (--data DIR) it is exact.\n")
    if preview.leaks is not None:
        out.write(f"leak check: {preview.leaks}\n")
    if preview.freshness is not None:
        out.write(f"own test rows: {preview.freshness}\n")
    if preview.scope:
        out.write(f"what it will show: {preview.scope}\n")
    warnings = [*(one.text for one in mixture.concerns), *map(_sentence, preview.missing)]
    if warnings:
        out.write("\n" + "".join(f"warning: {text}\n" for text in warnings))


def _cluster_cells(one: "openflan.ClusterPlan") -> tuple[str, ...]:
    name = f"[bold]{one.cluster}[/bold]"
    rows = f"{one.rows:,}{'+' if one.unknown_rows else ''}" if one.rows else "?"
    return name, rows, f"{one.rate:.2%}", f"{one.token_share:.2%}", "", "", _share(one.cut), ""


def _task_cells(one: "openflan.TaskPlan") -> tuple[str, ...]:
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


def _left(preview: "openflan.MixturePreview") -> list[str]:
    """What is not tuned on."""
    lines = []
    if preview.held_out_clusters:
        lines.append(f"held out: {', '.join(preview.held_out_clusters)} ({len(preview.held_out)} tasks)")
    if preview.kin:
        lines.append(f"not tuned on, for they share text with held-out tasks: {_names(preview.kin)}")
    return lines


def _summary(mixture: "openflan.MixPlan", speed: "openflan.Speed") -> list[str]:
    of = mixture.totals
    times = f", {of.seeds} seeds" if of.seeds > 1 else ""
    each = " a seed" if of.seeds > 1 else ""
    processes = "1 process" if of.workers == 1 else f"{of.workers} processes"
    return [
        f"{of.tasks} tasks in {len(mixture.clusters)} clusters, {of.rows:,} rows, total rate {of.total_rate:,}",
        f"{of.steps:,} steps of {of.tokens_per_step:,} tokens{times}: {of.tokens:,} tokens and {of.examples:,} examples"
        f"{each}, {of.tokens_per_example:.0f} tokens each, {_share(of.cut) or 'none'} of them cut",
        f"token store: {of.made_prompts:,} prompts in whole pieces, {_size(of.disk_bytes)}",
        f"mixing: {rough_time(of.seconds)} with {processes} once the rows are there, "
        f"at {of.tokens_per_second:,.0f} tokens a second",
        f"  ({speed.source})",
    ]


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _sentence(rows: "openflan.MissingRows") -> str:
    return rows.text.format(_names(rows.tasks))


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} others" if len(names) > 6 else "")
