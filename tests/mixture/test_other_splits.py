"""Splits of one's own: for a task, a cluster or a whole collection, the nearer name first."""

from pathlib import Path

import pytest

from openflan.errors import UserError
from openflan.recipes.recipe import load_recipe
from openflan.runs.plan import make_plan

_STARTER = Path(__file__).parents[2] / "recipes" / "starter.yaml"


def _splits(*settings):
    plan = make_plan(load_recipe(_STARTER, settings))
    return {entry.spec.name: entry.spec.splits["test"] for entry in plan.measured_held_out + plan.measured_seen}


def test_a_collection_a_cluster_and_a_task_may_have_other_splits():
    assert set(_splits("tasks.splits={starter: {test: confirm}}").values()) == {"confirm"}
    splits = _splits(
        "tasks.splits={starter: {test: confirm}, paraphrase: {test: validation}, "
        "starter_paraphrase_story: {test: 'test[:50]'}}"
    )
    assert splits["starter_inference_yes_no"] == "confirm"
    assert splits["starter_paraphrase_same"] == "validation"
    assert splits["starter_paraphrase_story"] == "test[:50]"


def test_a_name_that_is_none_of_them_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'paraphrase'"):
        _splits("tasks.splits={paraphrases: {test: confirm}}")
