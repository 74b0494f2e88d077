"""`openflan study`: a figure of the paper as a grid of recipes, run, measured and drawn."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import DataOption, JsonOption, QuietOption, SetOption, named
from openflan.cli.progress import rough_time
from openflan.cli.study_progress import study_watcher
from openflan.errors import UserError

__all__ = ["study"]

_WIDE = 110
_FAILED = 1
"""Exit code where the study was run and a cell of it failed; 2 is for what keeps it from being run at all."""


def study(
    name: Annotated[Path, typer.Argument(metavar="STUDY", help="A study file, or the name of a ready one.")],
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Your recipe, or a folder with one, in place of the study's base.")
    ] = None,
    set_: SetOption = None,
    setting: Annotated[
        str | None,
        typer.Option("--setting", help="`starter` (the embedded default), `paper`, or another of the file's."),
    ] = None,
    data: DataOption = None,
    runs: Annotated[Path, typer.Option("--runs", help="Folder that holds the run folders and the study's.")] = Path(
        "runs"
    ),
    engine: Annotated[
        str, typer.Option("--engine", help="`local`, or `ray`: each cell a task of a cluster.")
    ] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show cells, tokens and time; nothing is run.")] = False,
    pace: Annotated[
        float | None, typer.Option("--pace", min=1, help="With --dry-run: tokens a second that your machine tunes on.")
    ] = None,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Run the cells of a study, those not done yet, and tell what they show; 1 is returned where a cell failed.

    `--set axes.NAME=VALUES`, `before.NAME.KEY=VALUE` (a model tuned before) and `resources.cpus=N` change the study;
    other keys change the recipe of every cell.
    """
    if pace is not None and not dry_run:
        raise UserError("--pace is for --dry-run", where="--pace", how="add --dry-run, or leave it out")
    loaded = openflan.Study(name, setting=setting, recipe=recipe, settings=set_ or (), data=data, runs=runs)
    if dry_run:
        _tell(loaded, pace, json_=json_)
        return
    with study_watcher(quiet=quiet or json_) as watch, named(engine="--engine"):
        outcome = loaded.run(engine=engine, watch=watch)
    if json_:
        sys.stdout.write(json.dumps({"study": str(loaded.folder), **outcome.model_dump(mode="json")}) + "\n")
    elif not quiet:
        _print(outcome, loaded.folder)
    failed = [cell for cell in outcome.cells if cell.status == "failed"]
    for cell in failed:
        sys.stderr.write(f"openflan: {cell.name}: {cell.message}\n")
    if failed:
        raise typer.Exit(_FAILED)


def _print(outcome: "openflan.StudyOutcome", folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    table = Table(title=outcome.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in ("cell", "untuned", "tuned", "gain", "95 % interval", "chance"):
        table.add_column(column, justify="left" if column == "cell" else "right")
    for point in outcome.means:
        low, high = point.gain_ci95
        scores = (f"{point.untuned:.3f}", f"{point.tuned:.3f}", f"{point.gain:+.3f}")
        table.add_row(point.cell, *scores, f"{low:+.3f} to {high:+.3f}", f"{point.chance:.3f}")
    console.print(table, markup=False)
    console.print()
    for finding in outcome.findings:
        place = "" if finding.figure == openflan.NO_FIGURE else f" ({finding.figure})"
        console.print(f"{finding.claim}{place}", highlight=False, markup=False)
        console.print(f"  {finding.sentence}", highlight=False, markup=False)
    console.print(outcome.sentence, style="bold", highlight=False, markup=False)
    for what, name in (("account", "study.json"), ("plot", "plot.svg"), ("report", "report.html")):
        console.print(f"{what:<8} {folder / name}", highlight=False, soft_wrap=True, markup=False)


def _tell(loaded: "openflan.Study", pace: float | None, *, json_: bool) -> None:
    """What would be run."""
    forecast = loaded.forecast(pace=pace)
    if json_:
        record = {"study": loaded.name, "setting": loaded.setting, **asdict(forecast)}
        sys.stdout.write(json.dumps({**record, "pace": pace or asdict(openflan.PACE)}) + "\n")
        return
    _print_forecast(loaded, forecast)
    out = sys.stdout
    cells = sum(cell.tuned for cell in forecast.cells)
    trainings = sum(cell.trainings for cell in forecast.cells)
    first = len(forecast.cells) - cells
    before = f" and {_many(first, 'model')} tuned before" if first else ""
    out.write(
        f"\n{_many(cells, 'cell')}{before}, {_many(trainings, 'tuning run')}, {forecast.tokens:,} tokens,"
        f" at most {forecast.prompts:,} prompts to answer\n"
    )
    if forecast.seconds is not None:
        basis = (
            f"at {pace:,.0f} tokens a second" if pace else f"({openflan.PACE.source}; other models by their parameters)"
        )
        out.write(f"about {rough_time(forecast.seconds)} {basis}\n")
    out.write("".join(f"warning: {text}\n" for text in forecast.concerns))


def _print_forecast(loaded: "openflan.Study", forecast: "openflan.Forecast") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{loaded.title} ({loaded.setting})", title_justify="left", box=None, pad_edge=False)
    for column in ("cell", "tasks", "tuning runs", "tokens", "prompts", "time", "taken from cells before"):
        table.add_column(column, justify="left" if column[0] == "c" or column.startswith("taken") else "right")
    for cell in forecast.cells:
        time = "?" if cell.seconds is None else rough_time(cell.seconds)
        counts = (str(cell.tuned_tasks), str(cell.trainings), f"{cell.tokens:,}", f"{cell.prompts:,}", time)
        table.add_row(cell.cell, *counts, _shared(cell.shared))
    console = Console(width=max(_WIDE, Console().width if sys.stdout.isatty() else 0), soft_wrap=True)
    console.print(table, highlight=False, markup=False)


def _shared(places: tuple[str, ...]) -> str:
    names = dict.fromkeys(place.split("/")[0] if place != "evaluation/untuned" else "untuned" for place in places)
    return ", ".join(names)


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
