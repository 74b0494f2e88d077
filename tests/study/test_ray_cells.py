"""Cells on a Ray cluster on this machine, of which a worker is killed."""

import hashlib
import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from little_studies import little_study, write_study
from openflan.errors import UserError
from openflan.study.running import run_study
from openflan.study.spec import load_study

AXES = [{"name": "model", "values": {"plain": {}, "after": {"model.path": {"run_of": "first"}}}}]


@pytest.fixture
def study(tmp_path, my_tasks, tiny_llama):
    before = {"first": {"training.steps": 2}}
    change = {"evaluation.rows": 4, "evaluation.bootstrap": 100, "evaluation.generate": False, "training.steps": 12}
    content = little_study(my_tasks, tiny_llama, axes=AXES, before=before, change=change, resources={"cpus": 1})
    return load_study(write_study(tmp_path, content))


def weights(runs: Path) -> dict[str, str]:
    paths = sorted(runs.glob("little-*/training/seed-0/model/model.safetensors"))
    return {p.parts[-5].rpartition("-")[0]: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_ends_with_the_same_models_and_numbers(study, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    here = run_study(study, runs=tmp_path / "here").outcome
    killed: list[int] = []
    done = threading.Event()

    def kill_one() -> None:
        """Kill the worker that trains the second cell's model, in the middle."""
        while not killed and not done.is_set():
            training = list((tmp_path / "there").glob("little-model-*/training/.seed-0.partial/checkpoints/*"))
            for process in psutil.Process().children(recursive=True) if training else ():
                if "ray::run_cell" in process.name() or any("ray::run_cell" in part for part in process.cmdline()):
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(process.pid)
                    return
            time.sleep(0.01)

    events = []
    thread = threading.Thread(target=kill_one)
    thread.start()
    try:
        there = run_study(study, runs=tmp_path / "there", engine="ray", watch=events.append).outcome
    finally:
        done.set()
        thread.join()
    assert killed
    assert [cell.status for cell in there.cells] == ["ok", "ok"]
    assert weights(tmp_path / "there") == weights(tmp_path / "here")
    assert len(weights(tmp_path / "here")) == 3
    assert (there.points, there.means, there.findings) == (here.points, here.means, here.findings)
    order = [(event.cell, event.kind) for event in events]
    assert order.index(("first", "done")) < order.index(("model=after", "started"))


def test_what_no_machine_has_is_told(study):
    pytest.importorskip("ray")
    from openflan.study.ray_cells import RayCells

    greedy = study.part.resources.model_copy(update={"gpus": 9.0})
    with pytest.raises(UserError, match=r"resources\.gpus: a cell needs 9 and the cluster has 0"):
        RayCells(greedy).refuse({"CPU": 4.0})


def test_an_unknown_engine_is_told(study, tmp_path):
    with pytest.raises(UserError, match="no engine 'spark'; local or ray"):
        run_study(study, runs=tmp_path / "runs", engine="spark")
    assert not (tmp_path / "runs").exists()
