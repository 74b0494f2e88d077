"""Tasks whose rows must be fetched by hand: refused before anything is downloaded, or left out."""

import json

import pytest

from openflan.errors import UserError
from openflan.recipes.recipe import Recipe
from openflan.runs.plan import make_plan, resolve
from openflan.runs.preview import preview_mixture
from openflan.tasks.catalog import open_catalog

BY_HAND = ("newsroom", "opinion_abstracts_idebate", "opinion_abstracts_rotten_tomatoes", "story_cloze")


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    monkeypatch.delenv("OPENFLAN_DATA", raising=False)


def recipe(**tasks):
    use = ["summarization", "commonsense", "sentiment"]
    content = {"name": "r", "tasks": {"use": use, "hold_out": ["sentiment"], "lineage": "keep", **tasks}}
    content["prompts"] = {"max_input_tokens": 128, "max_target_tokens": 32}
    content["evaluation"] = {"max_new_tokens": 16}
    return Recipe.model_validate(content, strict=False)


def test_they_stop_a_run_with_one_line_before_anything_is_downloaded():
    with pytest.raises(UserError) as caught:
        make_plan(recipe())
    line = str(caught.value)
    assert f"the rows of {', '.join(BY_HAND)} must be fetched by hand" in line
    assert "--set tasks.missing=leave_out" in line


def test_left_out_they_are_neither_tuned_on_nor_measured():
    division = resolve(recipe(missing="leave_out", hold_out=["commonsense"])).division
    assert tuple(entry.spec.name for entry in division.missing) == BY_HAND
    names = {entry.spec.name for entry in (*division.tuned, *division.held_out)}
    assert not names & set(BY_HAND)
    assert {"xsum", "copa", "sst2"} <= names


def test_those_whose_rows_are_in_a_folder_of_data_stay(tmp_path):
    (tmp_path / "newsroom").mkdir()
    row = json.dumps({"text": "a", "summary": "b", "title": None}) + "\n"
    for split in ("train", "validation", "test"):
        (tmp_path / "newsroom" / f"{split}.jsonl").write_text(row * 300, encoding="utf-8")
    division = resolve(recipe(missing="leave_out", data=str(tmp_path))).division
    assert [entry.spec.name for entry in division.missing] == list(BY_HAND[1:])
    assert resolve(recipe(missing="leave_out", data="twins")).division.missing == ()


def test_the_plan_ends_with_a_line_a_source_and_what_can_be_done():
    missing = preview_mixture(recipe(), estimate=True).missing
    assert [one.tasks for one in missing] == [*((name,) for name in BY_HAND), BY_HAND]
    specs = open_catalog(collections=["catalog"]).entries
    for one in missing[:-1]:
        (name,) = one.tasks
        line = one.text.format(name)
        assert line.startswith(f"fetch by hand {name}: ")
        assert " ".join(specs[name].spec.source.by_hand.split()).rstrip(".") in line
    assert "--set tasks.missing=leave_out" in missing[-1].text
    (left_out,) = preview_mixture(recipe(missing="leave_out"), estimate=True).missing
    assert (left_out.kind, left_out.tasks) == ("missing", BY_HAND)


def test_a_group_of_which_every_task_is_left_out_is_passed_over():
    from openflan.mixture.rates import mixing_shares

    small = recipe(missing="leave_out", use=["copa", "newsroom", "sst2"])
    groups = {"news": {"use": ["newsroom"], "share": 0.4}, "rest": {"use": ["copa"], "share": 0.2}}
    small = Recipe.model_validate({**small.model_dump(), "mixture": {"groups": groups}}, strict=False)
    division = resolve(small).division
    assert mixing_shares({"copa": 10}, division.named, small.mixture) == {"copa": 1}
