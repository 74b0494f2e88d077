"""A real base on real data: clusters that were held out of tuning, before and after, by all measures, on frozen rows.

    python benchmarks/real_confirm.py --model FOLDER --data FOLDER [--seeds 11,12] [--form none] [--set key=value …]

Two tunings, for a small base can only carry over what it can learn: one holds out sentiment and coreference and tunes
on topics, inference, paraphrase and reading among others; the other holds these four out and tunes on sentiment and
coreference among others. Every choice of recipes/real.yaml was made on the split `validation` of the held-out tasks
and tuning seed 0. This asks rows of `test`, drawn by their content's hash (so the same for everybody), with other
seeds, once. The untuned model counts with the better of its templates and its text to continue. P-values are Holm's
over all clusters of both tunings, seed by seed. `--form dataset-name` or `none` tunes on prompts without instructions
and asks in instructions (section 4.3 of Wei et al. 2022). Runs stay in `--out`, so a killed measurement goes on, and
two processes may do one tuning each (`--hold-out`) before a last call joins them. `--curve` looks at validation rows
while tuning instead (no rows of `test`), which tells when the form is learnt and when telling right from wrong comes
back.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from openflan.evaluation.matrix import TaskMatrix
from openflan.machine import machine_facts, version_facts
from openflan.recipes.recipe import load_recipe
from openflan.run import Run
from openflan.runs.results import ClusterVerdict
from openflan.runs.stages import StageKind
from openflan.runs.verdicts import cluster_verdicts
from openflan.study.measuring import Measured, measure_run
from openflan.training.metrics import read_metrics

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """One tuning: what leaves it, what the model is then asked, and what looks while tuning ask."""

    clusters: tuple[str, ...]
    tasks: tuple[str, ...]
    looked: tuple[str, ...]


TUNINGS = {
    "sentiment": HeldOut(
        clusters=("sentiment", "coreference"),
        tasks=("sst2", "sentiment140", "yelp_polarity_reviews", "tweet_eval_emotion", "winogrande", "wsc273"),
        looked=("sst2", "tweet_eval_emotion", "winogrande"),
    ),
    "topics": HeldOut(
        clusters=("summarization", "reading_comprehension", "natural_language_inference"),
        tasks=(
            "ag_news_subset",
            "squad_v1",
            "openbookqa",
            "bool_q",
            "rte",
            "snli",
            "glue_mrpc",
            "glue_qqp",
            "paws_wiki",
        ),
        looked=("ag_news_subset", "glue_mrpc", "rte"),
    ),
}
"""Paraphrase leaves with inference, and reading with commonsense with reading: the paper's kin."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder in Hugging Face layout, a GGUF file or a hub id")
    parser.add_argument("--data", required=True, help="a folder with <task>/<split>.* files")
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "real.yaml")
    parser.add_argument("--hold-out", action="append", choices=TUNINGS, help="one tuning of the two; both by default")
    parser.add_argument("--seeds", default="11,12")
    parser.add_argument("--form", choices=("instruction", "dataset-name", "none"), default="instruction")
    parser.add_argument("--curve", type=int, metavar="STEPS", help="tune seed 0, with a look every so many steps")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "real-confirm")
    parser.add_argument("--to", type=Path, help="the file to write")
    asked = parser.parse_args()
    kind = "curve" if asked.curve else "confirm"
    suffix = "" if asked.form == "instruction" else f"-{asked.form}"
    asked.out.mkdir(parents=True, exist_ok=True)
    runs = {name: _run(asked, name, f"real-{kind}-{name}{suffix}") for name in asked.hold_out or TUNINGS}
    report: dict[str, Any] = {"recipe": asked.recipe.name, "settings": asked.settings}
    report |= _curves(runs) if asked.curve else _confirmation(runs, asked.form)
    report |= {"model": Path(asked.model).name, "versions": version_facts(), "machine": machine_facts()}
    path = asked.to or ROOT / "benchmarks" / "results" / f"{date.today()}-real-{kind}{suffix}.json"
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


def _run(asked: argparse.Namespace, name: str, called: str) -> Run:
    """One tuning, worked to its end: the verdict, or for a curve the tuned model."""
    of = TUNINGS[name]
    tasks = of.looked if asked.curve else of.tasks
    settings = [
        f"name={called}",
        f"model.path={asked.model}",
        f"tasks.data={asked.data}",
        f"tasks.hold_out=[{', '.join(of.clusters)}]",
        f"evaluation.tasks=[{', '.join(tasks)}]",
        f"seeds=[{0 if asked.curve else asked.seeds}]",
        *([] if asked.form == "instruction" else _ablation(asked.form)),
    ]
    if asked.curve:
        splits = ", ".join(f"{task}: {{test: validation}}" for task in of.looked)
        settings += [
            f"tasks.splits={{{splits}}}",
            f"training.evaluate_tasks=[{', '.join(of.looked)}]",
            f"training.evaluate_every={asked.curve}",
        ]
    run = Run(load_recipe(asked.recipe, [*settings, *asked.settings]), runs=asked.out)
    run.work(StageKind.TRAINING if asked.curve else StageKind.REPORT)
    print(f"{name}: {run.folder.name}", flush=True)
    return run


def _ablation(form: str) -> list[str]:
    """Tuning prompts without instructions, their options in a drawn order as those of the instructions are."""
    return [f"prompts.styles=[{{form: {form}, option_order: drawn}}]", "prompts.option_order=class"]


def _curves(runs: Mapping[str, Run]) -> dict[str, Any]:
    """What looks while tuning saw."""
    what = "looks at validation rows of held-out tasks while tuning on the other clusters, seed 0"
    curves = {name: _curve(run.folder) for name, run in runs.items()}
    return {"what": what, "evaluate_rows": _only(runs).recipe.training.evaluate_rows, "curve": curves}


def _only(runs: Mapping[str, Run]) -> Run:
    return next(iter(runs.values()))


def _curve(folder: Path) -> list[dict[str, Any]]:
    """By tokens so far: score and measures by task."""
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


def _confirmation(runs: Mapping[str, Run], form: str) -> dict[str, Any]:
    """The table: every cluster under every seed, p-values adjusted over all of them."""
    measured = {name: measure_run(run.folder, at_best=False) for name, run in runs.items()}
    results = [run.results for run in runs.values()]
    seeds = _only(runs).recipe.seeds
    return {
        "what": f"held-out clusters on test rows, tuned on {form} prompts of the other clusters",
        "tunings": {
            name: {
                "hold_out": TUNINGS[name].clusters,
                "tuned_tasks": run.results.tuned_tasks,
                "certificate": measured[name].certificate,
                "tokens": {f"seed {seed}": _tokens(run.folder, seed) for seed in seeds},
            }
            for name, run in runs.items()
        },
        "rows": {task.task: task.n_rows for one in results for task in one.tasks if task.role == "held_out"},
        "bar": _bar(verdicts := {seed: _verdicts(measured, seed) for seed in seeds}),
        "seeds": [
            {"seed": seed, "held_out": [verdict.model_dump(mode="json") for verdict in of]}
            for seed, of in verdicts.items()
        ],
        "tasks": [task.model_dump(mode="json") for one in results for task in one.tasks if task.role == "held_out"],
    }


def _tokens(folder: Path, seed: int) -> int:
    return sum(line.tokens for line in read_metrics(folder / "training" / f"seed-{seed}" / "metrics.jsonl"))


def _verdicts(measured: Mapping[str, Measured], seed: int) -> list[ClusterVerdict]:
    """A verdict for each held-out cluster under one seed; tasks whose answers are written are a group of their own."""
    untuned: dict[str, TaskMatrix] = {}
    tuned: dict[str, TaskMatrix] = {}
    for one in measured.values():
        for task in (task for task, role in one.roles.items() if role == "held_out"):
            before = one.untuned[task]
            group = before.cluster if before.kind == "ranked" else f"{before.cluster}, written"
            untuned[task] = replace(before, cluster=group)
            tuned[task] = replace(one.tuned[seed][task], cluster=group)
    return cluster_verdicts(untuned, {seed: tuned}, list(untuned), samples=2_000)


def _bar(verdicts: Mapping[int, list[ClusterVerdict]]) -> dict[str, list[str]]:
    """By seed: clusters whose gain has its interval above zero, tuned above chance."""
    passed: dict[str, list[str]] = {}
    for seed, of in verdicts.items():
        passed[f"seed {seed}"] = [
            one.cluster
            for one in of
            for own in one.by_seed
            if own.gain_ci95[0] > 0 and own.chance_p is not None and own.chance_p < 0.05
        ]
    return passed


if __name__ == "__main__":
    main()
