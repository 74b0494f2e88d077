"""`openflan run`: everything a recipe says, to the report; `openflan train`: as far as tuning."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import openflan
from openflan.cli.options import DataOption, JsonOption, OutOption, QuietOption, RecipeArgument, SetOption
from openflan.cli.own import print_initialised
from openflan.cli.progress import watcher

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_verdict", "run", "run_until", "train"]


def run(
    recipe: RecipeArgument = Path("starter"),
    model: Annotated[str | None, typer.Option("--model", help="Hub id or folder of the model to tune.")] = None,
    set_: SetOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Mix, tune, evaluate untuned and tuned, and report; what is already done is kept.

    A folder of your tables without a recipe gets one first, as by `openflan init`.
    """
    settings = set_ or []
    if openflan.holds_tables(recipe):
        initialised = openflan.init_folder(recipe, model=model, data=data)
        if not (quiet or json_):
            print_initialised(initialised, sys.stderr)
    elif model is not None:
        settings = [*settings, f"model.path={json.dumps(model)}"]
    work = openflan.Run(recipe, settings=settings, data=data, runs=out)
    with watcher(quiet=quiet or json_ or not openflan.is_first()) as watch:
        outcome = work.work(watch=watch)
    if not openflan.is_first():
        return
    results = work.results.model_dump(mode="json")
    if json_:
        sys.stdout.write(json.dumps({"run": str(outcome.folder), "worked": outcome.worked, **results}) + "\n")
    elif not quiet:
        if not outcome.worked:
            sys.stderr.write(f"nothing to do: {outcome.folder} is complete\n")
        print_verdict(results, outcome.folder)


def train(
    recipe: RecipeArgument = Path("starter"),
    set_: SetOption = None,
    data: DataOption = None,
    out: OutOption = Path("runs"),
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Mix and tune, and leave a model that from_pretrained loads."""
    run_until("training", recipe, set_, data, out, quiet=quiet, json_=json_)


def run_until(
    until: Literal["mixture", "training", "evaluation"],
    recipe: Path,
    set_: list[str] | None,
    data: str | None,
    out: Path,
    *,
    workers: int | None = None,
    engine: str = "local",
    quiet: bool,
    json_: bool,
) -> None:
    """Run a recipe up to a stage and print the stage's folder."""
    run = openflan.Run(recipe, settings=set_ or (), data=data, runs=out)
    with watcher(quiet=quiet or json_ or not openflan.is_first()) as watch:
        outcome = run.work(until, workers=workers, engine=engine, watch=watch)
    if not openflan.is_first():
        return
    folder = outcome.folder / until
    if json_:
        sys.stdout.write(json.dumps({"folder": str(folder), "worked": outcome.worked}) + "\n")
    elif not quiet:
        if not outcome.worked:
            sys.stderr.write("nothing to do: already complete\n")
        sys.stdout.write(f"{folder}\n")


def print_verdict(results: dict[str, Any], folder: Path) -> None:
    """Print held-out and seen clusters, untuned against tuned, and where the report is."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 110)
    verdict = results["verdict"]
    seen = f"Seen: {'fresh' if results['fresh'] else 'test'} rows of tuned clusters"
    titles = {"own": "Your own tasks, on test rows of their own", "held_out": "Held out: never tuned on", "seen": seen}
    for role, title in titles.items():
        own = role == "own"
        if not verdict[role] or (role == "seen" and _is_told(verdict)):
            continue
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        first = ("task", "untuned at best") if own else ("cluster", "untuned")
        for name in (*first, "tuned", "gain", "95 % interval", "chance", "majority", "rows"):
            table.add_column(name, justify="left" if name == first[0] else "right")
        for record in verdict[role]:
            low, high = record["gain_ci95"]
            unseen = " (held out)" if own and record["role"] == "held_out" else ""
            table.add_row(
                record["task"] + unseen if own else record["cluster"].replace("_", " "),
                *(f"{record[key]:.3f}" for key in ("base", "tuned")),
                f"{record['gain']:+.3f}",
                f"{low:+.3f} to {high:+.3f}",
                *(f"{record[key]:.3f}" if record["chance"] else "–" for key in ("chance", "majority")),
                str(record["n_rows"]),
            )
        console.print(table)
        console.print()
        if role != "seen":
            print_measures(console, verdict[role])
    for sentence in filter(None, (verdict["own_sentence"], verdict["sentence"])):
        console.print(sentence, style="bold", highlight=False)
    for finding in filter(None, (verdict["scope"], results["left_out"], results["certificate"], results["freshness"])):
        console.print(finding, highlight=False, soft_wrap=True)
    console.print(f"results  {folder / 'results.json'}", highlight=False, soft_wrap=True)
    console.print(f"report   {folder / 'report.html'}", highlight=False, soft_wrap=True)


def _is_told(verdict: dict[str, Any]) -> bool:
    """Whether the tuned clusters were measured by own tasks alone, each of which has a line already."""
    own = {record["task"] for record in verdict["own"]}
    return all(set(record["tasks"]) <= own for record in verdict["seen"])


def print_measures(console: "Console", records: list[dict[str, Any]]) -> None:
    """Print what accuracy is made of: answering by an option at all, telling right from wrong, going by the place."""
    from rich.table import Table

    measured = [record for record in records if record["measures"]]
    if not measured:
        return
    heads = {"form": "on the options", "auc": "tells right (AUC)", "batch": "leaning off", "first": "first option"}
    shown = [name for name in heads if any(name in record["measures"] for record in measured)]
    table = Table(title="Form and judgement: untuned → tuned, under the templates", title_justify="left", box=None)
    table.title_style, table.pad_edge = "bold", False
    table.add_column("task" if "task" in measured[0] else "cluster")
    for name in (*(heads[name] for name in shown), *(["of them right"] if "first" in shown else [])):
        table.add_column(name, justify="right")
    for record in measured:
        measures = [record["measures"].get(name) for name in shown]
        cells = ["–" if one is None else f"{one['untuned']:.3f} → {one['tuned']:.3f}" for one in measures]
        right = record["first_right"]
        last = ["–" if right is None else f"{right:.3f}"] if "first" in shown else []
        table.add_row(record.get("task") or record["cluster"].replace("_", " "), *cells, *last)
    console.print(table)
    console.print()
