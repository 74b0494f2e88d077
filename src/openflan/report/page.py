"""The page of one run: a single HTML file to send to a colleague.

No script, nothing fetched (a content policy in the page forbids both), light and dark, phone and paper. It opens with
the verdict, and a cluster without a gain keeps its place and says so.

Invariant: the same material gives the same bytes; all text from data is escaped.
Cost: 1 to 2 s and some 500 kB for 25 tasks, most of it figures.
Rejected: a notebook or a dashboard, which need a program to be read (docs/design/0006-report.md).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from openflan.evaluation.answered import Answered
from openflan.evaluation.results import Results
from openflan.plan import UNTUNED
from openflan.report import numbers
from openflan.report.examples import choose_examples
from openflan.report.plots import cluster_plot, loss_plot
from openflan.report.sections import doubts, loss_lines, mixture_clusters, task_lines

__all__ = ["ReportMaterial", "render_page"]

HELD_OUT, SEEN = "Held out: never tuned on", "Seen: fresh rows of tuned clusters"


@dataclass(frozen=True, kw_only=True)
class ReportMaterial:
    """All that a run's page is made of."""

    results: Results
    ledger: dict[str, Any]
    """`ledger.json` of the token store."""
    losses: dict[int, list[dict[str, Any]]]
    """Lines of `metrics.jsonl` by seed."""
    examples: dict[str, list[Answered]]
    """Answers by model (`untuned`, `seed-0`, …); the page shows the untuned one beside the first tuned one."""


def render_page(material: ReportMaterial) -> str:
    """The page as HTML."""
    results = material.results
    verdict = results.verdict
    lines = task_lines(results)
    groups = {HELD_OUT: verdict.held_out, SEEN: verdict.seen}
    losses = {seed: [float(line["loss"]) for line in log] for seed, log in material.losses.items() if log}
    tuned = next((f"seed-{seed}" for seed in results.seeds if f"seed-{seed}" in material.examples), None)
    held_out = [entry.cluster for entry in verdict.held_out]
    mixture = mixture_clusters(material.ledger)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            results=results,
            verdict=verdict,
            tables=[("held-out", HELD_OUT, verdict.held_out), ("seen", SEEN, verdict.seen)],
            cluster_plots=_both(cluster_plot, groups) if verdict.held_out or verdict.seen else [],
            tasks=[
                ("held-out", HELD_OUT, [line for line in lines if line.result.role == "held_out"]),
                ("seen", SEEN, [line for line in lines if line.result.role == "seen"]),
            ],
            doubts=doubts(results),
            loss_plots=_both(loss_plot, losses) if losses else [],
            losses=loss_lines(material.losses),
            mixture=mixture,
            held_out_tasks=[line.result for line in lines if line.result.role == "held_out"],
            tuned_model=tuned,
            examples=choose_examples(material.examples[UNTUNED], material.examples[tuned], first=held_out)
            if tuned and UNTUNED in material.examples
            else [],
            held_out=held_out,
            recipe_text=yaml.safe_dump(results.recipe, sort_keys=False, allow_unicode=True),
        )
    )


def _both(draw: Any, what: Any) -> list[tuple[str, Any]]:
    """A figure for wide and for narrow readers."""
    return [("wide", draw(what, narrow=False)), ("narrow", draw(what, narrow=True))]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("openflan", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {name: getattr(numbers, name) for name in numbers.FILTERS}
    environment.globals["dash"] = numbers.NONE
    return environment
