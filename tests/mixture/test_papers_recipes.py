"""The two papers' recipes: what they say is what is mixed, shown on the catalog's twins."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from openflan.importers.importing import import_tasks
from openflan.mixture.store import TokenStore
from openflan.recipes.recipe import load_recipe
from openflan.run import Run

RECIPES = Path(__file__).parents[2] / "recipes"


MRPC = {
    "equivalent": ("no ||| yes", "{{sentence1}} Is it {{answer_choices | join(' or ')}} that {{sentence2}}?"),
    "asked by chance": ("no ||| yes", "{{['Say', 'Tell'] | choice}} whether {{sentence1}} means {{sentence2}}"),
}
CB = {"follows": ("so ||| not so ||| open", "{{premise}} So {{hypothesis}}?")}
TREC = {
    "kind": ("a word ||| a thing", "{{text}} asks for a word or a thing?"),
    "built": ("a word ||| a thing", "{% set l = [] %}{% set _ = l.append(text) %}{{ l | join }} asks for what?"),
}
ROWS = {
    "p3_glue_mrpc": [
        {"sentence1": f"Ship {n} sails.", "sentence2": f"Ship {n} leaves.", "label": n % 2} for n in range(240)
    ],
    "p3_super_glue_cb": [{"premise": f"P {n}.", "hypothesis": f"h {n}", "label": n % 3} for n in range(240)],
    "p3_trec": [{"text": f"What is harbour {n}?", "label": n % 2} for n in range(240)],
}


def public_folders(root):
    """Task folders made from files in the form of the two public repositories, with rows of their datasets."""
    templates = root / "promptsource" / "templates"
    for name, group in {"glue/mrpc": MRPC, "super_glue/cb": CB, "trec": TREC}.items():
        dataset, _, subset = name.partition("/")
        contents = {
            str(number): {
                "name": title,
                "answer_choices": choices,
                "jinja": f"{text} ||| {{{{ answer_choices[label] }}}}",
            }
            for number, (title, (choices, text)) in enumerate(group.items())
        }
        (templates / name).mkdir(parents=True)
        data = {"dataset": dataset, **({"subset": subset} if subset else {}), "templates": contents}
        (templates / name / "templates.yaml").write_text(yaml.safe_dump(data))
    (root / "ni" / "splits").mkdir(parents=True)
    for part, names in {"train": "task1_harbours", "test": "task2_tides", "excluded": "task3_winds"}.items():
        (root / "ni" / "splits" / f"{part}_tasks.txt").write_text(names + "\n")
        rows = [{"input": f"{names} {n}", "output": [f"number {n}"]} for n in range(40)]
        task = {"Definition": ["Name its number."], "Categories": ["Data to Text"], "Instances": rows}
        (root / "ni" / f"{names}.json").write_text(json.dumps(task))
    p3, ni = root / "p3", root / "super-ni"
    import_tasks("promptsource", [templates], p3, prefix="p3_")
    import_tasks("natural-instructions", [root / "ni"], ni, prefix="ni_", split=root / "ni" / "splits")
    for path in p3.glob("*.yaml"):
        task = yaml.safe_load(path.read_text())
        for split in ("train", "validation"):
            rows = root / "rows" / task["name"] / f"{split}.jsonl"
            rows.parent.mkdir(parents=True, exist_ok=True)
            rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS[task["dataset"]]))
    return [str(p3), str(ni)]


def test_t0_is_mixed_from_the_public_files(tiny_llama, tmp_path):
    folders = public_folders(tmp_path)
    settings = [
        f"model.path={tiny_llama}",
        f"tasks.folders={json.dumps(folders[:1])}",
        f"tasks.data={tmp_path / 'rows'}",
    ]
    settings += ["tasks.use=[p3]", "tasks.leave_out=[]", "mixture.groups={p3_trec: {use: [p3_trec], share: 0.5}}"]
    settings += ["training.steps=4", "training.tokens_per_batch=1024", "training.micro_batch_tokens=1024"]
    settings += ["prompts.max_input_tokens=96", "prompts.max_target_tokens=16"]
    recipe = load_recipe(RECIPES / "t0.yaml", settings)
    outcome = Run(recipe, runs=tmp_path / "runs").work("mixture")
    store = TokenStore.open(outcome.folder / "mixture", check=True)
    prompts = [store.prompt(number) for number in np.concatenate(store.steps(0)).tolist()]
    tasks = [prompt.task for prompt in prompts]
    assert set(tasks) == {"p3_glue_mrpc", "p3_glue_mrpc__2", "p3_trec", "p3_trec__2"}
    assert sum(task.startswith("p3_trec") for task in tasks) / len(tasks) == pytest.approx(0.5, abs=0.1)


def test_t0s_lists_are_nested_and_each_dataset_has_its_rate():
    recipe = load_recipe(RECIPES / "t0.yaml")
    sets = recipe.tasks.sets
    assert [len(sets[name]) for name in ("t0", "gpt3_eval")] == [38, 10]
    named = {name for group in recipe.mixture.groups.values() for name in group.use}
    assert set(sets["t0"]) | set(sets["gpt3_eval"]) | set(sets["superglue"]) <= named
    assert sum(group.share for group in recipe.mixture.groups.values()) == pytest.approx(1, abs=1e-4)
    shares = {name: group.share for name, group in recipe.mixture.groups.items()}
    # 363,846 rows under 6 templates against 3,668 under 7
    assert shares["p3_glue_qqp"] / shares["p3_glue_mrpc"] == pytest.approx(363_846 * 6 / (3_668 * 7), rel=1e-3)


@pytest.mark.parametrize("name", ["flan", pytest.param("flan-2022", marks=pytest.mark.slow)])
def test_a_papers_recipe_mixes(name, tiny_llama, tmp_path):
    small = ["training.steps=4", "training.tokens_per_batch=1024", "prompts.max_input_tokens=208"]
    small += [
        f"model.path={tiny_llama}",
        f"tasks.data={tmp_path / 'rows'}:twins" if name == "flan-2022" else "tasks.data=twins",
        "prompts.max_target_tokens=32",
        "evaluation.max_new_tokens=32",
    ]
    small += [
        f"tasks.use=[sentiment, natural_language_inference{', cot, p3, super-ni' if name == 'flan-2022' else ''}]"
    ]
    small += [f"tasks.folders={json.dumps(public_folders(tmp_path))}"] if name == "flan-2022" else []
    recipe = load_recipe(RECIPES / f"{name}.yaml", small)
    outcome = Run(recipe, runs=tmp_path / "runs").work("mixture")
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
        few = [exemplars for piece in pieces for exemplars in piece.column("exemplars").to_pylist() if exemplars]
        assert 0.1 < len(few) / len(styles) < 0.55
        assert {"p3_trec", "p3_trec__2", "ni_task1_harbours"} <= tasks
        assert not tasks & {"p3_super_glue_cb", "p3_glue_mrpc", "ni_task2_tides"}  # held out, kin, their own test


def test_they_say_what_the_papers_say():
    flan, collection = (load_recipe(RECIPES / f"{name}.yaml") for name in ("flan", "flan-2022"))
    assert (flan.training.steps, flan.training.tokens_per_batch) == (30_000, 8_192)
    assert (flan.mixture.rows_per_task, flan.mixture.maximum) == (30_000, 3_000)
    assert (flan.prompts.max_input_tokens, flan.prompts.exemplar_budget) == (1_024, 960)
    assert (collection.prompts.exemplar_budget, collection.prompts.inversion_rate) == (1_920, 0.3)
    assert [group.share for group in collection.mixture.groups.values()] == [0.40, 0.32, 0.20, 0.05]
    assert {(style.options, max(style.all_shots) > 0, style.weight) for style in collection.prompts.styles} == {
        (options, few, 0.25) for options in ("shown", "hidden") for few in (False, True)
    }
