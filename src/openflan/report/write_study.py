"""Write a study's page beside its account: `report.html` and its figures' CSV files.

Invariant: reads `study.json` only.
"""

from pathlib import Path

from pydantic import ValidationError

from openflan.errors import UserError
from openflan.report.plot_data import write_plot_data
from openflan.report.study_page import cluster_data, render_study
from openflan.report.study_plot import study_drawing
from openflan.stage import user_file_errors, write_atomically
from openflan.study.outcome import STUDY_SCHEMA, StudyOutcome

__all__ = ["write_study_page"]


def write_study_page(folder: Path) -> StudyOutcome:
    """Make the page of a study's folder.

    Raises:
        UserError: the account is damaged or of another version, or the disk is at fault.
    """
    path = folder / "study.json"
    try:
        outcome = StudyOutcome.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, FileNotFoundError):
        outcome = None
    if outcome is None or outcome.schema_version != STUDY_SCHEMA:
        how = "run the study again: `openflan study NAME` keeps what is whole"
        raise UserError(f"no account of a study of schema version {STUDY_SCHEMA}", where=str(path), how=how)
    drawing = study_drawing(outcome)
    page = render_study(outcome, drawing)
    with user_file_errors(folder):
        write_plot_data(folder / "report", [cluster_data(outcome), *([drawing.data] if drawing else [])])
        write_atomically(folder / "report.html", page)
    return outcome
