"""The page of a study: a claim of the paper, what the cells say of it, and every cell, failed ones by name.

It opens with the question and the findings; confirmed, not seen and reversed are set alike, for which it is follows
from an interval (`openflan.study.findings`), not from this page.

Invariant: a pure function of `study.json`. Rejected: the recipes of all cells in full; the base and what each value
sets say the same in a tenth of the room.
"""

from collections.abc import Mapping

import yaml

from openflan.report.html import render
from openflan.report.numbers import listed, signed, span
from openflan.report.plot_data import Drawing, PlotData
from openflan.report.reproduce import version_pins
from openflan.report.study_plot import curves_of
from openflan.study.outcome import Finding, Point, StudyOutcome

__all__ = ["cluster_data", "finding_sentence", "render_study"]

_TONES = {"confirmed": "gain", "reversed": "loss", "not seen": "none", "not tested": "none"}
"""Classes of the page by verdict."""
_MEASURES = {"tuned": "tuned score", "untuned": "untuned score", "gain": "gain of tuning"}


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
        clusters_data=cluster_data(outcome),
        base_text=yaml.safe_dump(dict(outcome.base), sort_keys=False, allow_unicode=True),
        pins=version_pins(outcome.versions),
    )


def finding_sentence(finding: Finding, *, verdict: bool = True) -> str:
    """What the cells say of a claim, with numbers in points and the interval.

    Args:
        verdict: begin with it.
    """
    if finding.difference is None or finding.ci95 is None:
        told = finding.sentence if verdict else finding.sentence.removeprefix("Not tested: ")
        return told[:1].upper() + told[1:]
    against = "" if finding.against == "no change" else f" against {finding.against}"
    seeds = ""
    if len(finding.by_seed) > 1:
        seeds = f"; by seed {listed([signed(value) for value in finding.by_seed.values()])}"
    expected = "no difference" if finding.expect == "same" else f"it {finding.expect}"
    begin = f"{finding.verdict.capitalize()}: the" if verdict else "The"
    return (
        f"{begin} {_MEASURES[finding.measure]} with {finding.of}{against} differs by "
        f"{signed(finding.difference)} points (95 % interval {span(finding.ci95, sign=True)}{seeds}); "
        f"the paper has {expected}."
    )


def cluster_data(outcome: StudyOutcome) -> PlotData:
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
    found: dict[str, list[Point]] = {}
    for point in sorted(outcome.points, key=lambda point: (point.role, point.cluster)):
        found.setdefault(point.cluster, []).append(point)
    return found
