"""A little run on the little tasks and a tiny model, and what its folder shows while it works."""

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

import openflan

STEPS = 12
Looks = Sequence[tuple[openflan.Event, openflan.RunStatus, int]]


def write_recipe(folder: Path, my_tasks: Path, model: Path, **changes) -> Path:
    recipe = {
        "name": "short",
        "model": {"path": str(model)},
        "tasks": {"use": ["mine"], "folders": [str(my_tasks)], "hold_out": ["natural_language_inference"]},
        "prompts": {"max_input_tokens": 128, "max_target_tokens": 32},
        "training": {
            "steps": STEPS,
            "tokens_per_batch": 512,
            "checkpoint_every": 3,
            "precision": "float32",
            "optimizer": {"name": "adamw", "learning_rate": 2e-3},
        },
        "evaluation": {"rows": 6, "seen_rows": 4, "max_new_tokens": 4, "bootstrap": 100},
        "seeds": [0, 1],
    }
    for key, value in changes.items():
        part, name = key.split("__")
        recipe[part] = {**recipe[part], name: value}
    path = folder / "short.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def watched_run(folder: Path, recipe: Path) -> tuple[openflan.Run, Looks]:
    """A measured run, and at each of its events how it was listed and how many losses it had."""
    less = {"seeds": [0], "training.steps": 6, "evaluation.max_new_tokens": 2, "evaluation.rows": 8}
    run = openflan.Run(recipe, settings=less, runs=folder / "runs")
    seen = []

    def look(event):
        (status,) = openflan.list_runs(folder / "runs")
        losses = len(run.losses()) if event.kind == "progress" and event.unit == "steps" else 0
        seen.append((event, status, losses))

    run.measure(watch=look)
    return run, seen


def leaky_run(folder: Path, tuned: str, held_out: str) -> openflan.Run:
    """A mixed run whose held-out task and tuned task have these texts as their first rows.

    Args:
        folder: an empty one, for tasks and runs.
    """
    for name, cluster, first in (("tuned", "sentiment", tuned), ("held", "commonsense", held_out)):
        rows = [{"text": first, "label": 0}, *({"text": f"{name} row {n}", "label": n % 2} for n in range(11))]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        (folder / f"{name}.yaml").write_text(
            f"name: {name}\ncluster: {cluster}\nsource: {{files: {{all: {name}.jsonl}}}}\n"
            "splits: {train: all, test: all}\ncolumns: {text: string, label: {classes: [bad, good]}}\n"
            "answer: {field: label, options: [bad, good]}\nmetrics: [accuracy]\nlicence: MIT\n"
            f"lineage: [{name}_corpus]\ntemplates: [{{input: '{{{{text}}}} {{{{options}}}}'}}]\n",
            encoding="utf-8",
        )
    settings = {
        "name": "leaky",
        "tasks.use": ["mine"],
        "tasks.folders": [str(folder)],
        "tasks.hold_out": ["commonsense"],
        "training.steps": 2,
        "training.tokens_per_batch": 1024,
        "evaluation.seen_rows": 0,
    }
    run = openflan.Run("starter", settings=settings, runs=folder / "runs")
    run.mix()
    return run
