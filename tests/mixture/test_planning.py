"""The plan of a mixture: arithmetic on rows and lengths, and what it warns of."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from openflan.errors import UserError
from openflan.mixture.holdout import hold_out
from openflan.mixture.lengths import TokenLengths
from openflan.mixture.planning import SPEED, TaskFacts, plan_mixture
from openflan.mixture.survey import survey
from openflan.models.load import ModelSource
from openflan.recipes.recipe import Recipe, load_recipe
from openflan.tasks.catalog import open_catalog
from openflan.tasks.errata import active_errata

CATALOG = list(open_catalog(collections=["catalog"]).entries.values())
BY_NAME = {entry.spec.name: entry for entry in CATALOG}
FLAN = Path(__file__).parents[2] / "recipes" / "flan.yaml"
ON_A_HUB = ModelSource(name="somebody/model", folder=None)


def plan(recipe, *, fidelity="paper", workers=2):
    """The plan of a recipe for which nothing is at hand."""
    division = hold_out(CATALOG, recipe.tasks.hold_out, kin="paper", lineage=recipe.tasks.lineage)
    errata = active_errata(fidelity, {}, where="")
    known = survey(recipe, division, division.held_out, ON_A_HUB, data=None, errata=errata)
    return plan_mixture(known.facts, CATALOG, recipe, workers=workers)


def facts(*, tokens=225.0, cut=0.0, **rows):
    lengths = TokenLengths(input=tokens - 5, target=5, cut=cut)
    return [TaskFacts(entry=BY_NAME[name], rows=n, lengths=lengths, basis="exact") for name, n in rows.items()]


def recipe(**parts):
    return Recipe.model_validate_json(json.dumps({"name": "some", "training": {"steps": 100}, **parts}))


def kinds(mixture):
    return {one.kind: one for one in mixture.concerns}


def test_the_papers_inference_hold_out_has_55_tasks_and_the_codes_total_rate():
    mixture = plan(load_recipe(FLAN), fidelity="code-v1")
    assert (mixture.totals.tasks, mixture.totals.total_rate) == (55, 152_240)
    assert mixture.totals.tokens == pytest.approx(30_000 * 8_192, rel=0.002)
    assert sum(task.rate for task in mixture.tasks) == pytest.approx(1)
    assert sum(task.token_share for task in mixture.tasks) == pytest.approx(1)
    assert sum(cluster.rate for cluster in mixture.clusters) == pytest.approx(1)
    for task in mixture.tasks:
        assert task.rate == pytest.approx(min(task.rows, 3_000) / 152_240, rel=1e-4)


def test_a_tiny_set_is_seen_five_to_seven_times_within_the_papers_budget():
    flan = load_recipe(FLAN, ["tasks.hold_out=[]"])
    sizes = {task.task: task.rows for task in plan(flan, fidelity="code-v1").tasks}
    assert set(sizes) == {entry.spec.name for entry in CATALOG if not entry.spec.evaluation_only}
    # at 200 to 250 tokens an example, as the paper's tokenizer may have had
    times = {}
    for tokens in (200.0, 250.0):
        mixture = plan_mixture(facts(tokens=tokens, **sizes), CATALOG, flan, workers=1)
        times[tokens] = next(task.epochs for task in mixture.tasks if task.task == "cb")
        assert "cb" in kinds(mixture)["often_seen"].about
    assert times[200.0] == pytest.approx(30_000 * 8_192 * 0.999 / 200 / 188_330, rel=1e-3)
    assert 5 < times[250.0] < times[200.0] < 7
    # with known lengths and a large vocabulary prompts are shorter, and there are more of them
    assert 5 < next(task.epochs for task in plan(flan).tasks if task.task == "cb") < 9


def test_epochs_tokens_and_shares_follow_from_rows_rates_and_lengths():
    rows = [*facts(tokens=100, cb=250, rte=2_500), *facts(tokens=300, squad_v1=30_000)]
    mixture = plan_mixture(rows, CATALOG, recipe(), workers=1)
    by_name = {task.task: task for task in mixture.tasks}
    assert by_name["squad_v1"].rate == pytest.approx(3_000 / 5_750)
    each = (2_750 * 100 + 3_000 * 300) / 5_750
    examples = 100 * 8_192 * 0.999 / each
    assert mixture.totals.examples == round(examples)
    assert by_name["cb"].epochs == pytest.approx(examples * 250 / 5_750 / 250)
    assert by_name["squad_v1"].token_share == pytest.approx(3_000 * 300 / (5_750 * each))


def test_what_looks_wrong_is_told():
    parts = {
        "training": {"steps": 400},
        "mixture": {
            "weights": {"rte": 0.1, "cb": 0.05},
            "groups": {"gone": {"use": ["translation"], "share": 0.2}, "some": {"use": ["misc", "sst2"], "share": 0.3}},
        },
    }
    rows = [
        *facts(tokens=100, cb=50, cola=8_000),
        *facts(tokens=900, cut=0.4, squad_v1=30_000, drop=30_000),
        *facts(tokens=100, snli=None),
    ]
    concerns = kinds(plan_mixture(rows, CATALOG, recipe(**parts), workers=1))
    assert concerns["often_seen"].about == ("cb",)
    assert concerns["large_cluster"].about == ("reading_comprehension",)
    assert concerns["single_task"].about == ("misc",)
    assert concerns["truncation"].about == ("squad_v1", "drop")
    assert "drop 40%" in concerns["truncation"].text
    assert concerns["passed_over"].about == (
        "mixture.weights.rte",
        "mixture.groups.gone",
        "mixture.groups.some.use: sst2",
    )
    assert concerns["unknown_rows"].about == ("snli",)


def test_a_sound_mixture_is_not_warned_of():
    rows = facts(cola=8_000, wic=5_000, squad_v1=30_000, drop=30_000, sst2=30_000, imdb_reviews=25_000)
    assert plan_mixture(rows, CATALOG, recipe(), workers=1).concerns == ()


def test_a_task_of_unknown_size_counts_as_large_and_has_no_epochs():
    by_name = {
        task.task: task for task in plan_mixture(facts(cola=8_000, wic=None), CATALOG, recipe(), workers=1).tasks
    }
    assert by_name["wic"].epochs is None
    assert by_name["wic"].rate == 0.5


def test_names_that_stand_for_nothing_are_refused():
    with pytest.raises(UserError, match=r"mixture\.weights\.colla.*did you mean 'cola'"):
        plan_mixture(facts(cola=8_000), CATALOG, recipe(mixture={"weights": {"colla": 0.1}}), workers=1)


@pytest.mark.parametrize(("lines", "says"), [([], "stands in a held-out task"), (facts(tokens=5, cb=9), "rendered")])
def test_where_nothing_is_left_it_is_one_clear_line(lines, says):
    empty = [replace(one, lengths=TokenLengths(input=0, target=0, cut=0)) for one in lines]
    with pytest.raises(UserError, match=says):
        plan_mixture(empty, CATALOG, recipe(), workers=1)


def test_the_rates_of_mixing_are_those_that_were_measured():
    path = FLAN.parents[1] / SPEED.source.rpartition(" ")[2]
    record = json.loads(path.read_text(encoding="utf-8"))
    for side, speed in (("one", SPEED.alone), ("two", SPEED.two), ("plain", SPEED.plain)):
        seen = median(turn["tokens"] / turn["seconds"] for turn in record["turns"][side])
        assert speed == pytest.approx(seen, rel=0.01)
    checked = median(turn["training_rows"] / turn["processor_seconds"] for turn in record["turns"]["leak"])
    assert SPEED.leak_check == pytest.approx(checked, rel=0.01)


def test_mixing_takes_as_long_as_was_seen_and_what_two_processes_did_not_share_is_never_shared():
    seconds = [SPEED.seconds(1e9, workers=workers, fast=True) for workers in (1, 2, 64)]
    assert seconds[:2] == pytest.approx([1e9 / SPEED.alone, 1e9 / SPEED.two])
    assert seconds[2] > 2 * seconds[1] - seconds[0]
    assert SPEED.seconds(1e9, workers=1, fast=False) == pytest.approx(1e9 / SPEED.plain)


def test_official_sizes_are_cut_as_the_rows_will_be():
    flan = load_recipe(FLAN, ["mixture.rows_per_task=1234", "tasks.hold_out=[math]"])
    plain = {task.task: task.rows for task in plan(flan).tasks}
    code = {task.task: task.rows for task in plan(flan, fidelity="code-v1").tasks}
    assert (plain["snli"], plain["cb"], plain["wnli"]) == (1_234, 200, 605)
    assert (code["snli"], code["cb"], code["wnli"]) == (1_230, 200, 600)
