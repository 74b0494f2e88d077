"""A study from file to account: what is shared, killed, failed and forecast."""

import csv
import json
import shutil
import time
from pathlib import Path

import pytest

from little_studies import little_study, write_study
from openflan.study.forecast import forecast
from openflan.study.grid import make_grid
from openflan.study.outcome import read_study
from openflan.study.running import run_study
from openflan.study.spec import load_study
from processes import Command

HELD = ("natural_language_inference", "paraphrase")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, my_tasks, tiny_llama):
    """A study of 2 × 2 cells that has run: (its file, runs folder, how it ended)."""
    folder = tmp_path_factory.mktemp("study")
    path = write_study(folder, little_study(my_tasks, tiny_llama))
    events = []
    ran = run_study(load_study(path), runs=folder / "runs", watch=events.append)
    return path, folder / "runs", ran, events


def test_the_account_tells_every_cell_point_and_finding(finished):
    _, runs, ran, _ = finished
    outcome = read_study(ran.folder)
    assert outcome == ran.outcome
    assert [cell.name for cell in outcome.cells] == [
        "steps=1,asked=shown",
        "steps=1,asked=hidden",
        "steps=2,asked=shown",
        "steps=2,asked=hidden",
    ]
    assert {cell.status for cell in outcome.cells} == {"ok"}
    assert all((runs / cell.run / "results.json").is_file() for cell in outcome.cells)
    assert len(outcome.points) == 4 * 2
    assert {point.cluster for point in outcome.points} == {"natural_language_inference", "paraphrase"}
    assert [(point.x, point.cell) for point in outcome.drawn] == [(1.0, "steps=1"), (2.0, "steps=2")]
    assert {finding.verdict for finding in outcome.findings} <= {"confirmed", "not seen", "reversed"}
    assert all(finding.ci95[0] <= finding.difference <= finding.ci95[1] for finding in outcome.findings)


def test_points_are_those_of_the_runs_own_results(finished):
    _, runs, ran, _ = finished
    for cell in ran.outcome.cells:
        results = json.loads((runs / cell.run / "results.json").read_text(encoding="utf-8"))
        own = {record["cluster"]: (record["base"], record["tuned"]) for record in results["verdict"]["held_out"]}
        mine = {p.cluster: (p.untuned, p.tuned) for p in ran.outcome.points if p.cell == cell.name}
        assert mine == own
        mean = next(p for p in ran.outcome.means if p.cell == cell.name)
        assert mean.untuned == pytest.approx(sum(base for base, _ in own.values()) / len(own))
        assert mean.gain == pytest.approx(mean.tuned - mean.untuned)


def test_what_cells_share_is_done_once(finished):
    path, _, ran, events = finished
    shared = {cell.name: set(cell.shared) for cell in ran.outcome.cells}
    assert shared["steps=1,asked=shown"] == set()
    assert shared["steps=1,asked=hidden"] == {"mixture", "training/seed-0"}
    assert shared["steps=2,asked=shown"] == {"evaluation/untuned"}
    assert shared["steps=2,asked=hidden"] == {"mixture", "training/seed-0", "evaluation/untuned"}
    begun = [str(e.event.stage) for e in events if e.event is not None and e.event.kind == "started"]
    assert begun.count("training seed-0") == 2
    assert begun.count("evaluation untuned") == 2
    expected = forecast(make_grid(load_study(path)))
    assert {cell.cell: set(cell.shared) for cell in expected.cells} == shared
    assert expected.tokens == (1 + 2) * 512


def test_the_plot_has_its_numbers_beside_it(finished):
    folder = finished[2].folder
    lines = list(csv.DictReader((folder / "plot.csv").open(encoding="utf-8")))
    drawn = [line for line in lines if line["cluster"] == "mean" and line["measure"] == "tuned"]
    assert [float(line["value"]) for line in drawn] == pytest.approx(
        [p.tuned for p in finished[2].outcome.drawn], abs=1e-6
    )
    assert (folder / "plot.svg").read_text(encoding="utf-8").count("<path") > 5
    assert (folder / "plot.png").stat().st_size > 5_000
    assert load_study(folder / "study.yaml").file == load_study(finished[0]).file


@pytest.mark.parametrize(
    ("plot", "places"),
    [
        ({"kind": "bar", "x": "cluster", "y": ["untuned", "tuned"], "series": "steps"},
         [(s, c) for s in "12" for c in HELD]),
        ({"kind": "bar", "x": "asked", "y": ["gain"]}, [("", "shown"), ("", "hidden")]),
        ({"kind": "line", "x": "steps", "y": ["tuned"], "series": "asked", "log_x": True},
         [(s, x) for s in ("shown", "hidden") for x in "12"]),
    ],
)  # fmt: skip
def test_cells_that_stand_in_one_place_are_drawn_as_their_mean(finished, tmp_path, my_tasks, tiny_llama, plot, places):
    path = write_study(tmp_path, little_study(my_tasks, tiny_llama) | {"plot": plot})
    shutil.copytree(finished[1], tmp_path / "runs")
    events = []
    outcome = run_study(load_study(path), runs=tmp_path / "runs", watch=events.append).outcome
    assert {event.kind for event in events} == {"started", "kept"}
    assert [(point.series, point.x_label) for point in outcome.drawn] == places
    for point in outcome.drawn:
        cells = set(point.cell.split(",")) - {""}
        mine = [p for p in outcome.points if cells <= set(p.cell.split(",")) and point.cluster in ("", p.cluster)]
        assert point.tuned == pytest.approx(sum(p.tuned for p in mine) / len(mine))
    assert (tmp_path / "runs" / finished[2].folder.name / "plot.png").stat().st_size > 5_000


def test_run_again_it_does_nothing_and_says_the_same(finished, openflan):
    path, runs, ran, _ = finished
    kept = {p: p.stat().st_mtime_ns for p in runs.glob("little-*/**/*")}
    code, out, err = openflan("study", path, "--runs", runs, "--json")
    assert (code, err) == (0, "")
    results = json.loads(out)
    assert results.pop("study") == str(ran.folder)
    assert {p: p.stat().st_mtime_ns for p in runs.glob("little-*/**/*")} == kept
    code, out, err = openflan("study", path, "--runs", runs)
    assert "already done" in err
    assert "4 of 4 done" in err
    assert "Tuning helps (Figure 1)" in out


@pytest.mark.slow
def test_killed_it_goes_on_with_the_cells_that_are_left(finished, tmp_path):
    path, _, ran, _ = finished
    runs, less = tmp_path / "runs", "axes.steps=[2]"
    process = Command("study", path, "--runs", runs, "--set", less, "--quiet")
    while process.alive and not list(runs.glob("little-*/results.json")):
        time.sleep(0.001)
    process.kill()
    whole = list(runs.glob("little-*/training/seed-0/model/model.safetensors"))
    assert whole
    assert not list(runs.glob("study-*/study.json"))
    before = {p: p.stat().st_mtime_ns for p in whole}
    again = run_study(load_study(path, settings=[less]), runs=runs)
    assert {p: p.stat().st_mtime_ns for p in whole} == before
    assert again.outcome.points == [point for point in ran.outcome.points if point.cell.startswith("steps=2")]
    assert again.outcome.findings[0].verdict == "not tested"


def test_stopped_by_the_user_it_tells_what_is_whole_and_what_waits(finished, tmp_path):
    study = load_study(finished[0], settings=["axes.steps=[1]"])

    def stop(event):
        if event.kind == "done":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(study, runs=tmp_path, watch=stop)
    (folder,) = tmp_path.glob("study-*")
    outcome = read_study(folder)
    assert [cell.status for cell in outcome.cells] == ["ok", "waiting"]
    assert {point.cell for point in outcome.points} == {"steps=1,asked=shown"}
    assert outcome.cells[0].certificate


def test_a_cell_that_the_user_stopped_did_not_fail(finished, tmp_path, ctrl_c_while_loading):
    study = load_study(finished[0], settings=["axes.steps=[1]"])
    with pytest.raises(KeyboardInterrupt):
        run_study(study, runs=tmp_path)
    (folder,) = tmp_path.glob("study-*")
    assert [cell.status for cell in read_study(folder).cells] == ["waiting", "waiting"]


@pytest.fixture(scope="module")
def broken(tmp_path_factory, my_tasks, tiny_llama):
    """A study with a model that can't be tuned, and two cells of which one starts from it."""
    axes = [
        {
            "name": "model",
            "values": {
                "good": {"model.path": {"run_of": "first"}},
                "bad": {"model.path": "no/such/folder"},
                "blocked": {"model.path": {"run_of": "second"}},
                "plain": {},
            },
        }
    ]
    before = {"first": {"training.steps": 1}, "second": {"model.path": "./gone"}}
    folder = tmp_path_factory.mktemp("broken")
    path = write_study(folder, little_study(my_tasks, tiny_llama, axes=axes, before=before))
    return path, folder / "runs"


def test_a_cell_that_fails_is_named_and_the_others_go_on(broken, openflan):
    path, runs = broken
    code, _, err = openflan("study", path, "--runs", runs)
    assert code == 1
    assert "openflan: model=bad: model.path: no/such/folder: no such model folder" in err
    assert "openflan: model=blocked: the model that it starts from failed: second: " in err
    (folder,) = runs.glob("study-*")
    outcome = read_study(folder)
    assert {c.name: c.status for c in outcome.cells} == {
        "model=good": "ok",
        "model=bad": "failed",
        "model=blocked": "failed",
        "model=plain": "ok",
    }
    assert {point.cell for point in outcome.points} == {"model=good", "model=plain"}
    assert outcome.sentence.endswith("2 of the cells failed.")
    untested = [finding for finding in outcome.findings if finding.verdict == "not tested"]
    assert untested[-1].sentence == "Not tested: model=bad is missing."


def test_a_cell_that_refuses_long_prompts_takes_no_answers_to_cut_ones(tmp_path, my_tasks, tiny_llama):
    axes = [{"name": "long", "key": "evaluation.too_long", "values": ["cut", "refuse"]}]
    content = little_study(my_tasks, tiny_llama, axes=axes)
    content["settings"]["starter"]["base"]["prompts"]["max_input_tokens"] = 30
    outcome = run_study(load_study(write_study(tmp_path, content)), runs=tmp_path / "runs").outcome
    assert [cell.status for cell in outcome.cells] == ["ok", "failed"]
    assert "prompts have more than 30 tokens" in outcome.cells[1].message


def test_a_cell_starts_from_the_model_that_was_tuned_before(broken):
    path, runs = broken
    study = load_study(path)
    run_study(study, runs=runs)
    grid = make_grid(study)
    good = next(cell for cell in grid.cells if cell.name == "model=good")
    model = Path(good.recipe(runs).model.path)
    assert (model / "model.safetensors").is_file()
    assert model.parts[-4].startswith("little-first-")
    assert not list(runs.glob("little-first-*/evaluation"))


def test_a_forecast_needs_no_data_and_writes_nothing(tmp_path, openflan, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENFLAN_DATA", raising=False)
    code, out, err = openflan("study", "clusters", "--setting", "paper", "--dry-run", "--pace", "20000")
    assert (code, err) == (0, "")
    assert "clusters=7" in out
    assert "1,720,320,000 tokens" in out
    assert "h at 20,000 tokens a second" in out
    assert not list(tmp_path.iterdir())
