"""The two papers' recipes: what they say is what is mixed, shown on the catalog's twins."""

from pathlib import Path

import numpy as np
import pytest

from openflan.mixture.store import TokenStore
from openflan.recipes.recipe import load_recipe
from openflan.run import Run

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("name", ["flan", "flan-2022"])
def test_a_papers_recipe_mixes(name, tiny_llama, tmp_path):
    small = ["training.steps=4", "training.tokens_per_batch=1024", "prompts.max_input_tokens=208"]
    small += [
        f"model.path={tiny_llama}",
        "tasks.data=twins",
        "prompts.max_target_tokens=32",
        "evaluation.max_new_tokens=32",
    ]
    small += [f"tasks.use=[sentiment, natural_language_inference{', cot' if name == 'flan-2022' else ''}]"]
    recipe = load_recipe(RECIPES / f"{name}.yaml", small)
    outcome = Run(recipe, runs=tmp_path).work("mixture")
    store = TokenStore.open(outcome.folder / "mixture", check=True)
    prompts = [store.prompt(number) for number in np.concatenate(store.steps(0)).tolist()]
    tasks = {prompt.task for prompt in prompts}
    assert not tasks & {"rte", "cb", "snli", "flan_cot_esnli"}
    if name == "flan":
        assert {prompt.style for prompt in prompts} == {0}
        assert not any(prompt.exemplars for prompt in prompts)
    else:
        pieces = [piece for piece in store.pieces if piece.column("task")[0].as_py() == "sst2"]
        styles = np.concatenate([piece.column("style").to_numpy() for piece in pieces])
        assert np.bincount(styles, minlength=4) / len(styles) == pytest.approx(np.full(4, 0.25), abs=0.08)
        few = [held for piece in pieces for held in piece.column("exemplars").to_pylist() if held]
        assert 0.1 < len(few) / len(styles) < 0.55


def test_they_say_what_the_papers_say():
    flan, collection = (load_recipe(RECIPES / f"{name}.yaml") for name in ("flan", "flan-2022"))
    assert (flan.training.steps, flan.training.tokens_per_batch) == (30_000, 8_192)
    assert (flan.mixture.rows_per_task, flan.mixture.maximum) == (30_000, 3_000)
    assert (flan.prompts.max_input_tokens, flan.prompts.exemplar_budget) == (1_024, 960)
    assert (collection.prompts.exemplar_budget, collection.prompts.inversion_rate) == (1_920, 0.3)
    assert [group.share for group in collection.mixture.groups.values()] == [0.40, 0.05]
    assert {(style.options, max(style.all_shots) > 0, style.weight) for style in collection.prompts.styles} == {
        (options, few, 0.25) for options in ("shown", "hidden") for few in (False, True)
    }
