"""The starter's evidence: for each held-out group a model tuned on the other clusters, on rows nothing was chosen by.

    python benchmarks/starter_confirm.py [--hold-out sentiment] [--seeds 11,12,13] [--set key=value …]

Every choice of the starter (its prose, its suite, its recipe) was made on the rows of `test` and tuning seeds 0 and 1.
This measures the split `confirm` with other seeds, once. Runs stay in `--out`, so a killed confirmation goes on.
P-values are adjusted by Holm's method over all groups, seed by seed. `--form dataset-name` or `none` tunes on prompts
without instructions (section 4.3 of the paper) and asks in instructions, for the ablation.
"""

import argparse
import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

from confirming import group_verdicts
from openflan.machine import machine_facts, version_facts
from openflan.recipes.recipe import load_recipe
from openflan.run import Run
from openflan.runs.results import ClusterVerdict
from openflan.study.measuring import Measured, measure_run
from openflan.tasks.catalog import open_catalog

ROOT = Path(__file__).parents[1]
GROUPS: dict[str, tuple[str, ...]] = {
    "natural_language_inference": ("natural_language_inference", "paraphrase"),
    "closed_book_qa, fact_verification": ("closed_book_qa", "fact_verification"),
    "commonsense": (
        "commonsense, judged",
        "commonsense, picked",
        "reading_comprehension_with_commonsense, judged",
        "reading_comprehension_with_commonsense, picked",
    ),
    "coreference": ("coreference",),
    "sentiment": ("sentiment",),
}
"""What leaves tuning (the paper's kin leave with it), and the groups that the model then answers.

Where a cluster has tasks of both forms they are two groups: *judged*, where the words to choose from are the task's
(yes or no, good or bad), and *picked*, where they are the row's (an effect, a name) and plain text may go on with one.
"""


@cache
def _tasks_of(group: str) -> list[str]:
    """The starter's tasks in a group."""
    name, _, form = group.partition(", ")
    fixed = {"": (True, False), "judged": (True,), "picked": (False,)}[form]
    specs = [entry.spec for entry in open_catalog(collections=["starter"]).entries.values()]
    return [spec.name for spec in specs if name in spec.called and bool(spec.answer.options) in fixed]


def _verdicts(measured: Mapping[str, Measured], seed: int) -> list[ClusterVerdict]:
    """A verdict for each group under one seed, with p-values adjusted over all groups."""
    tasks = ((group, task, figures) for group, figures in measured.items() for task in _tasks_of(group))
    return group_verdicts(tasks, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "starter.yaml")
    parser.add_argument("--hold-out", action="append", choices=GROUPS, help="all by default")
    parser.add_argument("--seeds", default="11,12,13")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--form", choices=("instruction", "dataset-name", "none"), default="instruction")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "confirm")
    parser.add_argument("--to", type=Path, help="the file to write")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    arguments.out.mkdir(parents=True, exist_ok=True)
    certificates: dict[str, str] = {}
    measured: dict[str, Measured] = {}
    for held_out in arguments.hold_out or GROUPS:
        settings = [
            f"name=confirm-{held_out.split(', ')[0].replace('_', '-')}",
            f"seeds={seeds}",
            f"tasks.hold_out=[{held_out}]",
            "tasks.splits={starter: {test: confirm}}",
            f"evaluation.tasks=[{', '.join(dict.fromkeys(group.split(', ')[0] for group in GROUPS[held_out]))}]",
            "evaluation.baseline=true",
            f"evaluation.rows={arguments.rows}",
            "evaluation.seen_rows=0",
            "evaluation.validation_rows=0",
            *([] if arguments.form == "instruction" else [f"prompts.styles=[{{form: {arguments.form}}}]"]),
            *arguments.settings,
        ]
        outcome = Run(load_recipe(arguments.recipe, settings), runs=arguments.out).work()
        figures = measure_run(outcome.folder, at_best=False)
        certificates |= dict.fromkeys(GROUPS[held_out], figures.certificate)
        measured |= dict.fromkeys(GROUPS[held_out], figures)
        print(f"{held_out}: {outcome.folder.name}", flush=True)
    report = {
        "what": f"held-out groups on rows of the split `confirm`, tuned on {arguments.form} prompts",
        "recipe": arguments.recipe.name,
        "settings": arguments.settings,
        "rows_per_task": arguments.rows,
        "certificates": certificates,
        "seeds": [
            {"seed": seed, "held_out": [verdict.model_dump(mode="json") for verdict in _verdicts(measured, seed)]}
            for seed in seeds
        ],
        "versions": version_facts(),
        "machine": machine_facts(),
    }
    suffix = "" if arguments.form == "instruction" else f"-{arguments.form}"
    path = arguments.to or ROOT / "benchmarks" / "results" / f"{date.today()}-starter-confirm{suffix}.json"
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
