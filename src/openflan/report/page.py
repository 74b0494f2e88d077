"""The page of one run: a single HTML file to send to a colleague.

No script, nothing fetched (a content policy in the page forbids both), light and dark, phone and paper. It opens with
the verdict, and a cluster without a gain keeps its place and says so. The numbers behind each figure are in it too.

Invariant: the same material gives the same bytes; all text from data is escaped.
Cost: 2 s and some 600 kB for 25 tasks, most of it figures.
Rejected: a notebook or a dashboard, which need a program to be read (docs/design/0006-report.md).
"""

from dataclasses import dataclass
from functools import cached_property

from openflan.evaluation.answered import Answered
from openflan.evaluation.scores import Score
from openflan.mixture.certificate import LeakCertificate
from openflan.mixture.ledger import Ledger
from openflan.report.examples import choose_examples
from openflan.report.headline import own_headline, run_headline
from openflan.report.html import render
from openflan.report.measures import measure_data, measure_heads, task_measures, verdict_measures
from openflan.report.plot_data import Drawing, PlotData
from openflan.report.plots import score_drawing
from openflan.report.reliability import ReliabilityGroup, reliability_drawing, reliability_groups
from openflan.report.reproduce import reproduction_of
from openflan.report.sections import (
    certificate_lines,
    cost_lines,
    cost_sum,
    doubts,
    loss_lines,
    mean_mfu,
    mixture_clusters,
    seen_beside,
    stale_lines,
    task_lines,
    tasks_by_origin,
    template_data,
)
from openflan.report.training_plots import loss_drawing, task_curves, task_loss_drawing
from openflan.runs.results import Results
from openflan.runs.stages import UNTUNED, tuned_name
from openflan.training.metrics import StepReport

__all__ = ["ReportMaterial", "RunFigures", "render_page"]

HELD_OUT = "Held out: never tuned on"
OWN = "Your own tasks, on test rows of their own"
_MOST_DRAWN = 40
"""Own tasks in a figure."""


@dataclass(frozen=True, kw_only=True)
class ReportMaterial:
    """All that a run's page is made of."""

    results: Results
    ledger: Ledger
    metrics: dict[int, list[StepReport]]
    """Steps of tuning by seed."""
    examples: dict[str, list[Answered]]
    """Answers by model (`untuned`, `seed-0`, …) to test rows under the tasks' templates; the page shows the untuned
    one beside the first tuned one."""
    leakage: LeakCertificate | None = None
    """The leak certificate."""

    @property
    def seen(self) -> str:
        """What the measured rows of tuned clusters are: fresh, where the certificate says so of all of them."""
        return f"Seen: {'fresh' if self.leakage and self.leakage.fresh else 'test'} rows of tuned clusters"

    @property
    def score(self) -> Score:
        """The normalisation that decided ranked answers."""
        score: Score = self.results.recipe["evaluation"]["score"]
        return score


class RunFigures:
    """The figures of a run's page, each drawn once."""

    def __init__(self, material: ReportMaterial) -> None:
        self._material = material

    @cached_property
    def own(self) -> Drawing | None:
        """Scores on the user's own tasks; None where there are none, or more than one can look at."""
        own = self._material.results.verdict.own
        return score_drawing({OWN: own}, name="own", of="task") if 0 < len(own) <= _MOST_DRAWN else None

    @cached_property
    def clusters(self) -> Drawing | None:
        """Scores by cluster; None where none was measured."""
        verdict = self._material.results.verdict
        groups = {HELD_OUT: verdict.held_out, self._material.seen: seen_beside(verdict)}
        return score_drawing(groups) if any(groups.values()) else None

    @cached_property
    def templates(self) -> PlotData:
        """The numbers behind the strips of the task table."""
        return template_data(self._material.results)

    @cached_property
    def measures(self) -> PlotData:
        """The numbers behind form and judgement."""
        return measure_data(self._material.results)

    @cached_property
    def loss(self) -> Drawing | None:
        """The loss by seed; None without a log."""
        logs = {seed: log for seed, log in self._material.metrics.items() if log}
        return loss_drawing(logs) if logs else None

    @cached_property
    def task_loss(self) -> Drawing | None:
        """The loss by task; None where the log does not tell it."""
        clusters = {name: task.cluster for name, task in self._material.ledger.tasks.items()}
        curves = task_curves(self._material.metrics, clusters)
        return task_loss_drawing(curves) if curves else None

    @cached_property
    def reliability_groups(self) -> list[ReliabilityGroup]:
        """Calibration on held-out and on seen clusters."""
        answers = {UNTUNED: self._material.examples.get(UNTUNED, [])}
        answers["tuned"] = [
            answer for name, run_answers in self._material.examples.items() if name != UNTUNED for answer in run_answers
        ]
        verdict = self._material.results.verdict
        clusters = {
            HELD_OUT: [v.cluster for v in verdict.held_out],
            self._material.seen: [v.cluster for v in verdict.seen],
        }
        return reliability_groups(answers, clusters, self._material.score)

    @cached_property
    def reliability(self) -> Drawing | None:
        """Probability against accuracy; None where nothing was ranked."""
        return reliability_drawing(self.reliability_groups) if self.reliability_groups else None

    @property
    def data(self) -> list[PlotData]:
        """The numbers behind every figure."""
        drawn = (self.own, self.clusters, self.loss, self.task_loss, self.reliability)
        return [self.templates, self.measures, *(drawing.data for drawing in drawn if drawing is not None)]


def render_page(material: ReportMaterial, figures: RunFigures | None = None) -> str:
    """The page as HTML."""
    results = material.results
    verdict = results.verdict
    lines = task_lines(results)
    tuned = next((name for name in map(tuned_name, results.seeds) if name in material.examples), None)
    held_out = [entry.cluster for entry in verdict.held_out]
    examples = material.examples
    costs = cost_lines(results)
    by_role = [
        ("own", OWN, verdict_measures(verdict.own), ""),
        ("held-out", HELD_OUT, verdict_measures(verdict.held_out), "held_out"),
        ("seen", material.seen, verdict_measures(seen_beside(verdict)), "seen"),
    ]
    return render(
        "run.html.j2",
        results=results,
        recipe=results.recipe,
        verdict=verdict,
        headline=run_headline(verdict.held_out, material.leakage),
        own_headline=own_headline(verdict.own),
        own_title=OWN,
        own_stale={task: len(rows) for task, rows in material.leakage.stale.items()} if material.leakage else {},
        seeds_named="one seed" if len(results.seeds) == 1 else f"mean over {len(results.seeds)} seeds",
        figures=figures or RunFigures(material),
        tables=[("held-out", HELD_OUT, verdict.held_out), ("seen", material.seen, seen_beside(verdict))],
        tasks=[
            ("held-out", HELD_OUT, [line for line in lines if line.result.role == "held_out"]),
            ("seen", material.seen, [line for line in lines if line.result.role == "seen"]),
        ],
        measures=[
            (id_, title, measured, task_measures([t for t in results.tasks if t.role == role]), measure_heads(measured))
            for id_, title, measured, role in by_role
            if measured
        ],
        doubts=doubts(results),
        losses=loss_lines(material.metrics),
        costs=costs,
        total=cost_sum(costs),
        mfu=mean_mfu(material.metrics),
        mixture=mixture_clusters(material.ledger),
        origins=tasks_by_origin(material.ledger),
        missing=material.ledger.missing,
        leakage=material.leakage,
        certificate=certificate_lines(material.leakage, results) if material.leakage else [],
        stale=stale_lines(material.leakage, results) if material.leakage else [],
        held_out_tasks=[line.result for line in lines if line.result.role == "held_out"],
        tuned_model=tuned,
        examples=choose_examples(examples[UNTUNED], examples[tuned], score=material.score, first=held_out)
        if tuned and UNTUNED in examples
        else [],
        held_out=held_out,
        reproduction=reproduction_of(results),
    )
