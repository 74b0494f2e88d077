"""`openflan train` killed by the system at random moments, most of them inside the writing of a checkpoint."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

KILLS = 20


def train(recipe: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "openflan", "train", str(recipe), "--out", str(out), "--quiet"]
    return subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"})


@pytest.mark.slow
def test_killed_at_twenty_moments_training_ends_with_the_same_bytes(tmp_path, my_tasks, tiny_llama):
    recipe = tmp_path / "killed.yaml"
    settings = {
        "name": "killed",
        "model": {"path": str(tiny_llama)},
        "tasks": {"use": ["mine"], "folders": [str(my_tasks)], "hold_out": ["natural_language_inference"]},
        "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
        "training": {
            "steps": 150,
            "tokens_per_batch": 512,
            "checkpoint_every": 1,
            "optimizer": {"name": "adamw", "learning_rate": 1e-3},
        },
        "evaluation": {"max_new_tokens": 4},
    }
    recipe.write_text(yaml.safe_dump(settings), encoding="utf-8")
    began = time.perf_counter()
    assert train(recipe, tmp_path / "straight").wait() == 0
    seconds = time.perf_counter() - began
    moments = random.Random(5)
    inside = 0
    for _ in range(KILLS):
        process = train(recipe, tmp_path / "killed")
        with suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0.5, 0.95) * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        inside += any((tmp_path / "killed").rglob("checkpoints/.step-*.partial"))
    assert train(recipe, tmp_path / "killed").wait() == 0
    one, other = (next((tmp_path / name).rglob("model/model.safetensors")) for name in ("straight", "killed"))
    assert one.read_bytes() == other.read_bytes()
    assert inside, "no kill met a checkpoint half written: make checkpoints slower"
