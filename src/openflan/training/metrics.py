"""Metrics of a tuning run: a line of JSON for each step, from the loop that writes it to whoever reads it.

Invariant: a log holds the lines of the steps that are done, each once; what an interrupted run logged after its last
checkpoint is cut off before it goes on. Rejected: a table, which can't be added to; a dictionary a line, whose keys
nobody lists.
"""

import json
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from pydantic import ValidationError

from openflan.errors import UserError
from openflan.records import Record

__all__ = ["Look", "MetricsLog", "StepReport", "read_metrics"]


class Look(NamedTuple):
    """How a model in training does on some tasks."""

    scores: dict[str, float]
    """By task."""
    measures: dict[str, float]
    """Of ranked tasks what accuracy is made of (evaluation/measures.py), by `<measure>/<task>`."""


class StepReport(Record):
    """One line of `metrics.jsonl`."""

    step: int
    loss: float
    """Mean over the step's target tokens, in nats."""
    learning_rate: float
    grad_norm: float
    tokens: int
    """Tokens of the step, input and target."""
    target_tokens: int
    examples: int
    fill: float
    """Share of `tokens_per_batch` that the step's examples use."""
    seconds: float
    waited: float
    """Of these, seconds spent fetching examples."""
    mfu: float = 0.0
    """Share of the device's peak that the step's arithmetic needed (training/peak.py); 0 where no peak is known."""
    task_loss: dict[str, float]
    """Mean loss a target token, by task."""
    evaluation: dict[str, float] = {}
    """Score by task, where this step was followed by a look at some."""
    measures: dict[str, float] = {}
    """Of the same look, what the accuracy of ranked tasks is made of: `form/rte`, `auc/rte`, `first/rte` …"""

    def numbers(self) -> dict[str, float]:
        """All numbers by name; those of a task as `task_loss/rte`."""
        fields = self.model_dump()
        plain = {name: value for name, value in fields.items() if isinstance(value, int | float)}
        groups = {name: value for name, value in fields.items() if isinstance(value, dict)}
        return plain | {f"{group}/{task}": value for group, tasks in groups.items() for task, value in tasks.items()}


class MetricsLog:
    """The log of a run that is at work; use it as a context.

    Args:
        keep: so many of its lines are right; later ones are cut off.
        writes: whether this process writes it.
    """

    def __init__(self, path: Path, *, keep: int, writes: bool) -> None:
        if writes and path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)[:keep]
            path.write_text("".join(lines), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8", buffering=1) if writes else None  # whole lines, for who looks on

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, line: StepReport) -> None:
        """Add a step's line; nothing where this process does not write."""
        if self._file is not None:
            empty = {name for name in ("mfu", "evaluation", "measures") if not getattr(line, name)}
            fields = line.model_dump(exclude=empty)
            fields["task_loss"] = {name: round(value, 4) for name, value in line.task_loss.items()}
            self._file.write(json.dumps(fields) + "\n")

    def flush(self) -> None:
        """So that no line of a checkpointed step is lost."""
        if self._file is not None:
            self._file.flush()


def read_metrics(path: Path, *, growing: bool = False) -> list[StepReport]:
    """The steps of a tuning run.

    Args:
        growing: whether it is still written, so that its last line may be half there.

    Raises:
        UserError: there is no log, or a line of it is damaged.
    """
    how = "tune again: remove the training's folder and run the recipe"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UserError("no log of training", where=str(path), how=how) from None
    lines = text[: text.rfind("\n") + 1 if growing else None].splitlines()
    return [_parsed(line, f"{path}, line {number}", how) for number, line in enumerate(lines, 1)]


def _parsed(line: str, where: str, how: str) -> StepReport:
    try:
        return StepReport.model_validate_json(line)
    except ValidationError:
        raise UserError("not a step's", where=where, how=how) from None
