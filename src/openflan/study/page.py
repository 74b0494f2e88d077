"""The page of a study: a claim of the paper, what the cells say of it, and every cell, failed ones by name.

It opens with the question and the findings; confirmed, not seen and reversed are set alike, for which it is follows
from an interval (`openflan.study.findings`), not from this page.

Invariant: a pure function of `study.json`. Rejected: the recipes of all cells in full; the base and what each value
sets say the same in a tenth of the room.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml

from openflan.report.html import render
from openflan.report.plot_data import Drawing, PlotData, write_plot_data
from openflan.report.reproduce import version_pins
from openflan.stage import user_file_errors, write_atomically
from openflan.study.figure import curves_of, study_drawing
from openflan.study.findings import finding_sentence
from openflan.study.outcome import Point, StudyOutcome, read_study

__all__ = ["render_study", "write_study_page"]

_TONES = {"confirmed": "gain", "reversed": "loss", "not seen": "none", "not tested": "none"}
"""Classes of the page by verdict."""


def write_study_page(folder: Path) -> StudyOutcome:
    """Make the page of a study's folder, `report.html` and its figures' CSV files, from its account.

    Raises:
        UserError: the account is damaged or of another version, or the disk is at fault.
    """
    outcome = read_study(folder)
    drawing = study_drawing(outcome)
    page = render_study(outcome, drawing)
    with user_file_errors(folder):
        write_plot_data(folder / "report", [_cluster_data(outcome), *([drawing.data] if drawing else [])])
        write_atomically(folder / "report.html", page)
    return outcome


def render_study(outcome: StudyOutcome, drawing: Drawing | None) -> str:
    """The page as HTML."""
    failed = [cell for cell in outcome.cells if cell.status == "failed"]
    whole = [cell for cell in outcome.cells if cell.status == "ok"]
    return render(
        "study.html.j2",
        study=outcome,
        headline=finding_sentence(outcome.findings[0]) if len(outcome.findings) == 1 else outcome.sentence,
        findings=[
            (finding, _TONES[finding.verdict], finding_sentence(finding, verdict=False)) for finding in outcome.findings
        ],
        failed=failed,
        leaking=[cell.name for cell in outcome.cells if cell.certificate.startswith("Leaking")],
        certified=bool(whole) and all(cell.certificate.startswith("Clean") for cell in whole),
        waiting=[cell.name for cell in outcome.cells if cell.status == "waiting"],
        drawing=drawing,
        curves=curves_of(outcome),
        scores_drawn=any(measure != "gain" for measure in outcome.plot.y),
        means={point.cell: point for point in outcome.means},
        clusters=_by_cluster(outcome),
        clusters_data=_cluster_data(outcome),
        base_text=yaml.safe_dump(dict(outcome.base), sort_keys=False, allow_unicode=True),
        pins=version_pins(outcome.versions),
    )


def _cluster_data(outcome: StudyOutcome) -> PlotData:
    """Every cell on every cluster."""
    columns = ("cell", "series", "x", "x_label", "cluster", "role", "untuned", "untuned_low", "untuned_high", "tuned")
    more = ("tuned_low", "tuned_high", "gain", "gain_low", "gain_high", "chance", "majority", "rows", "templates")
    rows = [
        (
            *(p.cell, p.series, p.x, p.x_label, p.cluster, p.role, p.untuned, *p.untuned_ci95, p.tuned, *p.tuned_ci95),
            *(p.gain, *p.gain_ci95, p.chance, p.majority, p.n_rows, p.n_templates),
        )
        for p in outcome.points
    ]
    return PlotData(name="cells-by-cluster", columns=(*columns, *more), rows=rows)


def _by_cluster(outcome: StudyOutcome) -> Mapping[str, list[Point]]:
    clusters: dict[str, list[Point]] = {}
    for point in sorted(outcome.points, key=lambda point: (point.role, point.cluster)):
        clusters.setdefault(point.cluster, []).append(point)
    return clusters
