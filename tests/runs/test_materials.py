"""What stages are asked with: looks while tuning are small, and work is weighed by what a model reads and writes."""

import pytest

from little_runs import write_recipe
from openflan.recipes.recipe import load_recipe
from openflan.runs.asking import workload
from openflan.runs.materials import Materials
from openflan.runs.stored import StoredRun


def test_a_look_asks_so_many_rows_under_so_many_templates_as_the_recipe_says(tmp_path, my_tasks, tiny_llama):
    looks = {"training__evaluate_every": 1, "training__evaluate_tasks": ["does_it_follow"]}
    path = write_recipe(tmp_path, my_tasks, tiny_llama, training__evaluate_rows=3, evaluation__templates=2, **looks)
    (look,) = Materials(StoredRun(tmp_path / "run", load_recipe(path))).looks
    assert len({(prompt.row, prompt.template) for prompt in look.test}) == len(look.test) == 6


def test_work_is_what_is_read_of_a_prompt_and_what_may_be_written(tmp_path, my_tasks, tiny_llama):
    def load(tokens, room):
        settings = [f"prompts.max_input_tokens={tokens}", f"evaluation.max_new_tokens={room}", "evaluation.seen_rows=2"]
        recipe = load_recipe(write_recipe(tmp_path, my_tasks, tiny_llama), settings)
        return workload(Materials(StoredRun(tmp_path / "run", recipe)), tuned=False)

    whole, cut, long = load(128, 4), load(8, 4), load(128, 8)
    assert cut.costs["does_it_follow"] < whole.costs["does_it_follow"] == long.costs["does_it_follow"]
    assert cut.costs["does_it_follow"] == pytest.approx(cut.prompts["does_it_follow"] * 8 * 4.3, rel=0.01)
    written = [one.costs["card_sentence"] for one in (cut, whole, long)]
    assert written == sorted(written)
    assert written[2] - written[1] == pytest.approx(4 * 4.3 * 2.4 * whole.prompts["card_sentence"])
