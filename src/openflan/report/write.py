"""Write `results.json` and `report.html` from what the stages left behind.

Invariant: reads stored matrices, ledger and logs only; no model is loaded, so a report can be made again at any time.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from openflan.evaluation.answered import of_test
from openflan.evaluation.matrix import read_matrix, task_matrices
from openflan.evaluation.results import (
    SCHEMA,
    Results,
    Verdict,
    cluster_verdicts,
    verdict_sentence,
)
from openflan.evaluation.spread import task_results
from openflan.mixture.leakage import read_leakage
from openflan.plan import UNTUNED, Plan
from openflan.report.page import ReportMaterial, render_page
from openflan.stage import read_manifest, write_atomically

__all__ = ["write_report"]


def write_report(plan: Plan, run: Path, *, machine: Mapping[str, str], versions: Mapping[str, str]) -> Results:
    """Compute the results of a finished run and write them and the page.

    Args:
        run: the run folder, with mixture, training and evaluation whole.
    """
    score = plan.recipe.evaluation.score
    answers = {name: read_matrix(run / "evaluation" / name, score=score) for name in plan.evaluation_keys}
    matrices = {name: task_matrices(held) for name, held in answers.items()}
    tuned = {seed: matrices[f"seed-{seed}"] for seed in plan.recipe.seeds}
    roles: dict[str, Literal["held_out", "seen"]] = {
        **{entry.spec.name: "seen" for entry in plan.measured_seen},
        **{entry.spec.name: "held_out" for entry in plan.measured_held_out},
    }
    samples = plan.recipe.evaluation.bootstrap
    held_out, seen = (
        cluster_verdicts(matrices[UNTUNED], tuned, [t for t, r in roles.items() if r == role], samples=samples)
        for role in ("held_out", "seen")
    )
    leakage = read_leakage(run / "mixture")
    stages = {place: read_manifest(run / place) or {} for place in _places(plan)}
    results = Results(
        schema_version=SCHEMA,
        name=plan.recipe.name,
        run=run.name,
        recipe=plan.recipe.model_dump(mode="json"),
        seeds=list(plan.recipe.seeds),
        verdict=Verdict(held_out=held_out, seen=seen, sentence=verdict_sentence(held_out)),
        tasks=task_results(matrices, roles, leakage.dirty, samples=samples),
        held_out_clusters=list(plan.division.clusters),
        tuned_tasks=[entry.spec.name for entry in plan.division.tuned],
        wall_seconds={place: round(float(manifest.get("seconds", 0.0)), 2) for place, manifest in stages.items()},
        peak_memory_mb=max(float(manifest.get("peak_memory_mb", 0.0)) for manifest in stages.values()),
        versions=dict(versions),
        machine=dict(machine),
        certificate=leakage.verdict,
        errata=sorted(plan.errata),
        format=str(stages[f"evaluation/{UNTUNED}"].get("format", "")),
    )
    page = render_page(
        ReportMaterial(
            results=results,
            ledger=json.loads((run / "mixture" / "ledger.json").read_text(encoding="utf-8")),
            losses={seed: _lines(run / "training" / f"seed-{seed}" / "metrics.jsonl") for seed in plan.recipe.seeds},
            examples={name: of_test(held) for name, held in answers.items()},
        )
    )
    write_atomically(run / "results.json", results.model_dump_json(indent=1))
    write_atomically(run / "report.html", page)
    return results


def _places(plan: Plan) -> list[str]:
    return [
        "mixture",
        *(f"training/seed-{seed}" for seed in plan.recipe.seeds),
        *(f"evaluation/{name}" for name in plan.evaluation_keys),
    ]


def _lines(log: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
