"""The starter's evidence: for each held-out group a model tuned on the other clusters, on rows nothing was chosen by.

    python benchmarks/starter_confirm.py [--groups a,b] [--seeds 11,12,13] [--set key=value …]

Every choice of the starter (its prose, its suite, its recipe) was made on the rows of `test` and tuning seed 0. This
measures the split `confirm` with other seeds, once. Runs stay in `--out`, so a killed confirmation goes on. P-values
are adjusted by Holm's method over all groups, seed by seed. `--form dataset-name` or `none` tunes on prompts without
instructions (section 4.3 of the paper) and asks in instructions, for the ablation.
"""

import argparse
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from openflan.evaluation.matrix import TaskMatrix
from openflan.evaluation.results import cluster_verdicts
from openflan.pipeline import machine_facts, run, version_facts
from openflan.plan import make_plan
from openflan.recipe import load_recipe
from openflan.study.measuring import measure_run

ROOT = Path(__file__).parents[1]
GROUPS = (
    "natural_language_inference",
    "paraphrase",
    "sentiment",
    "reading_comprehension_with_commonsense",
    "coreference",
    "closed_book_qa",
)


def _sharing(recipe: Path, groups: Sequence[str]) -> list[list[str]]:
    """The groups by what leaves tuning with them: those that leave together share their models."""
    found: dict[frozenset[str], list[str]] = {}
    for group in groups:
        held_out = make_plan(load_recipe(recipe, [f"tasks.hold_out=[{group}]"])).division.held_out
        found.setdefault(frozenset(entry.spec.name for entry in held_out), []).append(group)
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "starter.yaml")
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--seeds", default="11,12,13")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--form", choices=("instruction", "dataset-name", "none"), default="instruction")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "confirm")
    parser.add_argument("--to", type=Path, help="the file to write")
    asked = parser.parse_args()
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    untuned: dict[str, TaskMatrix] = {}
    tuned: dict[int, dict[str, TaskMatrix]] = {seed: {} for seed in seeds}
    asked.out.mkdir(parents=True, exist_ok=True)
    certificates = {}
    for groups in _sharing(asked.recipe, asked.groups.split(",")):
        settings = [
            f"name=confirm-{groups[0].replace('_', '-')}",
            f"seeds={seeds}",
            f"tasks.hold_out=[{groups[0]}]",
            "tasks.splits={starter: {test: confirm}}",
            f"evaluation.tasks=[{', '.join(groups)}]",
            "evaluation.baseline=true",
            f"evaluation.rows={asked.rows}",
            "evaluation.seen_rows=0",
            "evaluation.validation_rows=0",
            *([] if asked.form == "instruction" else [f"prompts.styles=[{{form: {asked.form}}}]"]),
            *asked.settings,
        ]
        outcome = run(load_recipe(asked.recipe, settings), runs=asked.out)
        held = measure_run(outcome.folder, at_best=False)
        certificates |= dict.fromkeys(groups, held.certificate)
        untuned |= held.untuned
        for seed in seeds:
            tuned[seed] |= held.tuned[seed]
        print(f"{', '.join(groups)}: {outcome.folder.name}", flush=True)
    report = {
        "what": f"held-out groups on rows of the split `confirm`, tuned on {asked.form} prompts",
        "recipe": asked.recipe.name,
        "settings": asked.settings,
        "rows_per_task": asked.rows,
        "certificates": certificates,
        "seeds": [
            {
                "seed": seed,
                "held_out": [
                    verdict.model_dump(mode="json")
                    for verdict in cluster_verdicts(untuned, {seed: tuned[seed]}, list(untuned), samples=2_000)
                ],
            }
            for seed in seeds
        ],
        "versions": version_facts(),
        "machine": machine_facts(),
    }
    suffix = "" if asked.form == "instruction" else f"-{asked.form}"
    path = asked.to or ROOT / "benchmarks" / "results" / f"{date.today()}-starter-confirm{suffix}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for one in report["seeds"]:
        for v in one["held_out"]:
            (s,) = v["by_seed"]
            print(
                f"seed {one['seed']}  {v['cluster']:40} {v['base']:.3f} → {v['tuned']:.3f}  gain {v['gain']:+.3f} "
                f"({s['gain_ci95'][0]:+.3f} to {s['gain_ci95'][1]:+.3f}, p {s['gain_p']:.3f})  "
                f"chance {v['chance']:.3f} (p {s['chance_p']:.3f})"
            )


if __name__ == "__main__":
    main()
