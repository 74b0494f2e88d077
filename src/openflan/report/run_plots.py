"""The figures of a run's page, one at a time, for whoever shows them elsewhere: a notebook, the studio.

    plots = RunPlots("runs/starter-1a2b3c4d")
    plots.loss().wide          # SVG to put into HTML; `.data.text` are its numbers as CSV

Invariant: the very figures of `report.html`, drawn from what the run has by now, so that losses can be seen while it is
tuned. Cost: 10 to 150 ms a figure, and reading what it draws. Rejected: the page itself, which takes seconds to make
and is there only at the end.
"""

from pathlib import Path

from openflan.evaluation.answered import of_test
from openflan.report.page import ReportMaterial, RunFigures
from openflan.report.plot_data import Drawing
from openflan.report.training_plots import loss_drawing, task_curves, task_loss_drawing
from openflan.runs.compare import Answers, place_of
from openflan.runs.stored import StoredRun
from openflan.stage import read_manifest
from openflan.training.metrics import StepReport

__all__ = ["RunPlots"]


class RunPlots:
    """The figures of a run.

    Args:
        run: a run or its folder.

    Raises:
        UserError: it is no run's folder, or of another version.
    """

    def __init__(self, run: str | Path | Answers) -> None:
        self._run = StoredRun.open(place_of(run))

    def scores(self) -> Drawing | None:
        """Untuned and tuned scores of each measured cluster with intervals; None where none was measured.

        Raises:
            UserError: the run is not finished.
        """
        return self._figures().clusters

    def own(self) -> Drawing | None:
        """The same of each task of the user's own; None where there are none.

        Raises:
            UserError: the run is not finished.
        """
        return self._figures().own

    def loss(self) -> Drawing | None:
        """The loss in nats a target token by seed, as far as it is tuned; None before the first step."""
        logs = self._logs()
        return loss_drawing(logs) if logs else None

    def task_loss(self) -> Drawing | None:
        """The loss by task, mean over seeds, as far as it is tuned; None before the first step."""
        if read_manifest(self._run.places.mixture) is None:
            return None
        clusters = {name: task.cluster for name, task in self._run.ledger.tasks.items()}
        curves = task_curves(self._logs(), clusters)
        return task_loss_drawing(curves) if curves else None

    def reliability(self) -> Drawing | None:
        """Probability of the chosen option against how often it is right; None where nothing was ranked.

        Raises:
            UserError: the run is not finished, or a file of answers is damaged.
        """
        return self._figures(answers=True).reliability

    def _logs(self) -> dict[int, list[StepReport]]:
        logs = {seed: self._run.metrics_so_far(seed) for seed in self._run.recipe.seeds}
        return {seed: log for seed, log in logs.items() if log}

    def _figures(self, *, answers: bool = False) -> RunFigures:
        """Those of the page, of what is drawn after measuring."""
        results, run = self._run.results, self._run
        examples = {name: of_test(run.answers(name)) for name in run.places.asked} if answers else {}
        material = ReportMaterial(
            results=results, ledger=run.ledger, metrics={}, examples=examples, leakage=run.certificate
        )
        return RunFigures(material)
