"""The two papers' recipes on the public repositories' own files, where a folder of checkouts is at hand."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from openflan.importers.importing import import_tasks
from openflan.importers.outcome import task_name
from openflan.mixture.store import TokenStore
from openflan.recipes.recipe import load_recipe
from openflan.run import Run

RECIPES = Path(__file__).parents[2] / "recipes"

REAL = {
    "p3_glue_mrpc": "glue_mrpc",
    "p3_glue_qqp": "glue_qqp",
    "p3_paws_labeled_final": "paws_wiki",
    "p3_cosmos_qa": "cosmos_qa",
    "p3_imdb": "imdb_reviews",
    "p3_yelp_review_full": "yelp_review_full",
    "p3_common_gen": "common_gen",
    "p3_cnn_dailymail_3_0_0": "cnn_dailymail",
    "p3_gigaword": "gigaword",
    "p3_multi_news": "multi_news",
    "p3_xsum": "xsum",
    "p3_ag_news": "ag_news_subset",
    "p3_super_glue_cb": "cb",
    "p3_super_glue_rte": "rte",
    "p3_super_glue_wic": "wic",
}
"""Datasets of T0 whose rows are at hand, and the folder of each."""
HELD_OUT = {"p3_super_glue_cb", "p3_super_glue_rte", "p3_super_glue_wic"}
SMALL = [
    "training.steps=4",
    "training.tokens_per_batch=4096",
    "training.micro_batch_tokens=4096",
    "prompts.max_input_tokens=208",
    "prompts.max_target_tokens=32",
    "evaluation.max_new_tokens=32",
]


@pytest.fixture(scope="module")
def checkouts():
    """Folder of checkouts: `promptsource`, `natural-instructions` and `t-zero`."""
    named = os.environ.get("OPENFLAN_PUBLIC_TASKS")
    if not named or not (Path(named) / "promptsource").is_dir():
        pytest.skip("no public task files; name a folder of checkouts in OPENFLAN_PUBLIC_TASKS (see CONTRIBUTING.md)")
    return Path(named)


@pytest.fixture(scope="module")
def p3(checkouts, tmp_path_factory):
    """All of promptsource's templates of T0's datasets, as a user imports them."""
    templates = checkouts / "promptsource" / "promptsource" / "templates"
    names = t0_lists(checkouts)
    wanted = {name for listed in names.values() for name in listed} | HELD_OUT
    folders = []
    for path in templates.rglob("templates.yaml"):
        dataset, *subset = path.parent.relative_to(templates).parts
        if f"p3_{task_name(dataset, *subset)}" in wanted:
            folders.append(path)
    out = tmp_path_factory.mktemp("public") / "p3"
    import_tasks("promptsource", folders, out, prefix="p3_")
    return out


@pytest.fixture(scope="module")
def rows(shared, tmp_path_factory):
    """Folder of real rows under the tasks' names."""
    folder = tmp_path_factory.mktemp("rows")
    for name, real in REAL.items():
        (folder / name).symlink_to(shared / "data" / real)
    return folder


def t0_lists(checkouts):
    """The authors' lists of training sets: tasks by mixture, each with its number of training rows."""
    lists = {"BASE": {}, "GPT_EVAL": {}, "SGLUE": {}}
    with (checkouts / "t-zero" / "t0" / "datasets.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["do_train"]:
                name = f"p3_{task_name(row['HF_name'], row['subset'])}"
                lists[row["do_train"]][name] = int(row["train_size"])
    return lists


def tasks_mixed(recipe, tmp_path):
    """Names of the tasks that the recipe's steps draw."""
    outcome = Run(recipe, runs=tmp_path / "runs").work("mixture")
    store = TokenStore.open(outcome.folder / "mixture", check=True)
    return {store.prompt(number).task for number in np.concatenate(store.steps(0)).tolist()}


def test_t0s_three_mixtures_are_the_public_lists(checkouts, p3):
    recipe = load_recipe(RECIPES / "t0.yaml")
    sets, lists = recipe.tasks.sets, t0_lists(checkouts)
    assert [len(lists[one]) for one in lists] == [38, 10, 6]
    assert set(sets["t0"]) == set(lists["BASE"])
    assert set(sets["gpt3_eval"]) == set(lists["GPT_EVAL"])
    assert {*sets["superglue"], "p3_super_glue_wsc_fixed", "p3_super_glue_wic"} == set(lists["SGLUE"])
    templates = dict.fromkeys((name for listed in lists.values() for name in listed), 0)
    for path in p3.glob("*.yaml"):
        task = yaml.safe_load(path.read_text(encoding="utf-8"))
        if task["dataset"] in templates:
            templates[task["dataset"]] += len(task["templates"])
    counts = [sum(templates[name] for name in listed) for listed in lists.values()]
    assert counts == [313, 79, 72]  # templates of the three steps from T0 to T0++
    rates = {
        name: min(size * templates[name], 500_000 // templates[name] * templates[name] if size > 500_000 else 10**9)
        for listed in lists.values()
        for name, size in listed.items()
    }
    shares = {name: group.share for name, group in recipe.mixture.groups.items()}
    assert set(shares) == set(rates)
    for name, rate in rates.items():
        assert shares[name] == pytest.approx(rate / sum(rates.values()), abs=2e-4), name


@pytest.mark.slow
def test_t0_is_mixed_from_public_files_on_real_rows(p3, rows, tiny_llama, tmp_path):
    groups = load_recipe(RECIPES / "t0.yaml").mixture.groups
    here = {name: groups[name].share for name in REAL if name not in HELD_OUT}
    kept = ", ".join(
        f"{name}: {{use: [{name}], share: {share / sum(here.values()) - 1e-6:.6f}}}" for name, share in here.items()
    )
    settings = [f"model.path={tiny_llama}", f"tasks.folders=[{p3}]", f"tasks.data={rows}", *SMALL]
    settings += [f"tasks.use={json.dumps(list(REAL))}", "tasks.leave_out=[]", f"mixture.groups={{{kept}}}"]
    settings += ["training.steps=30"]
    tasks = tasks_mixed(load_recipe(RECIPES / "t0.yaml", settings), tmp_path)
    datasets = {name.partition("__")[0] for name in tasks}
    assert datasets <= set(here)
    assert {"p3_glue_qqp", "p3_cnn_dailymail_3_0_0", "p3_xsum", "p3_ag_news"} <= datasets


@pytest.mark.slow
def test_the_collection_is_mixed_from_public_files_on_real_rows(checkouts, p3, rows, shared, tiny_llama, tmp_path):
    ni = checkouts / "natural-instructions"
    files = sorted((ni / "tasks").glob("task*.json"))
    if len(files) < 12:
        pytest.skip(f"fewer than twelve task files in {ni / 'tasks'}")
    out = tmp_path / "super-ni"
    outcome = import_tasks(
        "natural-instructions",
        files[:: len(files) // 12][:12],
        out,
        prefix="ni_",
        rows=200,
        split=ni / "splits" / "default",
    )
    used = [*REAL, "super-ni"]
    settings = [f"model.path={tiny_llama}", f"tasks.folders=[{p3}, {out}]", *SMALL]
    settings += [f"tasks.data={rows}{os.pathsep}{shared / 'data'}{os.pathsep}twins", f"tasks.use={json.dumps(used)}"]
    settings += ["mixture.groups={t0: {use: [p3], share: 0.5}, super-ni: {use: [super-ni], share: 0.5}}"]
    tasks = tasks_mixed(load_recipe(RECIPES / "flan-2022.yaml", [*settings, "training.steps=20"]), tmp_path)
    assert not {name.partition("__")[0] for name in tasks} & {"p3_super_glue_cb", "p3_super_glue_rte", "p3_glue_mrpc"}
    assert sum(name.startswith("p3_") for name in tasks) >= 6
    assert sum(name.startswith("ni_") for name in tasks) >= len(outcome.tasks) // 2
