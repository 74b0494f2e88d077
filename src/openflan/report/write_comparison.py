"""Compare two sides and write the page: `comparison.json`, `report.html` and its figures' CSV files in one folder.

The folder is named after the two and a hash of what they are compared by, so the same comparison has the same place.
Invariant: reads stored answers only. Cost: 5 s for two runs of 25 tasks.
"""

import re
import shlex
from pathlib import Path

from openflan.evaluation.comparison import Comparison, compare_models
from openflan.evaluation.scores import Score, as_score
from openflan.machine import version_facts
from openflan.report.comparison_page import ComparisonFigures, ComparisonMaterial, render_comparison
from openflan.report.plot_data import write_plot_data
from openflan.runs.compare import Answers, place_of
from openflan.runs.sides import read_side
from openflan.stage import fingerprint_of, user_file_errors, write_atomically

__all__ = ["write_comparison"]


def write_comparison(
    a: str | Path | Answers,
    b: str | Path | Answers,
    *,
    out: str | Path = "runs",
    score: Score = "sum",
    samples: int = 2_000,
) -> tuple[Path, Comparison]:
    """Compare side B with side A as `compare` does, and write a page about it.

    Args:
        a: as for `compare`.
        b: as for `compare`.
        out: folder that holds the comparison's folder.
        score: as for `compare`.
        samples: bootstrap resamples, at least 100.

    Returns:
        The comparison's folder, and the comparison.

    Raises:
        UserError: a side is no folder of answers, the two have nothing in common, or the disk is at fault.
    """
    score, a, b = as_score(score), place_of(a), place_of(b)
    sides = (read_side(a, score), read_side(b, score))
    comparison = compare_models(sides[0].matrices, sides[1].matrices, names=(str(a), str(b)), samples=samples)
    command = f"openflan report --compare {shlex.quote(str(a))} {shlex.quote(str(b))}"
    command += "" if score == "sum" else f" --score {score}"
    command += "" if samples == 2_000 else f" --samples {samples}"
    material = ComparisonMaterial(
        comparison=comparison,
        a=sides[0],
        b=sides[1],
        score=score,
        samples=samples,
        command=command,
        versions=version_facts(),
    )
    names = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", side.name) for side in sides)
    folder = Path(out) / f"compare-{names}-{fingerprint_of([str(a.resolve()), str(b.resolve()), score, samples])[:8]}"
    figures = ComparisonFigures(material)
    page = render_comparison(material, figures)
    with user_file_errors(folder):
        write_plot_data(folder / "report", figures.data)
        write_atomically(folder / "comparison.json", comparison.model_dump_json(indent=1))
        write_atomically(folder / "report.html", page)
    return folder, comparison
