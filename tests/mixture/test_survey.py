"""What is at hand is counted, and the plan agrees with the ledger of the mixture that is then made."""

import json

import pytest

from little_mixtures import write_mixture
from little_tasks import write_tasks
from openflan.mixture.holdout import hold_out
from openflan.mixture.planning import plan_mixture
from openflan.mixture.survey import survey
from openflan.models.load import ModelSource, find_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import ModelPart
from openflan.recipes.recipe import Recipe
from openflan.tasks.catalog import open_catalog
from openflan.tasks.local import TWINS

SHORT = {"max_input_tokens": 48, "max_target_tokens": 16}


def recipe(**parts):
    defaults = {"prompts": SHORT, "training": {"steps": 40, "tokens_per_batch": 1_024}, "seeds": [0, 1]}
    return Recipe.model_validate_json(json.dumps({"name": "mine", **defaults, **parts}))


def division(my_tasks):
    entries = list(open_catalog([my_tasks], collections=[]).entries.values())
    return hold_out(entries, ["natural_language_inference"], kin="paper")


def planned(recipe, holdout, model, **options):
    result = survey(recipe, holdout, holdout.held_out, model, errata=frozenset(), **{"data": None, **options})
    return result, plan_mixture(result.facts, [*holdout.tuned, *holdout.held_out], recipe, workers=1)


FEW_SHOT = {"max_input_tokens": 160, "max_target_tokens": 16, "styles": [{}, {"shots": 2, "options": "hidden"}]}
FEW = {"prompts": FEW_SHOT}
"""Prompts of a tenth of a step fill it less well."""


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({}, id="plain"),
        pytest.param(
            {"mixture": {"weights": {"cafe_review": 0.5}, "rows_per_task": 24}}, id="weights", marks=pytest.mark.slow
        ),
        pytest.param(FEW, id="few-shot", marks=pytest.mark.slow),
    ],
)
def test_a_plan_and_the_ledger_agree(tmp_path, my_tasks, tiny_llama, parts):
    mine, holdout = recipe(**parts), division(my_tasks)
    model = find_model(ModelPart(path=str(tiny_llama)), tiny_llama)
    result, plan = planned(mine, holdout, model)
    assert result.leaks is not None
    folder = write_mixture(tmp_path / "mixture", mine, holdout, TextEncoder.of(load_tokenizer(model), mine.prompts))
    ledger = json.loads((folder / "ledger.json").read_text())["tasks"]
    assert {task.task for task in plan.tasks} == set(ledger)
    for task in plan.tasks:
        real = ledger[task.task]
        assert task.basis == "exact"
        assert task.rows == real["rows"]
        assert task.rate == pytest.approx(real["rate"], rel=1e-9)
        for seed in ("0", "1"):
            assert task.epochs == pytest.approx(real["epochs"][seed], rel=0.02 if parts != FEW else 0.04)
            assert task.tokens == pytest.approx(real["tokens"][seed], rel=0.05)
    drawn = sum(real["tokens"]["0"] for real in ledger.values())
    assert plan.totals.tokens == pytest.approx(drawn, rel=0.02 if parts != FEW else 0.04)
    assert plan.totals.made_prompts == sum(sum(real["made"].values()) for real in ledger.values())
    cut = sum(sum(real["cut"].values()) for real in ledger.values()) / plan.totals.made_prompts
    assert plan.totals.cut == pytest.approx(cut, abs=0.02)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert plan.totals.disk_bytes == pytest.approx(size, rel=0.1)


def test_rows_that_leak_are_not_counted(tmp_path, tiny_llama):
    folder = write_tasks(tmp_path / "tasks") / "rows"
    texts = [f"Guest {n} wrote in the book of the house that the soup was cold but the bread was warm." for n in "abc"]
    stolen = [{"text": text, "label": 1} for text in texts]
    test_rows = [{"premise": text, "hypothesis": "The soup was cold.", "label": "entailment"} for text in texts]
    for name, rows in (("cafe_review-train", stolen), ("does_it_follow-test", test_rows)):
        with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    model = find_model(ModelPart(path=str(tiny_llama)), tiny_llama)
    result, plan = planned(recipe(), division(folder.parent), model)
    assert next(task.rows for task in plan.tasks if task.task == "cafe_review") == 40
    assert "3 training rows were dropped" in result.leaks


def test_with_the_tokenizer_on_a_hub_rows_are_counted_and_tokens_follow_from_bytes(my_tasks):
    _, plan = planned(recipe(), division(my_tasks), ModelSource(name="some/model", folder=None))
    assert {task.basis for task in plan.tasks} == {"rows"}
    assert {task.rows for task in plan.tasks} == {40}
    assert all(5 < task.input_tokens < 48 for task in plan.tasks)


def test_an_estimate_looks_at_no_rows(my_tasks):
    _, plan = planned(recipe(), division(my_tasks), ModelSource(name="some/model", folder=None), estimate=True)
    assert {(task.rows, task.basis) for task in plan.tasks} == {(None, "guess")}


def test_a_local_tokenizer_makes_an_estimate_its_own(tiny_llama):
    entries = [e for e in open_catalog(collections=["catalog"]).entries.values() if e.spec.name in ("sst2", "rte")]
    holdout, mine = (
        hold_out(entries, ["sentiment"], kin="none"),
        recipe(prompts={"max_input_tokens": 900, "max_target_tokens": 100}),
    )
    _, known = planned(mine, holdout, ModelSource(name="some/model", folder=None))
    _, own = planned(mine, holdout, find_model(ModelPart(path=str(tiny_llama)), tiny_llama))
    assert own.tasks[0].basis == "estimate"
    assert own.tasks[0].input_tokens > 1.3 * known.tasks[0].input_tokens  # a tiny vocabulary takes more tokens


def test_rows_that_the_data_folder_lacks_are_named(tmp_path, tiny_llama):
    entries = [e for e in open_catalog(collections=["catalog"]).entries.values() if e.spec.name in ("sst2", "rte")]
    holdout = hold_out(entries, ["sentiment"], kin="none")
    hub = ModelSource(name="some/model", folder=None)
    result, _ = planned(recipe(), holdout, hub, data=tmp_path)
    assert result.absent == ("rte",)
    result, plan = planned(recipe(), holdout, hub, data=TWINS)
    assert (result.absent, plan.tasks[0].basis) == ((), "rows")
