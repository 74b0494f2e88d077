"""What is proposed for own tasks: the cluster to hold out, the tasks of others, and what that will prove."""

import shutil
from pathlib import Path

import pytest

from openflan.errors import UserError
from openflan.own.proposal import Proposal, propose
from openflan.recipes.recipe import Recipe, load_recipe
from openflan.runs.plan import Resolved, resolve
from openflan.study.study import Study
from openflan.tasks.catalog import Entry, open_catalog

THREE = ("cafe_review", "colour_of", "card_sentence")


@pytest.fixture
def own(my_tasks, tmp_path):
    """A folder with some of a user's tasks in `tasks/`."""

    def make(*names: str) -> list[Entry]:
        shutil.copytree(my_tasks / "rows", tmp_path / "tasks" / "rows")
        for name in names:
            shutil.copy(my_tasks / f"{name}.yaml", tmp_path / "tasks")
        return list(open_catalog([tmp_path / "tasks"], collections=()).entries.values())

    return make


def written(proposal: Proposal, folder: Path) -> tuple[Recipe, Resolved]:
    """The recipe as it is read back, and what its names stand for."""
    (folder / "recipe.yaml").write_text(proposal.recipe_text, encoding="utf-8")
    recipe = load_recipe(folder / "recipe.yaml")
    return recipe, resolve(recipe)


def names(entries: tuple[Entry, ...]) -> set[str]:
    return {entry.spec.name for entry in entries}


def test_of_three_kinds_one_whose_answers_are_options_is_held_out(own, tmp_path):
    proposal = propose(tmp_path, own(*THREE))
    recipe, resolved = written(proposal, tmp_path)
    assert recipe.tasks.hold_out == ("sentiment",)
    assert names(resolved.division.tuned) == {"colour_of", "card_sentence"}
    assert names(resolved.measured_held_out) == {"cafe_review"}
    assert names(resolved.measured_seen) == {"colour_of", "card_sentence"}
    assert proposal.companions is None
    assert "Held out is a kind of task of your own (sentiment)" in proposal.why[-1]


def test_with_three_kinds_comes_a_study_that_holds_out_each_in_turn(own, tmp_path):
    proposal = propose(tmp_path, own(*THREE))
    written(proposal, tmp_path)
    assert proposal.study_text is not None
    (tmp_path / "holdout.yaml").write_text(proposal.study_text, encoding="utf-8")
    study = Study(tmp_path / "holdout.yaml", runs=tmp_path / "runs")
    counts = {cell.held_out: cell.tuned_tasks for cell in study.forecast().cells}
    assert counts == {("sentiment",): 2, ("closed_book_qa", "fact_verification"): 2, ("struct_to_text",): 2}


def test_of_two_kinds_none_is_held_out_but_a_cluster_of_others(own, tmp_path):
    proposal = propose(tmp_path, own("cafe_review", "colour_of"))
    recipe, resolved = written(proposal, tmp_path)
    assert recipe.tasks.use == ("mine", "starter")
    assert recipe.tasks.hold_out == ("natural_language_inference",)
    assert {"cafe_review", "colour_of"} <= names(resolved.division.tuned)
    assert {entry.collection for entry in resolved.measured_held_out} == {"starter"}
    assert recipe.mixture.groups["own"].share == 0.5
    assert proposal.study is None
    assert "too few to hold one out" in proposal.why[0]
    assert "not that it would do a new kind of task on your data" in proposal.why[-1]


def test_kin_count_as_one_kind_and_never_leave_tuning_for_others(own, tmp_path):
    """Inference and paraphrase leave tuning together, so neither is held out for the sake of others' rows."""
    proposal = propose(tmp_path, own("does_it_follow", "same_meaning"))
    recipe, resolved = written(proposal, tmp_path)
    assert recipe.tasks.hold_out == ("reading_comprehension",)
    assert {"does_it_follow", "same_meaning"} <= names(resolved.division.tuned)


def test_a_folder_of_data_is_where_others_come_from(own, tmp_path):
    proposal = propose(tmp_path, own("cafe_review"), data="twins")
    recipe, resolved = written(proposal, tmp_path)
    assert proposal.companions is not None
    assert proposal.companions.source == "folder"
    assert recipe.tasks.data == "twins"
    assert {"rte", "squad_v1"} <= names(resolved.division.named)
    assert "from the folder of data" in proposal.why[0]
    with pytest.raises(UserError, match="no such folder of data"):
        propose(tmp_path, [], data=str(tmp_path / "none"))


def test_without_network_or_folder_a_model_of_ones_own_gets_the_starters_tasks(own, tmp_path, tiny_llama):
    proposal = propose(tmp_path, own("cafe_review"), model=str(tiny_llama))
    assert proposal.companions is not None
    assert proposal.companions.source == "starter"
    assert proposal.recipe["model"] == {"path": str(tiny_llama)}
    assert "separator" not in proposal.recipe["prompts"]


@pytest.mark.parametrize(
    ("model", "rate", "adapter"),
    [
        ("starter", 2e-3, False),
        ("HuggingFaceTB/SmolLM2-135M", 5e-5, False),
        ("Qwen/Qwen2.5-7B", 2e-4, True),
        ("someone/a-model", 2e-4, True),
    ],
)
def test_how_a_model_is_tuned_goes_by_its_size(own, tmp_path, model, rate, adapter):
    recipe, _ = written(propose(tmp_path, own("cafe_review"), model=model), tmp_path)
    assert recipe.training.optimizer.learning_rate == rate
    assert (recipe.model.adapter is not None) == adapter


def test_a_model_that_is_not_there_is_refused_before_anything_is_written(openflan, tmp_path):
    desk = tmp_path / "desk"
    desk.mkdir()
    rows = [f'"the {n}th parcel came {w}",{w}' for n in range(20) for w in ("early", "late")]
    (desk / "parcels.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    code, _, err = openflan("run", desk, "--model", "no/such/folder")
    assert (code, err) == (
        2,
        "openflan: model.path: no/such/folder: no such model folder; check the path, or give a hub id\n",
    )
    code, _, err = openflan("run", desk, "--data", tmp_path / "none")
    assert code == 2
    assert "no such folder of data" in err
    assert [path.name for path in desk.iterdir()] == ["parcels.csv"]
    code, _, err = openflan("run", tmp_path)
    assert code == 2
    assert "a folder without a recipe.yaml" in err


def test_prompts_are_as_long_as_the_own_rows_need(own, tmp_path):
    entries = own("cafe_review")
    short, _ = written(propose(tmp_path, entries), tmp_path)
    rows = tmp_path / "tasks" / "rows" / "cafe_review-train.jsonl"
    rows.write_text(rows.read_text(encoding="utf-8").replace("The cafe", "The cafe " + "and its garden " * 100))
    long, _ = written(propose(tmp_path, entries), tmp_path)
    assert short.prompts.max_input_tokens < long.prompts.max_input_tokens
