"""A real base on real data: clusters that were held out of tuning, before and after, by all measures, on frozen rows.

    python benchmarks/real_confirm.py --model FOLDER --data FOLDER [--seeds 11,12] [--form none] [--set key=value …]

Every choice of recipes/real.yaml was made on the split `validation` of the held-out tasks and tuning seed 0. This asks
rows of `test`, drawn by their content's hash (so the same for everybody), with other seeds, once. The untuned
model counts with the better of its templates and its text to continue. P-values are Holm's over all clusters, seed by
seed. `--form dataset-name` or `none` tunes on prompts without instructions and asks in instructions (section 4.3 of Wei
et al. 2022). Runs stay in `--out`, so a killed measurement goes on; `--curve` adds what looks while tuning saw (no rows
of `test`), which tells when the form is learnt and when telling right from wrong comes back.
"""

import argparse
import json
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

from openflan.machine import machine_facts, version_facts
from openflan.recipes.recipe import load_recipe
from openflan.run import Run
from openflan.study.measuring import measure_run
from openflan.training.metrics import read_metrics

ROOT = Path(__file__).parents[1]
LOOKED = ("sst2", "ag_news_subset", "rte", "glue_mrpc", "cola", "winogrande")
"""One task of each held-out cluster, of which looks while tuning ask validation rows."""


def _curve(folder: Path, every: int) -> list[dict[str, Any]]:
    """What looks while tuning saw, by tokens so far; score and measures by task."""
    points, tokens = [], 0
    for line in read_metrics(folder / "training" / "seed-0" / "metrics.jsonl"):
        tokens += line.tokens
        if line.evaluation:
            measures: dict[str, dict[str, float]] = defaultdict(dict)
            for name, value in line.measures.items():
                measure, _, task = name.partition("/")
                measures[measure][task] = round(value, 4)
            points.append({"step": line.step, "tokens": tokens, "accuracy": line.evaluation, **measures})
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder in Hugging Face layout, a GGUF file or a hub id")
    parser.add_argument("--data", required=True, help="a folder with <task>/<split>.* files")
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "real.yaml")
    parser.add_argument("--seeds", default="11,12")
    parser.add_argument("--form", choices=("instruction", "dataset-name", "none"), default="instruction")
    parser.add_argument(
        "--curve", type=int, metavar="STEPS", help="tune seed 0 with a look every so many steps instead"
    )
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "real-confirm")
    parser.add_argument("--to", type=Path, help="the file to write")
    asked = parser.parse_args()
    seeds = [0] if asked.curve else [int(seed) for seed in asked.seeds.split(",")]
    kind = "curve" if asked.curve else "confirm"
    suffix = "" if asked.form == "instruction" else f"-{asked.form}"
    asked.out.mkdir(parents=True, exist_ok=True)
    settings = [
        f"name=real-{kind}{suffix}",
        f"model.path={asked.model}",
        f"tasks.data={asked.data}",
        f"seeds={seeds}",
        *([] if asked.form == "instruction" else [f"prompts.styles=[{{form: {asked.form}}}]"]),
    ]
    if asked.curve:
        splits = ", ".join(f"{task}: {{test: validation}}" for task in LOOKED)
        settings += [
            f"tasks.splits={{{splits}}}",
            f"evaluation.tasks=[{', '.join(LOOKED)}]",
            f"training.evaluate_tasks=[{', '.join(LOOKED)}]",
            f"training.evaluate_every={asked.curve}",
            "evaluation.templates=3",
        ]
    recipe = load_recipe(asked.recipe, [*settings, *asked.settings])
    run = Run(recipe, runs=asked.out)
    report: dict[str, Any] = {"recipe": asked.recipe.name, "settings": asked.settings}
    if asked.curve:
        folder = run.work("training").folder
        report["what"] = f"looks at {', '.join(LOOKED)} (validation rows) while tuning on the other clusters, seed 0"
        report["curve"] = _curve(folder, asked.curve)
    else:
        folder = run.work().folder
        measured = measure_run(folder, at_best=False)
        results = run.results
        report["what"] = f"held-out clusters on test rows, tuned on {asked.form} prompts of the other clusters"
        report["rows"] = {task.task: task.n_rows for task in results.tasks if task.role == "held_out"}
        report["certificate"] = measured.certificate
        report["tuned_tasks"] = results.tuned_tasks
        report["tokens"] = {
            f"seed {seed}": sum(
                line.tokens for line in read_metrics(folder / "training" / f"seed-{seed}" / "metrics.jsonl")
            )
            for seed in seeds
        }
        held_out = [verdict.model_dump(mode="json") for verdict in results.verdict.held_out]
        report["seeds"] = [
            {"seed": seed, "held_out": [_of_seed(record, seed) for record in held_out]} for seed in seeds
        ]
        report["both"] = held_out
    report |= {"model": Path(asked.model).name, "versions": version_facts(), "machine": machine_facts()}
    path = asked.to or ROOT / "benchmarks" / "results" / f"{date.today()}-real-{kind}{suffix}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(path)
    for one in report.get("seeds", []):
        for record in one["held_out"]:
            (s,) = record["by_seed"]
            print(
                f"seed {one['seed']}  {record['cluster']:40} {record['base']:.3f} → {s['tuned']:.3f}  "
                f"gain {s['gain']:+.3f} ({s['gain_ci95'][0]:+.3f} to {s['gain_ci95'][1]:+.3f})  "
                f"chance {record['chance']:.3f} (p {s['chance_p']:.3f}), majority {record['majority']:.3f}"
            )


def _of_seed(record: dict[str, Any], seed: int) -> dict[str, Any]:
    """A verdict's record with one seed's numbers alone."""
    own = [one for one in record["by_seed"] if one["seed"] == seed]
    measures = {
        name: {**of, "by_seed": [one for one in of["by_seed"] if one["seed"] == seed]}
        for name, of in record["measures"].items()
    }
    return {**record, "by_seed": own, "measures": measures}


if __name__ == "__main__":
    main()
