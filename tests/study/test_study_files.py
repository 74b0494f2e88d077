"""Study files: what is refused and how it is said, and that the ready ones can be run."""

from itertools import pairwise
from pathlib import Path

import pytest

import openflan_starter
from little_studies import little_study, write_study
from openflan.errors import UserError
from openflan.study.forecast import forecast
from openflan.study.grid import make_grid
from openflan.study.spec import load_study

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
NOWHERE = Path("nowhere")
SEVEN = {"holdout", "clusters", "scale", "instructions", "templates", "few-shot", "prompt-tuning"}


def load(tmp_path, content, *settings, **options):
    return load_study(write_study(tmp_path, content), settings=settings, **options)


def test_the_seven_of_the_paper_are_there():
    assert {path.stem for path in STUDIES} == {*SEVEN, "rows"}


def test_the_learning_curve_can_be_forecast_and_claims_nothing_of_the_paper():
    study = load_study(Path("rows"))
    estimate = forecast(make_grid(study))
    assert [cell.trainings for cell in estimate.cells] == [2, 2, 2, 2]
    assert estimate.seconds is not None
    assert estimate.seconds < 20 * 60
    assert study.file.figure == "none"
    assert not study.file.paper_setting


@pytest.mark.parametrize("setting", ["starter", "paper"])
@pytest.mark.parametrize("path", [p for p in STUDIES if p.stem in SEVEN], ids=lambda path: path.stem)
def test_a_ready_study_can_be_run_and_forecast_without_data(path, setting, monkeypatch):
    monkeypatch.delenv("OPENFLAN_DATA", raising=False)
    study = load_study(path, setting=setting)
    assert study.file.name == path.stem
    assert study.file.paper_setting
    assert study.part.differs
    assert study.file.claims
    estimate = forecast(make_grid(study))
    assert estimate.tokens > 0
    if setting == "starter":
        assert len(study.part.seeds) == 3
        assert estimate.seconds is not None
        assert estimate.seconds < 35 * 60
    else:
        assert estimate.concerns == (
            "no time is told, for the size of a model is not known here: name a pace with --pace",
        )


def test_the_clusters_are_added_in_the_papers_order_and_none_is_lost():
    cells = {
        setting: make_grid(load_study(Path("clusters"), setting=setting)).cells for setting in ("starter", "paper")
    }
    for group in cells.values():
        used = [set(cell.data["tasks"]["use"]) for cell in group]
        assert all(fewer < more for fewer, more in pairwise(used))
    last = set(cells["starter"][-1].data["tasks"]["use"])
    suite = openflan_starter.SUITE.glob("*/*.yaml")
    left_out = {path.parent.name for path in suite if path.stem not in last}
    assert left_out == {"closed_book_qa", "commonsense", "reading_comprehension_with_commonsense"}


def test_templates_and_shots_reach_the_recipe():
    cells = make_grid(load_study(Path("templates"))).cells
    assert {(c.stand_in().mixture.templates_per_task, c.stand_in().mixture.tasks_per_cluster) for c in cells} == {
        (templates, tasks) for templates in (1, 2, 4, 7, 10) for tasks in (1, 3)
    }
    assert [cell.stand_in().prompts.shots for cell in make_grid(load_study(Path("few-shot"))).cells] == [0, 1, 2, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": [{"name": "steps", "values": [1]}]}, r"a list of values needs a key"),
        ({"axes": [{"name": "steps", "key": "training.steps", "values": [1, 1]}]}, r"two values have one label"),
        ({"axes": [{"name": "s", "x": "number", "values": {"a": {}}}]}, r"x: number needs labels that are numbers"),
        ({"axes": [{"name": "steps", "key": "training.stebs", "values": [1, 2]}]}, r"unknown key 'training\.stebs'"),
        ({"before": {"first": {}}}, r"no cell starts from 'first'"),
        ({"axes": [{"name": "m", "values": {"a": {"model.path": {"run_of": "firstt"}}}}], "before": {"first": {}}},
         r"no model 'firstt' is tuned before; did you mean 'first'"),
        ({"base": "starterr"}, r"no recipe 'starterr'; did you mean 'starter'"),
        ({"resources": {"cpus": 0}}, r"resources\.cpus: Input should be greater than 0"),
        ({"changed": {}}, r"unknown key .*changed"),
    ],
)  # fmt: skip
def test_a_bad_study_is_one_clear_line(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        make_grid(load(tmp_path, little_study(NOWHERE, NOWHERE, **change)))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("claims", [{"says": "x", "of": {"stebs": "1"}, "against": {}}], r"claims\[0\]: no axis 'stebs'; did you mean"),
        ("claims", [{"says": "x", "of": {"steps": "3"}, "against": {}}], r"no value of steps '3'; one of: first, last"),
        ("claims", [{"says": "x", "measure": "tuned"}], r"only a gain can be held against no change"),
        ("claims", [{"says": "x", "measure": "gain", "expect": "same"}], r"expect: same needs a margin"),
        ("plot", {"x": "size"}, r"plot\.x: no axis 'size'"),
        ("plot", {"x": "asked", "log_x": True}, r"log_x needs an axis of quantities"),
    ],
)  # fmt: skip
def test_claims_and_plot_speak_of_axes_that_there_are(tmp_path, key, value, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, little_study(NOWHERE, NOWHERE) | {key: value})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "training.steps=3",
            r"--set training\.steps: an axis sets 'training\.steps' in each cell; set the axis instead",
        ),
        ("training={steps: 3}", r"an axis sets 'training\.steps'"),
        ("axes.stebs=[1]", r"no axis 'stebs'; did you mean 'steps'"),
        ("axes.asked=[shon]", r"--set axes\.asked: no value of asked 'shon'; did you mean 'shown'"),
        ("before.x.training.steps=1", r"no model 'x' is tuned before"),
        ("resources.cpu=1", r"unknown key 'resources\.cpu'; did you mean 'cpus'"),
    ],
)
def test_a_setting_that_would_be_ignored_is_refused(tmp_path, setting, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, little_study(NOWHERE, NOWHERE), setting)


def test_settings_change_axes_seeds_and_recipes(tmp_path):
    content = little_study(NOWHERE, NOWHERE)
    grid = make_grid(load(tmp_path, content, "axes.steps=[5, 6, 7]", "seeds=[4, 5]", "evaluation.rows=9"))
    recipes = [cell.stand_in() for cell in grid.cells]
    assert [recipe.training.steps for recipe in recipes] == [5, 5, 6, 6, 7, 7]
    assert {(recipe.seeds, recipe.evaluation.rows) for recipe in recipes} == {((4, 5), 9)}
    assert grid.fingerprint != make_grid(load(tmp_path, content)).fingerprint


@pytest.mark.parametrize(
    ("setting", "hides"),
    [
        ("axes.asked=[hidden]", [True]),
        ("axes.asked=[hidden, shown]", [True, False]),
        ("axes.asked={plain: {}}", [False]),
    ],
)
def test_values_by_label_are_chosen_by_label_or_said_anew(tmp_path, setting, hides):
    grid = make_grid(load(tmp_path, little_study(NOWHERE, NOWHERE), setting, "axes.steps=[1]"))
    assert [cell.stand_in().evaluation.options == "hidden" for cell in grid.cells] == hides


def test_the_command_line_says_what_is_wrong(openflan, tmp_path):
    code, _, err = openflan("study", "clusterz", "--dry-run")
    assert (code, err) == (2, "openflan: no study 'clusterz'; did you mean 'clusters'?\n")
    code, _, err = openflan("study", "clusters", "--setting", "papr", "--dry-run")
    assert code == 2
    assert "no setting 'papr'; did you mean 'paper'?" in err
    code, _, err = openflan("study", "clusters", "--pace", "100", "--runs", tmp_path / "runs")
    assert (code, "--pace is for --dry-run" in err) == (2, True)
    assert not (tmp_path / "runs").exists()
