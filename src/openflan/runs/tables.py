"""What a run gained and how its loss fell, as data frames.

Invariant: a line a cluster or task, or a seed and step; nothing is computed that `results.json` and the log do not say.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from openflan.runs.results import ClusterVerdict, TaskVerdict, Verdict
from openflan.training.metrics import StepReport

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["gains_table", "losses_table"]


def gains_table(verdict: Verdict, by: Literal["cluster", "task"]) -> "pd.DataFrame":
    """A line a cluster, or a task of the user's own: untuned and tuned score (0 to 1), gain, 95 % interval, chance."""
    import pandas as pd

    verdicts: Sequence[tuple[str, ClusterVerdict | TaskVerdict]] = (
        [(one.role, one) for one in verdict.own]
        if by == "task"
        else [*(("held_out", one) for one in verdict.held_out), *(("seen", one) for one in verdict.seen)]
    )
    records = [
        {
            by: getattr(one, by),
            "role": role.replace("_", " "),
            "untuned": one.base,
            "tuned": one.tuned,
            "gain": one.gain,
            "low": one.gain_ci95[0],
            "high": one.gain_ci95[1],
            "chance": one.chance,
            "rows": one.n_rows,
        }
        for role, one in verdicts
    ]
    columns = [by, "role", "untuned", "tuned", "gain", "low", "high", "chance", "rows"]
    return pd.DataFrame(records, columns=columns).set_index(by)


def losses_table(metrics: Mapping[int, Sequence[StepReport]]) -> "pd.DataFrame":
    """A line a seed and step (from 1), with the loss in nats a target token.

    Args:
        metrics: steps that are done, by seed.
    """
    import pandas as pd

    return pd.DataFrame([{"seed": seed, **line.model_dump()} for seed, lines in metrics.items() for line in lines])
