"""The time left of runs that were recorded (recorded_run.py): told right from the first tenth on."""

import json
from pathlib import Path

import pytest
from recorded_run import SETTINGS, record_of

from openflan.recipes.ready import ready_file
from openflan.recipes.recipe import load_recipe
from openflan.runs.stages import Stage, StageKind, stages_of
from openflan.runs.time_left import Prompts, TimeLeft, TokenCosts

A_FIFTH = 0.2


@pytest.fixture(scope="module", params=[name for name in SETTINGS if record_of(name).is_file()])
def record(request):
    return json.loads(record_of(request.param).read_text(encoding="utf-8"))


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
    tenth = (record["ended"] - record["started"]) / 10
    *calls, (_, nothing, _) = told(record)
    late = [abs(said - left) / left for at, said, left in calls if at >= tenth]
    assert len(late) > 30
    assert max(late) <= A_FIFTH
    assert nothing == 0
