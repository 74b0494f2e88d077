"""The learning curve of a user's own tasks: `openflan study rows --recipe FOLDER`."""

import csv

import pytest
import yaml

from openflan.errors import UserError
from openflan.study.study import Study

LESS = ["axes.rows=[25, 100]", "seeds=[0]"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory, my_tasks, tiny_llama):
    """A folder with the recipe of two own tasks, one of the starter world, and a held-out cluster of one's own."""
    folder = tmp_path_factory.mktemp("desk")
    recipe = {
        "name": "desk",
        "model": {"path": str(tiny_llama)},
        "tasks": {
            "use": ["cafe_review", "colour_of", "does_it_follow", "starter_question_sort"],
            "folders": [str(my_tasks)],
            "hold_out": ["natural_language_inference"],
        },
        "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
        "mixture": {"rows_per_task": 60},
        "training": {"steps": 2, "tokens_per_batch": 512, "precision": "float32"},
        "evaluation": {"rows": 12, "bootstrap": 100, "templates": 2},
        "seeds": [0, 1],
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder


def test_a_curve_for_each_own_task_by_the_rows_that_it_was_tuned_on(desk, tmp_path):
    study = Study("rows", recipe=desk, settings=LESS, runs=tmp_path)
    outcome = study.run()
    assert study.setting == "own"
    assert {cell.status for cell in outcome.cells} == {"ok"}
    # each has 40 rows, so a cell that allows 100 stands at 40; inference, which was held out, is tuned on as well
    drawn = {(point.series, point.x) for point in outcome.drawn}
    assert drawn == {(task, x) for task in ("cafe_review", "colour_of", "does_it_follow") for x in (25, 40)}
    assert {point.x_label for point in outcome.drawn if point.x == 40} == {"40"}
    results = yaml.safe_load((tmp_path / outcome.cells[1].run / "results.json").read_text(encoding="utf-8"))
    own = {one["task"]: one["gain"] for one in results["verdict"]["own"]}
    assert {p.series: p.gain for p in outcome.drawn if p.x == 40} == pytest.approx(own)
    ledger = yaml.safe_load((tmp_path / outcome.cells[0].run / "mixture" / "ledger.json").read_text(encoding="utf-8"))
    assert ledger["tasks"]["cafe_review"]["rows"] == 25
    assert ledger["tasks"]["starter_question_sort"]["rows"] == 60
    assert [finding.sentence.partition(" differs")[0] for finding in outcome.findings] == [
        "Not seen: the gain of tuning with rows a task 100 against rows a task 25"
    ] * 2  # the end is held against the value before it, whichever that is
    assert "of the paper" not in outcome.sentence
    with (study.folder / "plot.csv").open(encoding="utf-8", newline="") as file:
        assert {row["series"] for row in csv.DictReader(file)} >= {"cafe_review", "colour_of"}
    assert f"--recipe {desk}" in outcome.command


def test_without_a_recipe_of_ones_own_it_says_how_to_name_one():
    with pytest.raises(UserError, match="--recipe"):
        Study("rows", setting="own")
