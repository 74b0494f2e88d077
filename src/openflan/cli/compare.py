"""`openflan compare` and `openflan rescore`: statistics from stored answers, without a model."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.evaluate import print_tasks
from openflan.cli.options import JsonOption, named

__all__ = ["SamplesOption", "ScoreOption", "compare", "print_comparison", "rescore"]

_FOLDER = "A run folder, a model's folder in it (RUN/evaluation/untuned), or a folder of `openflan eval`."
SamplesOption = Annotated[int, typer.Option("--samples", min=100, help="Bootstrap resamples.")]
ScoreOption = Annotated[str, typer.Option("--score", help="sum, mean_token, per_character, per_byte or pmi.")]

EndsOption = Annotated[
    str,
    typer.Option("--ends", help="Whether the end counts where one option begins another: as_tuned, always or never."),
]


def compare(
    a: Annotated[Path, typer.Argument(metavar="RUN_A", help=_FOLDER)],
    b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another one, compared with the first.")],
    score: ScoreOption = "sum",
    samples: SamplesOption = 2_000,
    json_: JsonOption = False,
) -> None:
    """Test on the same rows whether two models differ, task by task."""
    with named(score="--score"):
        comparison = openflan.compare(a, b, score=openflan.as_score(score), samples=samples)
    if json_:
        sys.stdout.write(comparison.model_dump_json() + "\n")
    else:
        print_comparison(comparison)


def rescore(
    folder: Annotated[Path, typer.Argument(help=_FOLDER)],
    score: ScoreOption = "sum",
    ends: EndsOption = "as_tuned",
    json_: JsonOption = False,
) -> None:
    """Decide stored answers by another normalisation; no model is loaded."""
    with named(score="--score", ends="--ends"):
        results = openflan.rescore(folder, openflan.as_score(score), ends=openflan.as_ends(ends))
    if json_:
        records = [result.model_dump(mode="json") for result in results]
        sys.stdout.write(json.dumps({"folder": str(folder), "score": score, "tasks": records}) + "\n")
    else:
        print_tasks(results)


def print_comparison(comparison: "openflan.Comparison") -> None:
    """Print each task's difference and what the tests show."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(f"A  {comparison.a}", highlight=False, soft_wrap=True)
    console.print(f"B  {comparison.b}", highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in ("task", "metric", "A", "B", "B - A", "95 % interval", "p (Holm)", "test", "detectable", "rows"):
        table.add_column(name, justify="left" if name in ("task", "metric", "test") else "right")
    for task in comparison.tasks:
        low, high = task.difference_ci95
        seeds = [task.a_seeds, task.b_seeds]
        a, b = (
            f"{mean:.3f}" if spread is None else f"{mean:.3f} ± {spread.std:.3f}"
            for mean, spread in zip((task.a, task.b), seeds, strict=True)
        )
        table.add_row(
            task.task,
            task.metric,
            a,
            b,
            f"{task.difference:+.3f}",
            f"{low:+.3f} to {high:+.3f}",
            f"{task.p_holm:.3g}",
            task.test,
            f"{task.detectable:.3f}",
            str(task.n_rows),
        )
    console.print(table)
    low, high = comparison.difference_ci95
    console.print(f"mean over tasks {comparison.difference:+.3f} ({low:+.3f} to {high:+.3f})", highlight=False)
    if comparison.tasks_left_out:
        console.print(f"left out, only one has them: {', '.join(comparison.tasks_left_out)}", highlight=False)
    if rows := sum(task.rows_left_out for task in comparison.tasks):
        console.print(f"{rows} rows left out, only one has them", highlight=False)
    console.print(comparison.sentence, style="bold", highlight=False)
