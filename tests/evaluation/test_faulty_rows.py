"""Rows that a run measures on and that can't be rendered: named, or left out and counted."""

import json
import shutil

import pytest

from openflan.errors import UserError
from openflan.recipes.recipe import make_recipe
from openflan.run import Run

NULL, LABEL, HALF = {"premise": None}, {"label": "maybe"}, {"hypothesis": "It rains \ud83c today."}


@pytest.fixture
def recipe_with(tmp_path, my_tasks, tiny_llama):
    """Makes a recipe whose held-out task has some faulty test rows: by place, what is other in the row."""

    def make(faults, **settings):
        tasks = tmp_path / "tasks"
        shutil.copytree(my_tasks, tasks)
        path = tasks / "rows" / "does_it_follow-test.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        faulty = [{**row, **(faults.get(place) or {})} for place, row in enumerate(rows)]
        path.write_text("".join(json.dumps(row) + "\n" for row in faulty), encoding="utf-8")
        data = {
            "name": "faulty",
            "model": {"path": str(tiny_llama)},
            "tasks": {"use": ["mine"], "folders": [str(tasks)], "hold_out": ["natural_language_inference"]},
            "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
            "mixture": settings,
            "training": {"steps": 1, "tokens_per_batch": 512, "precision": "float32"},
            "evaluation": {"rows": 12, "max_new_tokens": 2, "bootstrap": 100, "generate": False},
            "seeds": [0],
        }
        return make_recipe(data, where="test", folder=tmp_path)

    return make


def test_faulty_test_rows_are_left_out_and_counted(recipe_with, tmp_path):
    recipe = recipe_with({2: LABEL, 5: HALF, 7: NULL}, faulty_rows="skip")
    run = Run(recipe, runs=tmp_path / "runs")
    folder = run.work().folder
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    tasks = {task["task"]: task for task in results["tasks"]}
    assert (tasks["does_it_follow"]["rows_left_out"], tasks["does_it_follow"]["n_rows"]) == (3, 9)
    assert tasks["same_meaning"]["rows_left_out"] == 0
    assert "does_it_follow (3)" in results["left_out"]
    assert results["left_out"] in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("fault", [NULL, LABEL, HALF])
def test_by_default_a_faulty_test_row_is_named(recipe_with, tmp_path, fault):
    with pytest.raises(UserError, match=r"does_it_follow-test\.jsonl.*row 6") as error:
        Run(recipe_with({5: fault}), runs=tmp_path / "runs").work("mixture")
    assert "\n" not in str(error.value)
    assert not any((tmp_path / "runs").iterdir())


def test_a_task_of_faulty_rows_alone_is_refused_by_the_first(recipe_with, tmp_path):
    recipe = recipe_with(dict.fromkeys(range(12), LABEL), faulty_rows="skip")
    with pytest.raises(UserError, match=r"does_it_follow-test\.jsonl.*row 1\b"):
        Run(recipe, runs=tmp_path / "runs").work("mixture")


def test_training_rows_that_break_the_contract_are_left_out_and_counted(recipe_with, tmp_path):
    recipe = recipe_with({}, faulty_rows="skip")
    path = tmp_path / "tasks" / "rows" / "cafe_review-train.jsonl"
    first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text(json.dumps({**json.loads(first), "text": None}) + "\n" + "".join(others), encoding="utf-8")
    folder = Run(recipe, runs=tmp_path / "runs").work("mixture").folder
    ledger = json.loads((folder / "mixture" / "ledger.json").read_text(encoding="utf-8"))["tasks"]
    assert (ledger["cafe_review"]["broken"], ledger["cafe_review"]["rows"]) == (1, 39)
