"""Trackers: metrics to TensorBoard, Weights & Biases or MLflow beside `metrics.jsonl`, by Accelerate.

Invariant: what a tracker is told stands in `metrics.jsonl` too. Rejected: a tracker interface of our own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.recipes.parts import TrainingPart

__all__ = ["check_trackers", "open_trackers"]

_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}


def check_trackers(part: TrainingPart) -> None:
    """See to it that the trackers' packages are installed.

    Raises:
        UserError: one is not.
    """
    for name in part.trackers:
        if find_spec(_PACKAGES[name]) is None:
            raise UserError(f"{name} is not installed", where="training.trackers", how=f"pip install {_PACKAGES[name]}")


@contextmanager
def open_trackers(accelerator: Any, part: TrainingPart, folder: Path) -> Iterator[None]:
    """Trackers open as long as training goes on."""
    if not part.trackers:
        yield
        return
    plain = {name: value for name, value in part.model_dump().items() if isinstance(value, int | float | str)}
    accelerator.init_trackers(f"openflan-{folder.name}", config=plain)
    try:
        yield
    finally:
        accelerator.end_training()
