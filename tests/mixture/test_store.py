"""The token store tells where every token came from, and tells the truth."""

import json
from collections import Counter

import numpy as np
import pytest
from datasets import load_from_disk

from openflan.errors import UserError
from openflan.mixture.holdout import hold_out
from openflan.mixture.store import TokenStore, write_store
from openflan.models.load import find_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.render import TaskRenderer
from openflan.recipe import ModelPart, Recipe
from openflan.tasks.catalog import open_catalog
from openflan.tasks.sources import load_rows

RECIPE = Recipe.model_validate(
    {
        "name": "little",
        "prompts": {"max_input_tokens": 96, "max_target_tokens": 32},
        "mixture": {"rows_per_task": 30, "maximum": 20},
        "training": {"steps": 12, "tokens_per_batch": 512},
        "seeds": (0, 7),
    }
)


@pytest.fixture(scope="module")
def division(my_tasks):
    entries = open_catalog([my_tasks], collections=()).select(["mine"], where="tasks.use")
    return hold_out(entries, ["natural_language_inference"], kin="paper")


@pytest.fixture(scope="module")
def encoder(tiny_llama):
    return TextEncoder(load_tokenizer(find_model(ModelPart(path=str(tiny_llama)), tiny_llama)), RECIPE.prompts)


def write(folder, division, encoder, recipe=RECIPE):
    write_store(folder, recipe, division, encoder, data=None, report=lambda _done, _total: None)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, division, encoder):
    return write(tmp_path_factory.mktemp("store"), division, encoder)


def test_datasets_opens_it_with_the_documented_columns(folder):
    table = load_from_disk(str(folder / "prompts"))
    assert set(table.column_names) == {"input_ids", "target_start", "task", "row", "template"}
    assert len(table) == len(TokenStore.open(folder).tasks)


def test_every_prompt_can_be_rendered_again_from_its_provenance(folder, division, encoder):
    """Row, template and task of each prompt are re-rendered and re-encoded; the tokens must be the stored ones."""
    entries = {entry.spec.name: entry for entry in division.tuned}
    renderers = {name: TaskRenderer(entry) for name, entry in entries.items()}
    rows = {name: {row.index: row for row in load_rows(entry, "train")} for name, entry in entries.items()}
    stored = load_from_disk(str(folder / "prompts"))
    assert len(stored) > 100
    for item in stored:
        row = rows[item["task"]][item["row"]]
        assert item["template"] in renderers[item["task"]].applicable(row)
        prompt = renderers[item["task"]].render(row, item["template"])
        source, target = encoder.inputs([prompt.input])[0], encoder.targets([prompt.target])[0]
        assert item["input_ids"] == source + target
        assert item["target_start"] == len(source)


def test_a_prompt_is_stored_once(folder):
    stored = load_from_disk(str(folder / "prompts"))
    keys = list(zip(stored["task"], stored["row"], stored["template"], strict=True))
    assert len(set(keys)) == len(keys)


def test_nothing_held_out_is_inside(folder):
    assert set(TokenStore.open(folder).tasks) == {"cafe_review", "colour_of", "card_sentence"}
    ledger = json.loads((folder / "ledger.json").read_text())
    assert ledger["held_out_clusters"] == ["natural_language_inference", "paraphrase"]
    assert {task["cluster"] for task in ledger["tasks"].values()} == {"sentiment", "closed_book_qa", "struct_to_text"}


@pytest.mark.parametrize("seed", RECIPE.seeds)
def test_steps_are_as_many_as_asked_and_hold_no_more_than_their_tokens(folder, seed):
    store = TokenStore.open(folder)
    steps = store.steps(seed)
    sizes = [sum(len(store.tokens(number)) for number in step) for step in steps]
    assert len(steps) == 12
    assert max(sizes) <= 512
    assert np.mean(sizes) > 0.9 * 512


def test_the_ledger_counts_what_the_order_files_hold(folder):
    store = TokenStore.open(folder)
    ledger = json.loads((folder / "ledger.json").read_text())
    for seed in RECIPE.seeds:
        drawn = Counter(store.tasks[number] for step in store.steps(seed) for number in step)
        assert {name: task["drawn"][str(seed)] for name, task in ledger["tasks"].items()} == drawn
    assert {task["rows"] for task in ledger["tasks"].values()} == {30}
    assert sum(task["rate"] for task in ledger["tasks"].values()) == pytest.approx(1)


def test_every_template_is_drawn(folder):
    stored = load_from_disk(str(folder / "prompts"))
    assert len(set(zip(stored["task"], stored["template"], strict=True))) == 12


def test_only_the_first_rows_of_a_task_are_used(folder):
    assert max(load_from_disk(str(folder / "prompts"))["row"]) == 29


def test_seeds_share_the_prompts_and_differ_in_order(folder):
    store = TokenStore.open(folder)
    one, two = (np.concatenate(store.steps(seed)).tolist() for seed in RECIPE.seeds)
    assert one != two
    assert len(set(one) & set(two)) > len(set(one)) / 4


def test_the_same_recipe_writes_the_same_bytes(folder, tmp_path, division, encoder):
    again = write(tmp_path, division, encoder)
    one, two = TokenStore.open(folder), TokenStore.open(again)
    assert np.array_equal(one.token_ids, two.token_ids)
    for seed in RECIPE.seeds:
        assert np.array_equal(np.concatenate(one.steps(seed)), np.concatenate(two.steps(seed)))
    assert (folder / "ledger.json").read_bytes() == (again / "ledger.json").read_bytes()


def test_a_seeds_order_does_not_depend_on_the_other_seeds(folder, tmp_path, division, encoder):
    alone = TokenStore.open(write(tmp_path, division, encoder, RECIPE.model_copy(update={"seeds": (7,)})))
    both = TokenStore.open(folder)
    for mine, theirs in zip(alone.steps(7), both.steps(7), strict=True):
        assert [alone.tokens(n).tolist() for n in mine] == [both.tokens(n).tolist() for n in theirs]


def test_a_longer_run_begins_as_a_shorter_one(folder, tmp_path, division, encoder):
    training = RECIPE.training.model_copy(update={"steps": 6})
    short = TokenStore.open(write(tmp_path, division, encoder, RECIPE.model_copy(update={"training": training})))
    long = TokenStore.open(folder)
    for mine, theirs in zip(short.steps(0), long.steps(0)[:6], strict=True):
        assert [short.tokens(n).tolist() for n in mine] == [long.tokens(n).tolist() for n in theirs]


def test_a_template_that_leaves_a_row_without_any_is_an_error_not_a_crash(tmp_path, division, encoder, my_tasks):
    """Every template of the task has a `when` that fails for some rows: there is nothing to draw for them."""
    entry = next(e for e in division.tuned if e.spec.name == "cafe_review")
    narrow = tuple(t.model_copy(update={"when": "label == 1"}) for t in entry.spec.templates)
    odd = type(entry)(
        spec=entry.spec.model_copy(update={"templates": narrow}), path=entry.path, collection=entry.collection
    )
    broken = type(division)(clusters=division.clusters, tuned=(odd,), held_out=division.held_out)
    with pytest.raises(UserError, match="no template"):
        write(tmp_path, broken, encoder)
