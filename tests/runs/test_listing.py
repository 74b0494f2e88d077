"""Runs and studies as a folder shows them: while somebody works on them, after, and when nobody does any more."""

import json
import os
import subprocess
import sys
import time

import pytest

import openflan
from little_runs import write_recipe
from little_studies import little_study, write_study
from openflan.errors import UserError
from openflan.runs.progress import RunProgress, Worker, read_progress, write_progress
from openflan.runs.stages import StageKind


def test_a_run_at_work_says_which_stage_and_step_it_is_at(looked_at):
    _, seen = looked_at
    assert {status.state for _, status, _ in seen} >= {"mixing", "tuning", "evaluating", "reporting"}
    tuned = [status for event, status, _ in seen if event.stage.kind is StageKind.TRAINING and event.kind == "done"]
    assert [stage.state for stage in tuned[0].stages[:3]] == ["done", "done", "waiting"]
    assert all(status.works for _, status, _ in seen)
    assert any(status.state_words == "tuning seed-0, step 1 of 6" for _, status, _ in seen)
    assert any(status.left is not None for _, status, _ in seen)


def test_losses_are_there_while_it_is_tuned(looked_at):
    steps = [losses for event, _, losses in looked_at[1] if event.unit == "steps"]
    assert steps[0] >= 1
    assert sorted(steps) == steps
    assert steps[-1] == 6


def test_a_run_that_is_done_tells_its_verdict_and_leaves_no_progress(looked_at):
    run, _ = looked_at
    assert not run.places.progress.exists()
    (status,) = openflan.list_runs(run.folder.parent)
    assert (status.state, status.works, status.left) == ("done", False, None)
    verdict = run.results.verdict
    assert status.sentence == f"{verdict.own_sentence} {verdict.sentence}"
    gains = {gain.name: gain.gain for gain in status.gains if gain.role == "held_out"}
    assert gains == {one.cluster: one.gain for one in run.results.verdict.held_out}
    assert {stage.state for stage in status.stages} == {"done"}


def test_a_killed_run_is_told_from_one_that_works(looked_at, tmp_path):
    run, _ = looked_at
    head = json.loads(run.places.head.read_text(encoding="utf-8"))
    (tmp_path / "run.json").write_text(json.dumps({**head, "results": None}), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_bytes(run.places.recipe.read_bytes())
    stages = [{"place": "mixture", "state": "done"}, {"place": "training/seed-0", "state": "working", "done": 3}]
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    here = Worker.here()
    try:
        began = Worker.of(worker.pid)
        record = RunProgress.model_validate({"worker": began, "began": 0.0, "updated": time.time(), "stages": stages})
        write_progress(tmp_path / "progress.json", record)
        assert openflan.run_status(tmp_path).state == "tuning"
    finally:
        worker.communicate()
    assert openflan.run_status(tmp_path).state == "waiting"  # it holds nothing whole
    elsewhere = here.model_copy(update={"machine": "elsewhere"})
    write_progress(tmp_path / "progress.json", record.model_copy(update={"worker": elsewhere}))
    assert openflan.run_status(tmp_path).works
    write_progress(tmp_path / "progress.json", record.model_copy(update={"worker": elsewhere, "updated": 0.0}))
    assert not openflan.run_status(tmp_path).works
    assert here.process == os.getpid()


def test_a_fault_stays_to_be_read_until_the_run_goes_on(tmp_path, my_tasks, tiny_llama, monkeypatch):
    run = openflan.Run(write_recipe(tmp_path, my_tasks, tiny_llama), runs=tmp_path / "runs")
    run.mix()

    def fault(_event):
        raise UserError("the roof fell in", where="here")

    with pytest.raises(UserError, match="roof"):
        run.tune(watch=fault)
    status = openflan.run_status(run.folder)
    assert (status.state, status.works) == ("failed", False)
    assert "here: the roof fell in" in status.message
    run.tune()
    status = openflan.run_status(run.folder)
    assert (status.state, status.message) == ("unfinished", "")
    assert read_progress(run.folder) is None


def test_a_folder_of_another_version_is_listed_and_says_so(tmp_path):
    (tmp_path / "old-1").mkdir()
    (tmp_path / "old-1" / "run.json").write_text('{"format": 0}', encoding="utf-8")
    (tmp_path / "old-1" / "recipe.yaml").write_text("name: old", encoding="utf-8")
    (status,) = openflan.list_runs(tmp_path)
    assert status.state == "failed"
    assert "format 0" in status.message


def test_a_study_shows_its_cells_while_it_works_and_after(tmp_path, my_tasks, tiny_llama):
    axes = [{"name": "steps", "key": "training.steps", "values": [1, 2]}]
    study = openflan.Study(write_study(tmp_path, little_study(my_tasks, tiny_llama, axes=axes)), runs=tmp_path / "runs")
    seen = []
    study.run(watch=lambda event: seen.append((event, openflan.list_studies(tmp_path / "runs")[0])))
    assert {status.state for _, status in seen} == {"working"}
    last, status = seen[-1]
    assert (last.through, last.cells, last.share) == (2, 2, pytest.approx(1.0))
    assert [cell.state for cell in status.cells] == ["done"] * 2
    assert {cell.run for cell in status.cells} <= {run.name for run in openflan.list_runs(tmp_path / "runs")}
    (after,) = openflan.list_studies(tmp_path / "runs")
    assert (after.state, after.through, after.left) == ("done", 2, None)
    assert after.sentence == study.outcome.sentence
    assert not (study.folder / "progress.json").exists()


def test_answers_without_a_recipe_are_listed(tmp_path):
    for name, text in (("eval-a-1", '{"model": "a", "tasks": [{"task": "rte"}]}'), ("eval-b-2", "half")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(text, encoding="utf-8")
    (one,) = openflan.list_evaluations(tmp_path)
    assert (one.name, one.model, one.tasks) == ("eval-a-1", "a", ("rte",))
    with pytest.raises(UserError, match="no such folder"):
        openflan.list_evaluations(tmp_path / "none")
