"""A little study on the little tasks and a tiny model: two axes, real runs of two steps."""

from pathlib import Path
from typing import Any

import yaml


def little_study(my_tasks: Path, model: Path, **changes: Any) -> dict[str, Any]:
    """A study file's content: steps × rows, inference and paraphrase held out.

    Args:
        changes: replaces keys of its only setting.
    """
    setting = {
        "base": {
            "name": "little",
            "model": {"path": str(model)},
            "tasks": {"use": ["mine"], "folders": [str(my_tasks)], "hold_out": ["natural_language_inference"]},
            "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
            "training": {
                "steps": 2,
                "tokens_per_batch": 512,
                "checkpoint_every": 1,
                "precision": "float32",
                "optimizer": {"name": "adamw", "learning_rate": 2e-3},
            },
        },
        "change": {
            "evaluation.rows": 6,
            "evaluation.own_rows": 0,
            "evaluation.bootstrap": 100,
            "evaluation.generate": False,
        },
        "seeds": [0],
        "axes": [
            {"name": "steps", "title": "steps", "key": "training.steps", "values": [1, 2]},
            {"name": "asked", "values": {"shown": {}, "hidden": {"evaluation.options": "hidden"}}},
        ],
        **changes,
    }
    axis = setting["axes"][0]["name"]
    claim = {"says": "More is better", "measure": "tuned", "of": {axis: "last"}, "against": {axis: "first"}}
    alone = {"says": "Tuning helps", "measure": "gain", "figure": "Figure 1", "paper": "it does"}
    return {
        "name": "little",
        "title": "A little study",
        "question": "Does more help?",
        "figure": "Figure 0",
        "claims": [claim, alone],
        "plot": {"x": axis, "y": ["untuned", "tuned"]},
        "settings": {"starter": setting},
    }


def write_study(folder: Path, content: dict[str, Any]) -> Path:
    """Write a study file."""
    path = folder / f"{content['name']}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path
