"""What was measured, as data frames.

Invariant: a line an answer, or a line a task and model; nothing is dropped and nothing is computed that
`results.json` does not say.
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from openflan.evaluation.answer_files import read_matrix
from openflan.evaluation.answered import Answered
from openflan.evaluation.scores import Score
from openflan.evaluation.task_results import TaskResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["answers_table", "results_table"]


def answers_table(folder: Path, *, score: Score | None = None) -> "pd.DataFrame":
    """Every answer of a model to a row, a column a field of the stored answers.

    Args:
        folder: one model's answers.
        score: decide ranked answers by this normalisation, whatever they were decided by.

    Raises:
        UserError: there are no answers, or a file is damaged.
    """
    import pandas as pd

    answers = [answer for answer in read_matrix(folder, score=score) if answer.split != "content_free"]
    return pd.DataFrame({f.name: [getattr(one, f.name) for one in answers] for f in fields(Answered)})


def results_table(tasks: Sequence[TaskResult]) -> "pd.DataFrame":
    """A line a task and model: score (0 to 1), its 95 % interval, spread over templates, chance, majority, measures."""
    import pandas as pd

    records = [
        {
            "task": task.task,
            "model": name,
            "cluster": task.cluster,
            "role": task.role,
            "metric": task.metric,
            "score": spread.mean,
            "low": spread.ci95[0],
            "high": spread.ci95[1],
            "std": spread.std,
            "chance": task.chance,
            "majority": task.majority,
            "rows": task.n_rows,
            "templates": len(spread.by_template),
            **{name: measure.mean for name, measure in spread.measures.items()},
        }
        for task in tasks
        for name, spread in task.models.items()
    ]
    return pd.DataFrame(records).set_index(["task", "model"])
