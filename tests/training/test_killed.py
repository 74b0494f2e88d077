"""`openflan train` killed by the system at random moments, every other one while a checkpoint is written."""

import random
import time
from pathlib import Path

import pytest
import yaml

from processes import Command

KILLS = 20
STEPS = 150


def train(recipe: Path, out: Path) -> Command:
    return Command("train", recipe, "--out", out, "--quiet", OMP_NUM_THREADS="2")


def checkpoints(out: Path, names: str = "step-*") -> set[str]:
    """Those that there are; what is in their folders, which may go meanwhile, is not looked at."""
    return {path.name for path in out.glob(f"*/training/*/checkpoints/{names}")}


def last_step(out: Path) -> int:
    """Of the newest whole checkpoint; 0 if there is none."""
    return max((int(name.removeprefix("step-")) for name in checkpoints(out)), default=0)


@pytest.mark.slow
def test_killed_at_twenty_moments_training_ends_with_the_same_bytes(tmp_path, my_tasks, tiny_llama):
    recipe = tmp_path / "killed.yaml"
    settings = {
        "name": "killed",
        "model": {"path": str(tiny_llama)},
        "tasks": {"use": ["mine"], "folders": [str(my_tasks)], "hold_out": ["natural_language_inference"]},
        "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
        "training": {
            "steps": STEPS,
            "tokens_per_batch": 160,
            "checkpoint_every": 1,
            "optimizer": {"name": "adamw", "learning_rate": 1e-3},
        },
        "evaluation": {"max_new_tokens": 4},
    }
    recipe.write_text(yaml.safe_dump(settings), encoding="utf-8")
    assert train(recipe, tmp_path / "straight").wait() == 0
    out, moments = tmp_path / "killed", random.Random(5)
    inside = 0
    for kill in range(KILLS):
        until = last_step(out) + moments.randint(1, STEPS // KILLS - 2)
        process = train(recipe, out)
        while process.alive and last_step(out) < until:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.01))
        while kill % 2 and process.alive and not checkpoints(out, ".step-*.partial"):
            pass
        assert process.alive, "training ended before it was killed: more steps"
        process.kill()
        inside += bool(checkpoints(out, ".step-*.partial"))
    assert train(recipe, out).wait() == 0
    one, other = (next((tmp_path / name).rglob("model/model.safetensors")) for name in ("straight", "killed"))
    assert one.read_bytes() == other.read_bytes()
    assert inside > KILLS // 4, "few kills met a checkpoint half written: make checkpoints slower"
