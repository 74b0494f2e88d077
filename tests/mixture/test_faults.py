"""Killed, filled up, spread over processes or a Ray cluster: the same bytes, or one clear line."""

import json
import os
import random
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
import yaml

from little_mixtures import write_mixture
from openflan.errors import UserError
from openflan.mixture.holdout import hold_out
from openflan.models.load import find_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import ModelPart
from openflan.recipes.recipe import Recipe
from openflan.tasks.catalog import open_catalog
from processes import Command

RECIPE = {
    "name": "little",
    "tasks": {"use": ["mine"], "hold_out": ["natural_language_inference"]},
    "prompts": {"max_input_tokens": 96, "max_target_tokens": 32},
    "mixture": {"maximum": 40},
    "training": {"steps": 30, "tokens_per_batch": 2048},
    "seeds": [0, 1],
}


def contents(folder: Path) -> dict[str, bytes]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "manifest.json"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, my_tasks, tiny_llama):
    """A recipe of the little tasks."""
    path = tmp_path_factory.mktemp("recipe") / "little.yaml"
    settings = {**RECIPE, "model": {"path": str(tiny_llama)}, "tasks": {**RECIPE["tasks"], "folders": [str(my_tasks)]}}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def command(recipe):
    """Starts `openflan mix` on it, into a folder of choice."""
    return lambda out, **how: Command("mix", recipe, "--out", out, "-q", **how)


@pytest.fixture(scope="module")
def straight(tmp_path_factory, command):
    """A mixture made without a disturbance, and how many seconds it took."""
    out = tmp_path_factory.mktemp("straight")
    assert Command("--version").wait() == 0  # by now all is imported, and what is measured is mixing
    began = time.perf_counter()
    assert command(out).wait() == 0
    seconds = time.perf_counter() - began
    (run,) = out.iterdir()
    return contents(run / "mixture"), seconds


def killed_and_finished(command, out: Path, moments: list[float]) -> dict[str, bytes]:
    """The mixture after one kill at each of the moments (seconds from the start) and a last, undisturbed call."""
    for moment in moments:
        process = command(out)
        time.sleep(moment)
        process.kill()
    assert command(out).wait() == 0
    (run,) = out.iterdir()
    assert not list((run / "mixture").rglob(".*"))
    return contents(run / "mixture")


@pytest.mark.slow
def test_killed_while_mixing_the_next_call_ends_with_the_same_bytes(command, straight, tmp_path):
    wanted, seconds = straight
    assert killed_and_finished(command, tmp_path, [0.75 * seconds]) == wanted


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_with_the_same_bytes(command, straight, tmp_path):
    wanted, seconds = straight
    chance = random.Random(0)
    for turn in range(20):
        moments = [chance.uniform(0.3, 1.0) * seconds]
        assert killed_and_finished(command, tmp_path / str(turn), moments) == wanted


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(command, tmp_path):
    """A file-size limit stands in for a disk: every write beyond it fails as on a full one."""
    done = command(tmp_path, largest_file=30 * 1024)
    assert done.wait() == 2
    assert done.stderr.count("\n") == 1
    assert "the disk is full" in done.stderr
    whole = [path for path in tmp_path.rglob("*.arrow") if not path.name.startswith(".")]
    assert all(path.stat().st_size <= 30 * 1024 for path in whole)
    assert not list(tmp_path.rglob(".*.arrow.*"))
    assert not list(tmp_path.glob("*/mixture"))


@pytest.fixture
def ray_recipe(my_tasks, tiny_llama):
    """Division, encoder and recipe of a mixture of some hundred pieces."""
    entries = open_catalog([my_tasks], collections=()).select(["mine"], where="tasks.use")
    more = {"seeds": (0,), "training": {**RECIPE["training"], "steps": 60}}
    recipe = Recipe.model_validate({**{k: v for k, v in RECIPE.items() if k != "tasks"}, **more})
    model = find_model(ModelPart(path=str(tiny_llama)), tiny_llama)
    return (
        hold_out(entries, ["natural_language_inference"], kin="paper"),
        TextEncoder.of(load_tokenizer(model), recipe.prompts),
        recipe,
    )


@pytest.mark.slow
def test_a_ray_cluster_that_loses_a_worker_writes_the_same_bytes(ray_recipe, tmp_path):
    import ray

    division, encoder, recipe = ray_recipe
    here = contents(write_mixture(tmp_path / "here", recipe, division, encoder))
    killed: list[int] = []

    def kill_one() -> None:
        """Kill the first actor that is seen at work."""
        while not killed and not done.is_set():
            for process in psutil.process_iter(["name", "cmdline"]):
                if any("ray::MapWorker" in part for part in process.info["cmdline"] or ()):
                    os.kill(process.pid, signal.SIGKILL)
                    killed.append(process.pid)
                    return
            time.sleep(0.02)

    done = threading.Event()
    thread = threading.Thread(target=kill_one)
    thread.start()
    try:
        there = contents(write_mixture(tmp_path / "there", recipe, division, encoder, engine="ray", workers=2))
    finally:
        done.set()
        thread.join()
        ray.shutdown()
    assert killed
    assert there == here


def test_an_unknown_engine_is_told(ray_recipe, tmp_path):
    division, encoder, recipe = ray_recipe
    with pytest.raises(UserError, match="no engine 'spark'; local or ray"):
        write_mixture(tmp_path, recipe, division, encoder, engine="spark")


def test_training_refuses_a_mixture_without_its_certificate(recipe, openflan, tmp_path):
    some = (recipe, "--out", tmp_path, "-q", "--set", "training.steps=2")
    assert openflan("mix", *some)[0] == 0
    (run,) = tmp_path.iterdir()
    certificate = run / "mixture" / "leakage.json"
    record = json.loads(certificate.read_text(encoding="utf-8"))
    assert record["clean"]
    certificate.unlink()
    code, _, err = openflan("train", *some)
    assert (code, err.count("\n")) == (2, 1)
    assert "leakage.json" in err
