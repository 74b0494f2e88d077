"""`openflan report`: results and page again, of a run, a study or two models side by side, from what is stored."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.compare import SamplesOption, ScoreOption, print_comparison
from openflan.cli.options import JsonOption, named
from openflan.cli.run import print_verdict
from openflan.errors import UserError

__all__ = ["report"]

_SCORE, _SAMPLES, _OUT = "sum", 2_000, Path("runs")


def report(
    folder: Annotated[Path | None, typer.Argument(help="A run folder, or a study's.", show_default=False)] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--compare",
            metavar="A B",
            help="Two run folders, models in them (RUN/evaluation/untuned) or folders of `openflan eval`.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder that holds a comparison's folder.")] = _OUT,
    score: ScoreOption = _SCORE,
    samples: SamplesOption = _SAMPLES,
    json_: JsonOption = False,
) -> None:
    """Write results and report.html again, from stored answers; no model is loaded."""
    if (folder is None) == (compare is None):
        raise UserError("name a run or study folder, or two to compare", how="e.g. openflan report --compare A B")
    if compare is not None:
        _comparison(compare, out, score, samples, json_=json_)
        return
    assert folder is not None
    if (out, score, samples) != (_OUT, _SCORE, _SAMPLES):
        how = "a run's page goes beside its answers, by the settings of its recipe"
        raise UserError("--out, --score and --samples belong to --compare", how=how)
    if (folder / "study.json").is_file():
        _study(folder, json_=json_)
    elif (folder / "recipe.yaml").is_file():
        _run(folder, json_=json_)
    else:
        how = "give a folder under runs/"
        raise UserError("not a run or study folder (no recipe.yaml, no study.json)", where=str(folder), how=how)


def _run(folder: Path, *, json_: bool) -> None:
    results = openflan.Run.open(folder).report().model_dump(mode="json")
    if json_:
        sys.stdout.write(json.dumps(results) + "\n")
    else:
        print_verdict(results, folder)


def _study(folder: Path, *, json_: bool) -> None:
    outcome = openflan.write_study_page(folder)
    if json_:
        sys.stdout.write(outcome.model_dump_json() + "\n")
    else:
        sys.stdout.write(f"{outcome.sentence}\nreport   {folder / 'report.html'}\n")


def _comparison(sides: tuple[Path, Path], out: Path, score: str, samples: int, *, json_: bool) -> None:
    with named(score="--score"):
        folder, comparison = openflan.write_comparison(*sides, out=out, score=openflan.as_score(score), samples=samples)
    if json_:
        sys.stdout.write(json.dumps({"folder": str(folder), **comparison.model_dump(mode="json")}) + "\n")
    else:
        print_comparison(comparison)
        sys.stdout.write(f"report   {folder / 'report.html'}\n")
