"""The time left of a run that was recorded (recorded_run.py): told right from the first tenth on."""

import json
from pathlib import Path

import pytest
from recorded_run import RECORD

from openflan.recipes.ready import ready_file
from openflan.recipes.recipe import load_recipe
from openflan.runs.stages import Stage, StageKind, stages_of
from openflan.runs.time_left import Prompts, TimeLeft, TokenCosts

A_FIFTH = 0.2


@pytest.fixture(scope="module")
def record():
    if not RECORD.is_file():
        pytest.skip(f"no {RECORD.name}: make it on two idle cores by `python tests/runs/recorded_run.py`")
    return json.loads(RECORD.read_text(encoding="utf-8"))


def told(record):
    """At each call of the record: when it was, the seconds told, and the seconds that were really left."""
    recipe = load_recipe(
        ready_file("recipe", Path("starter")), [f"{key}={value}" for key, value in record["settings"].items()]
    )
    times = record["began"]
    clock = TimeLeft(
        stages_of(recipe.seeds),
        recipe,
        TokenCosts(**record["costs"]),
        Prompts(**record["prompts"]),
        cores=record["cores"],
        now=lambda: tuple(times),
    )
    for *times, what, kind, model, share, spent in record["calls"]:
        stage = Stage(kind=StageKind(kind), model=model)
        if what == "progress":
            clock.progress(stage, share, spent=spent)
        else:
            getattr(clock, what)(stage)
        yield times[0] - record["started"], clock.seconds, record["ended"] - times[0]


def test_the_time_left_is_right_within_a_fifth_from_the_first_tenth_on(record):
    """Until four fifths of the run are over; what is left then is told to 6 % of the whole run."""
    whole = record["ended"] - record["started"]
    late = whole * 4 / 5
    early = [abs(said - left) / left for at, said, left in told(record) if whole / 10 <= at < late]
    assert len(early) > 50
    assert max(early) <= A_FIFTH
    assert max(abs(said - left) for at, said, left in told(record) if at >= late) <= 0.06 * whole


def test_it_falls_to_nothing(record):
    assert list(told(record))[-1][1] == 0
