"""A real base on real data: clusters that were held out of tuning, before and after, by all measures, on frozen rows.

    python benchmarks/real_confirm.py --model FOLDER --data FOLDER [--seeds 11,12] [--form none] [--set key=value …]

One tuning holds out seven clusters (the paper's kin among them: paraphrase leaves with inference, reading with
commonsense with reading) and tunes on the other five. Every choice of recipes/real.yaml was made on the split
`validation` of held-out tasks and tuning seed 0. This asks rows of `test`, drawn by their content's hash (so the same
for everybody), with other seeds, once. The untuned model counts with the better of its templates and its text to
continue. P-values are Holm's over all clusters, seed by seed; tasks whose answers are written are a group of their
own. `--form dataset-name` or `none` tunes on prompts without instructions and asks in instructions (section 4.3 of
Wei et al. 2022). Runs stay in `--out`, so a killed measurement goes on. `--curve` looks at validation rows while
tuning instead (no rows of `test`), which tells when the form is learnt and when telling right from wrong comes back.
"""

import argparse
import json
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

from confirming import group_verdicts
from openflan.machine import machine_facts, version_facts
from openflan.recipes.recipe import load_recipe
from openflan.run import Run
from openflan.runs.results import ClusterVerdict
from openflan.runs.stages import StageKind
from openflan.study.measuring import Measured, measure_run
from openflan.training.metrics import read_metrics

ROOT = Path(__file__).parents[1]
LOOKED = ("sst2", "ag_news_subset", "glue_mrpc")
"""Held-out tasks that looks while tuning ask: two that the base tells apart, and one that it does not."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder in Hugging Face layout, a GGUF file or a hub id")
    parser.add_argument("--data", required=True, help="a folder with <task>/<split>.* files")
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "real.yaml")
    parser.add_argument("--seeds", default="11,12")
    parser.add_argument("--form", choices=("instruction", "dataset-name", "none"), default="instruction")
    parser.add_argument("--curve", type=int, metavar="STEPS", help="tune seed 0, with a look every so many steps")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "real-confirm")
    parser.add_argument("--to", type=Path, help="the file to write")
    arguments = parser.parse_args()
    kind = "curve" if arguments.curve else "confirm"
    suffix = "" if arguments.form == "instruction" else f"-{arguments.form}"
    arguments.out.mkdir(parents=True, exist_ok=True)
    run = Run(load_recipe(arguments.recipe, _settings(arguments, f"real-{kind}{suffix}")), runs=arguments.out)
    run.work(StageKind.TRAINING if arguments.curve else StageKind.REPORT)
    report: dict[str, Any] = {"recipe": arguments.recipe.name, "settings": arguments.settings}
    report |= _curve(run) if arguments.curve else _confirmation(run, arguments.form)
    report |= {"model": Path(arguments.model).name, "versions": version_facts(), "machine": machine_facts()}
    path = arguments.to or ROOT / "benchmarks" / "results" / f"{date.today()}-real-{kind}{suffix}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(path)
    for one in report.get("seeds", []):
        for record in one["held_out"]:
            (s,) = record["by_seed"]
            print(
                f"seed {one['seed']}  {record['cluster']:32} {record['base']:.3f} → {s['tuned']:.3f}  "
                f"gain {s['gain']:+.3f} ({s['gain_ci95'][0]:+.3f} to {s['gain_ci95'][1]:+.3f})  "
                f"chance {record['chance']:.3f} (p {s['chance_p']:.3f}), majority {record['majority']:.3f}"
            )


def _settings(arguments: argparse.Namespace, name: str) -> list[str]:
    """What is changed of the recipe."""
    settings = [
        f"name={name}",
        f"model.path={arguments.model}",
        f"tasks.data={arguments.data}",
        f"seeds=[{0 if arguments.curve else arguments.seeds}]",
    ]
    if arguments.form != "instruction":  # their options in a drawn order, as those of the instructions are
        settings += [f"prompts.styles=[{{form: {arguments.form}, option_order: drawn}}]", "prompts.option_order=class"]
    if arguments.curve:
        splits = ", ".join(f"{task}: {{test: validation}}" for task in LOOKED)
        settings += [
            f"tasks.splits={{{splits}}}",
            f"evaluation.tasks=[{', '.join(LOOKED)}]",
            f"training.evaluate_tasks=[{', '.join(LOOKED)}]",
            f"training.evaluate_every={arguments.curve}",
        ]
    return [*settings, *arguments.settings]


def _curve(run: Run) -> dict[str, Any]:
    """What looks while tuning saw, by tokens so far: score and measures by task."""
    points, tokens = [], 0
    for line in read_metrics(run.folder / "training" / "seed-0" / "metrics.jsonl"):
        tokens += line.tokens
        if line.evaluation:
            measures: dict[str, dict[str, float]] = defaultdict(dict)
            for name, value in line.measures.items():
                measure, _, task = name.partition("/")
                measures[measure][task] = round(value, 4)
            points.append({"step": line.step, "tokens": tokens, "accuracy": line.evaluation, **measures})
    what = "looks at validation rows of held-out tasks while tuning on the other clusters, seed 0"
    return {"what": what, "rows": run.recipe.training.evaluate_rows, "curve": points}


def _confirmation(run: Run, form: str) -> dict[str, Any]:
    """The table: every cluster under every seed, p-values adjusted over all of them."""
    measured, results, seeds = measure_run(run.folder, at_best=False), run.results, run.recipe.seeds
    verdicts = {seed: _verdicts(measured, seed) for seed in seeds}
    return {
        "what": f"held-out clusters on test rows, tuned on {form} prompts of the other clusters",
        "hold_out": run.recipe.tasks.hold_out,
        "tuned_tasks": results.tuned_tasks,
        "certificate": measured.certificate,
        "tokens": {f"seed {seed}": _tokens(run.folder, seed) for seed in seeds},
        "bar": {f"seed {seed}": [one.cluster for one in of if _passes(one)] for seed, of in verdicts.items()},
        "seeds": [
            {"seed": seed, "held_out": [verdict.model_dump(mode="json") for verdict in of]}
            for seed, of in verdicts.items()
        ],
        "tasks": [task.model_dump(mode="json") for task in results.tasks if task.role == "held_out"],
    }


def _tokens(folder: Path, seed: int) -> int:
    return sum(line.tokens for line in read_metrics(folder / "training" / f"seed-{seed}" / "metrics.jsonl"))


def _verdicts(measured: Measured, seed: int) -> list[ClusterVerdict]:
    """A verdict for each held-out cluster under one seed."""

    def group_of(task: str) -> str:
        before = measured.untuned[task]
        return before.cluster if before.kind == "ranked" else f"{before.cluster}, written"

    tasks = (task for task, role in measured.roles.items() if role == "held_out")
    return group_verdicts(((group_of(task), task, measured) for task in tasks), seed)


def _passes(verdict: ClusterVerdict) -> bool:
    """Whether the gain's interval is above zero and the tuned model above chance."""
    (own,) = verdict.by_seed
    return own.gain_ci95[0] > 0 and own.chance_p is not None and own.chance_p < 0.05


if __name__ == "__main__":
    main()
