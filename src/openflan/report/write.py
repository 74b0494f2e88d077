"""Write `results.json`, `report.html` and its figures' CSV files from what the stages left behind.

Invariant: reads stored matrices, ledger and logs only; no model is loaded, so a report can be made again at any time.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from openflan.evaluation.answered import of_test
from openflan.evaluation.matrix import read_matrix, task_matrices
from openflan.evaluation.task_results import task_results
from openflan.mixture.certificate import read_certificate
from openflan.mixture.ledger import Ledger, read_ledger
from openflan.report.page import ReportMaterial, RunFigures, render_page
from openflan.report.plot_data import write_plot_data
from openflan.runs.plan import Plan
from openflan.runs.results import (
    SCHEMA,
    Results,
    StageCost,
    Verdict,
    cluster_verdicts,
    verdict_sentence,
)
from openflan.runs.stages import UNTUNED
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
    leakage = read_certificate(run / "mixture")
    ledger = read_ledger(run / "mixture")
    losses = {seed: _lines(run / "training" / f"seed-{seed}" / "metrics.jsonl") for seed in plan.recipe.seeds}
    stages = {place: read_manifest(run / place) or {} for place in _places(plan)}
    results = Results(
        schema_version=SCHEMA,
        name=plan.recipe.name,
        run=run.name,
        recipe=plan.recipe.model_dump(mode="json"),
        seeds=list(plan.recipe.seeds),
        verdict=Verdict(held_out=held_out, seen=seen, sentence=verdict_sentence(held_out)),
        tasks=task_results(matrices, roles, leakage.dirty, untuned=UNTUNED, samples=samples),
        held_out_clusters=list(plan.division.clusters),
        tuned_tasks=[entry.spec.name for entry in plan.division.tuned],
        wall_seconds={place: round(float(manifest.get("seconds", 0.0)), 2) for place, manifest in stages.items()},
        peak_memory_mb=max(float(manifest.get("peak_memory_mb", 0.0)) for manifest in stages.values()),
        costs={place: _cost(manifest, _tokens(place, ledger, losses)) for place, manifest in stages.items()},
        versions=dict(versions),
        machine=dict(machine),
        certificate=leakage.verdict,
        errata=sorted(plan.errata),
        format=str(stages[f"evaluation/{UNTUNED}"].get("format", "")),
    )
    material = ReportMaterial(
        results=results,
        ledger=ledger,
        losses=losses,
        examples={name: of_test(held) for name, held in answers.items()},
        leakage=leakage,
    )
    figures = RunFigures(material)
    page = render_page(material, figures)
    write_atomically(run / "results.json", results.model_dump_json(indent=1))
    write_plot_data(run / "report", figures.data)
    write_atomically(run / "report.html", page)
    return results


def _places(plan: Plan) -> list[str]:
    return [
        "mixture",
        *(f"training/seed-{seed}" for seed in plan.recipe.seeds),
        *(f"evaluation/{name}" for name in plan.evaluation_keys),
    ]


def _tokens(place: str, ledger: Ledger, losses: Mapping[int, Sequence[Mapping[str, Any]]]) -> int | None:
    """Tokens that a stage rendered or trained on."""
    if place == "mixture":
        return ledger.tokens
    stage, _, name = place.partition("/")
    return sum(line["tokens"] for line in losses[int(name.removeprefix("seed-"))]) if stage == "training" else None


def _cost(manifest: Mapping[str, Any], tokens: int | None) -> StageCost:
    return StageCost(
        seconds=round(float(manifest.get("seconds", 0.0)), 2),
        peak_memory_mb=float(manifest.get("peak_memory_mb", 0.0)),
        device_memory_mb=manifest.get("device_memory_mb"),
        energy_joules=manifest.get("energy_joules"),
        tokens=tokens,
        prompts=manifest.get("prompts"),
    )


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
