"""A run that several tests look at, and what its folder showed while it worked."""

from collections.abc import Sequence

import pytest
from test_pipeline import write_recipe

import openflan

Looks = Sequence[tuple[openflan.Event, openflan.RunStatus, int]]


@pytest.fixture(scope="session")
def looked_at(tmp_path_factory, my_tasks, tiny_llama) -> tuple[openflan.Run, Looks]:
    """A measured run, and at each of its events how it was listed and how many losses it had."""
    folder = tmp_path_factory.mktemp("looked_at")
    less = {"seeds": [0], "training.steps": 6, "evaluation.max_new_tokens": 2, "evaluation.rows": 8}
    run = openflan.Run(write_recipe(folder, my_tasks, tiny_llama), settings=less, runs=folder / "runs")
    seen = []

    def look(event):
        (status,) = openflan.list_runs(folder / "runs")
        losses = len(run.losses()) if event.kind == "progress" and event.unit == "steps" else 0
        seen.append((event, status, losses))

    run.measure(watch=look)
    return run, seen
