"""The time left of a study, from what its cells weigh."""

import pytest

from openflan.runs.pipeline import Event
from openflan.runs.stages import Stage, StageKind
from openflan.study.progress import CellEvent, GridProgress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def working(cell, stage, done, total):
    kind, _, model = stage.partition(" ")
    event = Event(stage=Stage(kind=StageKind(kind), model=model, key=stage), kind="progress", done=done, total=total)
    return CellEvent(cell=cell, kind="working", event=event)


def test_time_left_follows_from_what_was_worked_not_from_what_was_there():
    clock = Clock()
    progress = GridProgress({"a": 0.5, "b": 0.25, "c": 0.25}, 1, clock=clock)
    assert progress.left is None
    progress.tell(CellEvent(cell="a", kind="kept"))
    assert (progress.done, progress.left) == (0.5, None)
    progress.tell(CellEvent(cell="b", kind="started"))
    clock.now = 60.0
    progress.tell(CellEvent(cell="b", kind="done"))
    assert progress.left == pytest.approx(60.0)
    progress.tell(CellEvent(cell="c", kind="failed", message="no"))
    assert (progress.done, progress.left, progress.through, progress.failed) == (1.0, 0.0, 3, 1)


def test_a_cell_at_work_counts_by_its_stages():
    progress = GridProgress({"a": 1.0}, 2, clock=Clock())
    progress.tell(CellEvent(cell="a", kind="started"))
    shares = []
    for stage, done in (
        ("training seed-0", 5),
        ("training seed-0", 10),
        ("training seed-1", 10),
        ("evaluation untuned", 5),
    ):
        progress.tell(working("a", stage, done, 10))
        shares.append(progress.done)
    assert shares == pytest.approx([0.175, 0.35, 0.7, 0.75])
    assert shares == sorted(shares)
