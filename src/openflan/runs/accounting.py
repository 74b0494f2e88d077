"""The account of a run: its results, put together from what its stages left.

Invariant: reads stored answers, records and logs only; no model is loaded, so results can be made again at any time.
Cost: some seconds for 25 tasks and three seeds, most of it bootstrap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from openflan.evaluation.answered import Answered
from openflan.evaluation.matrix import task_matrices
from openflan.evaluation.task_results import task_results
from openflan.machine import machine_facts, version_facts
from openflan.mixture.certificate import LeakCertificate
from openflan.mixture.ledger import Ledger
from openflan.runs.results import SCHEMA, Results, StageCost, Verdict, left_out_words
from openflan.runs.scope import scope_of
from openflan.runs.stages import UNTUNED, Stage, StageKind, tuned_name
from openflan.runs.stored import StoredRun
from openflan.runs.verdicts import cluster_verdicts, own_sentence, task_verdicts, verdict_sentence
from openflan.training.metrics import StepReport

__all__ = ["Accounted", "account_for"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Accounted:
    """A run's results, and what they were made of."""

    results: Results
    ledger: Ledger
    certificate: LeakCertificate
    metrics: dict[int, list[StepReport]]
    """By seed."""
    answers: dict[str, list[Answered]]
    """By model: `untuned`, `seed-0` …"""


def account_for(run: StoredRun) -> Accounted:
    """Compute the results of a run whose mixture, training and evaluation are whole.

    Raises:
        UserError: a stored file is missing or damaged.
    """
    plan, part = run.plan, run.recipe.evaluation
    stages = plan.stages(StageKind.EVALUATION)
    answers = {stage.model: run.answers(stage.model) for stage in stages if stage.kind is StageKind.EVALUATION}
    matrices = {name: task_matrices(of_model) for name, of_model in answers.items()}
    tuned = {seed: matrices[tuned_name(seed)] for seed in run.recipe.seeds}
    roles: dict[str, Literal["held_out", "seen"]] = {
        **{entry.spec.name: "seen" for entry in plan.measured_seen},
        **{entry.spec.name: "held_out" for entry in plan.measured_held_out},
    }
    held_out, seen = (
        cluster_verdicts(matrices[UNTUNED], tuned, [t for t, r in roles.items() if r == role], samples=part.bootstrap)
        for role in ("held_out", "seen")
    )
    mine = sorted(entry.spec.name for entry in (*plan.measured_held_out, *plan.measured_seen) if entry.own)
    own = task_verdicts(
        matrices[UNTUNED],
        tuned,
        {task: roles[task] for task in mine if task in matrices[UNTUNED]},
        samples=part.bootstrap,
    )
    certificate, ledger = run.certificate, run.ledger
    metrics = {seed: run.metrics(seed) for seed in run.recipe.seeds}
    manifests = {stage: run.manifest(stage) or {} for stage in stages}
    costs = {stage.place: _cost(stage, manifest, ledger, metrics) for stage, manifest in manifests.items()}
    formats = [manifest.get("format", "") for stage, manifest in manifests.items() if stage.model == UNTUNED]
    left_out = {task: count for manifest in manifests.values() for task, count in manifest.get("left_out", {}).items()}
    tasks = task_results(matrices, roles, certificate.measured_in_tuning, untuned=UNTUNED, samples=part.bootstrap)
    results = Results(
        schema_version=SCHEMA,
        name=run.recipe.name,
        run=run.folder.name,
        recipe=run.recipe.model_dump(mode="json"),
        seeds=list(run.recipe.seeds),
        verdict=Verdict(
            own=own,
            held_out=held_out,
            seen=seen,
            sentence=verdict_sentence(held_out),
            own_sentence=own_sentence(own),
            scope=scope_of(plan.division.tuned, plan.measured_held_out),
        ),
        tasks=[task.model_copy(update={"rows_left_out": left_out.get(task.task, 0)}) for task in tasks],
        held_out_clusters=list(plan.division.clusters),
        tuned_tasks=[entry.spec.name for entry in plan.division.tuned],
        wall_seconds={place: cost.seconds for place, cost in costs.items()},
        peak_memory_mb=max(cost.peak_memory_mb for cost in costs.values()),
        costs=costs,
        versions=version_facts(),
        machine=machine_facts(),
        certificate=certificate.verdict,
        freshness=certificate.freshness,
        fresh=certificate.fresh if certificate.seen else None,
        left_out=left_out_words(left_out),
        errata=sorted(plan.errata),
        family=next((str(manifest["family"]) for manifest in manifests.values() if manifest.get("family")), ""),
        format=str(formats[0]),
    )
    return Accounted(results=results, ledger=ledger, certificate=certificate, metrics=metrics, answers=answers)


def _cost(
    stage: Stage, manifest: Mapping[str, Any], ledger: Ledger, metrics: Mapping[int, Sequence[StepReport]]
) -> StageCost:
    tokens = None
    if stage.kind is StageKind.MIXTURE:
        tokens = ledger.tokens
    elif stage.kind is StageKind.TRAINING and stage.seed is not None:
        tokens = sum(line.tokens for line in metrics[stage.seed])
    return StageCost(
        seconds=round(float(manifest.get("seconds", 0.0)), 2),
        peak_memory_mb=float(manifest.get("peak_memory_mb", 0.0)),
        device_memory_mb=manifest.get("device_memory_mb"),
        energy_joules=manifest.get("energy_joules"),
        tokens=tokens,
        prompts=manifest.get("prompts"),
    )
