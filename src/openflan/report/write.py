"""Write a run's `results.json`, `report.html` and its figures' CSV files from what the stages left behind.

Invariant: reads stored answers, ledger and logs only; no model is loaded, so a report can be made again at any time.
"""

from openflan.evaluation.answered import of_test
from openflan.report.page import ReportMaterial, RunFigures, render_page
from openflan.report.plot_data import write_plot_data
from openflan.runs.accounting import account_for
from openflan.runs.results import Results
from openflan.runs.stored import StoredRun
from openflan.stage import write_atomically

__all__ = ["write_report"]


def write_report(run: StoredRun) -> Results:
    """Compute the results of a run and write them and the page.

    Args:
        run: with mixture, training and evaluation whole.

    Raises:
        UserError: a stored file is missing or damaged.
    """
    account = account_for(run)
    material = ReportMaterial(
        results=account.results,
        ledger=account.ledger,
        metrics=account.metrics,
        examples={name: of_test(answers) for name, answers in account.answers.items()},
        leakage=account.certificate,
    )
    figures = RunFigures(material)
    page = render_page(material, figures)
    account.results.write(run.folder)
    write_plot_data(run.places.figures, figures.data)
    write_atomically(run.places.page, page)
    return account.results
