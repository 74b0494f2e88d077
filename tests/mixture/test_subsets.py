"""Fewer templates a task, fewer tasks a cluster; what that and the style of tuning prompts do not touch."""

import numpy as np
import pytest

from openflan.hashing import hash_integers
from openflan.mixture.holdout import first_of_clusters, hold_out
from openflan.prompts.examples import ExampleMaker, ExampleRules
from openflan.recipes.parts import PromptsPart
from openflan.recipes.recipe import load_recipe
from openflan.runs.plan import make_plan
from openflan.tasks.catalog import open_catalog
from openflan.tasks.sources import load_twin

ROWS = np.arange(400) % 8
TICKETS = hash_integers(5, np.arange(400))


@pytest.fixture(scope="module")
def catalog():
    return open_catalog(collections=["catalog"])


def keys(plan, beginning):
    return [stage.key for stage in plan.stages() if str(stage).startswith(beginning)]


def templates_used(entry, limit, **part):
    maker = ExampleMaker(
        entry, load_twin(entry), PromptsPart(**part), ExampleRules(templates=limit), count=lambda t: [len(x) for x in t]
    )
    examples = maker.examples(ROWS, TICKETS, pool=np.arange(8))
    return {example.prompt.template for example in examples}, examples


@pytest.mark.parametrize("name", ["rte", "sst2", "wmt14_enfr"])
def test_the_first_templates_are_used_and_fewer_are_a_part_of_more(catalog, name):
    sets = {limit: templates_used(catalog.entries[name], limit)[0] for limit in (1, 2, 4, 7, None)}
    assert sets[1] < sets[2] < sets[4] < sets[7] < sets[None]
    assert sets[4] == {0, 1, 2, 3}


def test_solved_examples_keep_to_the_templates_too(catalog):
    from openflan.recipes.parts import MixedStyle

    _, examples = templates_used(catalog.entries["rte"], 1, styles=(MixedStyle(shots=2),), exemplar_tokens=1000)
    template = catalog.entries["rte"].spec.templates[0].input
    start = template.split("{{")[0] or template.partition("}}")[2].partition("{{")[0]
    assert all(example.prompt.input.count(start.strip()) == 1 + len(example.exemplars) for example in examples)
    assert any(example.exemplars for example in examples)


def test_the_first_tasks_of_each_cluster_by_name(catalog):
    division = hold_out(catalog.select(["catalog"], where="tasks.use"), ["sentiment"], kin="paper", lineage="keep")
    fewer = {most: {e.spec.name for e in first_of_clusters(division, most).tuned} for most in (1, 2, 3)}
    assert fewer[1] < fewer[2] < fewer[3]
    assert {"anli_r1", "arc_challenge", "aeslc"} <= fewer[1]
    clusters = {entry.spec.code_cluster for entry in division.tuned}
    assert len(fewer[1]) == len(clusters)
    assert first_of_clusters(division, None) is division


TUNING = (
    "mixture.templates_per_task=2",
    "mixture.tasks_per_cluster=1",
    "mixture.rows_per_task=50",
    "training.steps=7",
    "prompts.styles=[{form: dataset-name}]",
    "prompts.inversion_rate=0.5",
    "tasks.use=[does_it_follow, same_meaning, cafe_review]",
    "seeds=[5]",
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, my_tasks, tiny_llama):
    path = tmp_path_factory.mktemp("recipe") / "subsets.yaml"
    path.write_text(
        f"{{name: subsets, model: {{path: '{tiny_llama}'}},"
        f" tasks: {{use: [mine], folders: ['{my_tasks}'], hold_out: [natural_language_inference]}},"
        " prompts: {max_input_tokens: 128, max_target_tokens: 32}, evaluation: {rows: 4, own_rows: 0}}",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize("setting", TUNING)
def test_the_untuned_models_answers_depend_on_no_setting_of_tuning(recipe, setting):
    plain, changed = (make_plan(load_recipe(recipe, more)) for more in ([], [setting]))
    assert keys(changed, "evaluation untuned") == keys(plain, "evaluation untuned")
    assert changed.mixture_key != plain.mixture_key


@pytest.mark.parametrize("setting", ["prompts.shots=2", "prompts.form=none", "prompts.options=hidden"])
def test_how_questions_are_asked_changes_no_tuning_that_has_styles_of_its_own(recipe, setting):
    styles = "prompts.styles=[{}]"
    plain, changed = (make_plan(load_recipe(recipe, [styles, *more])) for more in ([], [setting]))
    assert keys(changed, "training") == keys(plain, "training")
    assert changed.mixture_key == plain.mixture_key
    assert keys(changed, "evaluation untuned") != keys(plain, "evaluation untuned")
    assert keys(make_plan(load_recipe(recipe, [setting])), "training") != keys(plain, "training")
