"""What stages are asked with: looks while tuning are small."""

from little_runs import write_recipe
from openflan.recipes.recipe import load_recipe
from openflan.runs.materials import Materials
from openflan.runs.stored import StoredRun


def test_a_look_asks_so_many_rows_under_so_many_templates_as_the_recipe_says(tmp_path, my_tasks, tiny_llama):
    looks = {"training__evaluate_every": 1, "training__evaluate_tasks": ["does_it_follow"]}
    path = write_recipe(tmp_path, my_tasks, tiny_llama, training__evaluate_rows=3, evaluation__templates=2, **looks)
    (asked,) = Materials(StoredRun(tmp_path / "run", load_recipe(path))).looks
    assert len({(prompt.row, prompt.template) for prompt in asked.test}) == len(asked.test) == 6
