"""The time left of runs that were recorded (recorded_run.py): told right from the first tenth to the end.

Right is within a fifth of what is left, or within two seconds: who is told 6 s and waits 8 has not been misled.
"""

import json
from pathlib import Path

import pytest
from recorded_run import SETTINGS, record_of

from openflan.recipes.ready import ready_file
from openflan.recipes.recipe import load_recipe
from openflan.runs.stages import Stage, StageKind, stages_of
from openflan.runs.time_left import Costs, Prompts, TimeLeft, measure_costs

A_FIFTH = 0.2
SECONDS = 2.0


@pytest.fixture(scope="module", params=[name for name in SETTINGS if record_of(name).is_file()])
def record(request):
    return json.loads(record_of(request.param).read_text(encoding="utf-8"))


def readings(record):
    """At each call of the record: when it was, the seconds told, and the seconds that were really left."""
    recipe = load_recipe(
        ready_file("recipe", Path("starter")), [f"{key}={value}" for key, value in record["settings"].items()]
    )
    times = record["began"]
    clock = TimeLeft(
        stages_of(recipe.seeds),
        recipe,
        Costs(**record["costs"]),
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
    *calls, (_, nothing, _) = readings(record)
    late = [(estimate, left) for at, estimate, left in calls if at >= tenth]
    assert len(late) > 30
    assert [pair for pair in late if abs(pair[0] - pair[1]) > max(A_FIFTH * pair[1], SECONDS)] == []
    assert nothing == 0


def test_what_a_token_costs_is_tried_with_few_positions_through_the_head(tiny_llama):
    """Of a vocabulary of 262 thousand words the head is most of a small model, and it sees none but the targets."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    seen = []
    model.lm_head.register_forward_hook(lambda _module, _args, logits: seen.append(logits.shape[:-1].numel()))
    recipe = load_recipe(ready_file("recipe", Path("starter")), [])
    costs = measure_costs(model, recipe)
    assert seen
    assert max(seen) <= 25 * 8
    assert min(costs.asking, costs.tuning, costs.answer) > 0
