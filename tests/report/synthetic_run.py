"""A run's material, made by the real statistics from synthetic answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openflan.evaluation.answered import Answered
from openflan.evaluation.matrix import task_matrices
from openflan.evaluation.task_results import task_results
from openflan.mixture.certificate import Compared, Hits, ItemCounts, LeakCertificate, LeakEdge
from openflan.mixture.ledger import Ledger, LedgerTask
from openflan.recipes.recipe import Recipe
from openflan.report.page import ReportMaterial
from openflan.runs.results import SCHEMA, Results, StageCost, Verdict
from openflan.runs.verdicts import cluster_verdicts, own_sentence, task_verdicts
from openflan.training.metrics import StepReport

NAMES = ["mira", "tobin", "anka", "joel", "sela", "oren", "pia", "luka"]
THINGS = ["lamp", "kettle", "drum", "rope", "basket", "lantern", "coat", "bell"]


@dataclass(frozen=True, kw_only=True)
class Task:
    name: str
    cluster: str
    role: str
    own: bool = False
    untuned: float
    tuned: float
    options: tuple[str, ...] = ("yes", "no")


SUITE = (
    Task(name="follows", cluster="natural_language_inference", role="held_out", untuned=0.35, tuned=0.44,
         options=("yes", "maybe", "no")),
    Task(name="contradicts", cluster="natural_language_inference", role="held_out", untuned=0.5, tuned=0.58),
    Task(name="same_meaning", cluster="paraphrase", role="held_out", untuned=0.51, tuned=0.51),
    Task(name="liked_it", cluster="sentiment", role="seen", untuned=0.5, tuned=0.93, options=("good", "bad")),
    Task(name="review_stars", cluster="sentiment", role="seen", untuned=0.3, tuned=0.75,
         options=("one", "three", "five")),
    Task(name="what_had", cluster="reading_comprehension", role="seen", untuned=0.26, tuned=0.71,
         options=("lamp", "kettle", "drum", "rope")),
    Task(name="what_if", cluster="reading_comprehension_with_commonsense", role="seen", untuned=0.5, tuned=0.4),
    Task(name="to_toylang", cluster="translation", role="seen", untuned=0.02, tuned=0.46, options=()),
    Task(name="retell", cluster="summarization", role="seen", untuned=0.11, tuned=0.52, options=()),
)  # fmt: skip


def answers(suite: Sequence[Task], model: int, *, rows: int, templates: int) -> list[Answered]:
    """Answers of model 0 (untuned) or of a tuned one; a row's difficulty is shared by all models."""
    records = []
    for number, task in enumerate(suite):
        random = np.random.default_rng([number, model])
        ease = np.random.default_rng([number, 99]).normal(0, 0.05, rows)
        skill = (task.tuned + random.normal(0, 0.01)) if model else task.untuned
        for row in range(rows):
            who, what = NAMES[(row + number) % 8], THINGS[row * 3 % 8]
            for template in range(templates):
                chance = skill + ease[row] + 0.05 * np.sin(template * 2 + number)
                story = f"{who} was at the {THINGS[row % 8]} stall. later {who} had a {what}, and gave it away.\n\n"
                value, answer, options = float(random.random() < chance), "", task.options
                if options:
                    expected = options[row % len(options)]
                    answer = expected if value else options[(row + 1) % len(options)]
                    prompt = f"{story}[{template}] did {who} have a {what}?\n\nOPTIONS:\n- " + "\n- ".join(options)
                else:
                    expected = f"{who} had a {what} at the stall"
                    value = float(np.clip(chance + random.normal(0, 0.15), 0, 1))
                    answer = " ".join(expected.split()[: round(6 * value)])
                    prompt = f"{story}[{template}] tell it again in few words."
                records.append(
                    Answered(
                        task=task.name, cluster=task.cluster, row=row, template=template, prompt=prompt,
                        kind="ranked" if options else "generated", metric="accuracy" if options else "rouge",
                        value=value, answer=answer, expected=expected, options=options,
                        gold=(options.index(expected),) if options else (),
                        scores=tuple(-1.0 if option == answer else -2.0 for option in options),
                        together=-0.4 if options else None, written=0 if options else None,
                        listed=tuple(range(len(options))),
                        others=() if options else (value / 2,),
                        option_tokens=(1,) * len(options), further=() if options else ("bleu",), group="",
                    )
                )  # fmt: skip
    return records


def make_material(
    suite: Sequence[Task] = SUITE, *, seeds: Sequence[int] = (0, 1, 2), rows: int = 60, templates: int = 6
) -> ReportMaterial:
    clusters = sorted({task.cluster for task in suite if task.role == "held_out"})
    models = {"untuned": answers(suite, 0, rows=rows, templates=templates)}
    models |= {f"seed-{s}": answers(suite, s + 1, rows=rows, templates=templates) for s in seeds}
    matrices = {name: task_matrices(clusters) for name, clusters in models.items()}
    tuned = {seed: matrices[f"seed-{seed}"] for seed in seeds}
    verdicts = {
        role: cluster_verdicts(
            matrices["untuned"], tuned, [task.name for task in suite if task.role == role], samples=200
        )
        for role in ("held_out", "seen")
    }
    own = task_verdicts(matrices["untuned"], tuned, {task.name: task.role for task in suite if task.own}, samples=200)
    recipe = Recipe(name="starter", seeds=tuple(seeds), tasks={"hold_out": tuple(clusters)}, training={"steps": 400})
    results = Results(
        schema_version=SCHEMA,
        name="starter",
        run="starter-1a2b3c4d",
        recipe=recipe.model_dump(mode="json"),
        seeds=list(seeds),
        verdict=Verdict(
            held_out=verdicts["held_out"],
            own=own,
            own_sentence=own_sentence(own),
            scope="Held out is no kind of task of your own." if own else "",
            seen=verdicts["seen"],
            sentence="On natural language inference, which tuning never saw, accuracy rose from 42.1 to 50.6"
            " (gain +8.5, 95 % interval +4.4 to +12.3); on paraphrase no gain is shown.",
        ),
        tasks=task_results(matrices, {task.name: task.role for task in suite}, untuned="untuned", samples=200),
        held_out_clusters=clusters,
        tuned_tasks=[task.name for task in suite if task.role == "seen"],
        wall_seconds={"mixture": 12.4, "training": 205.0, "evaluation": 81.2},
        peak_memory_mb=1312.0,
        costs={
            "mixture": StageCost(seconds=12.4, peak_memory_mb=512.0, tokens=3_240_000),
            "training/seed-0": StageCost(
                seconds=205.0, peak_memory_mb=1300.0, device_memory_mb=2100.0, energy_joules=54_000.0, tokens=3_240_000
            ),
            "evaluation/untuned": StageCost(seconds=81.2, peak_memory_mb=1312.0, energy_joules=9_000.0, prompts=3_240),
        },
        versions={"openflan": "0.1.0", "torch": "2.13.0", "transformers": "5.20.1", "python": "3.11.9"},
        machine={"cpu": "x86_64", "cores": "2", "device": "cpu", "memory": "8 GB"},
        format="5e6f7a8b9c0d",
    )
    ledger = Ledger(
        encoder="5e6f7a8b9c0d",
        held_out_clusters=tuple(clusters),
        condemned={},
        steps=400,
        tokens_per_batch=8192,
        left_out=(),
        tasks={
            task.name: LedgerTask(
                cluster=task.cluster,
                spec="0" * 12,
                licence=None,
                commercial_use=None,
                rows=1500 + 250 * place,
                dropped=0,
                rate=1 / 6,
                drawn={seed: 2400 + 7 * seed + place for seed in seeds},
                tokens={seed: 90_000 + 7 * seed + place for seed in seeds},
                epochs=dict.fromkeys(seeds, 1.6),
                cut=dict.fromkeys(seeds, 0),
                skipped=dict.fromkeys(seeds, 0),
                made={seed: 2600 + 7 * seed + place for seed in seeds},
            )
            for place, task in enumerate(task for task in suite if task.role == "seen")
        },
    )
    return ReportMaterial(
        results=results,
        ledger=ledger,
        metrics={seed: metrics(seed, suite) for seed in seeds},
        examples=models,
        leakage=leakage(suite),
    )


def step_report(**fields: object) -> StepReport:
    """A step like any other, but for some fields."""
    usual = {
        "step": 1, "loss": 1.0, "learning_rate": 1e-3, "grad_norm": 1.0, "tokens": 8100, "target_tokens": 900,
        "examples": 40, "fill": 0.99, "seconds": 0.5, "waited": 0.0, "mfu": 0.25, "task_loss": {},
    }  # fmt: skip
    return StepReport(**usual | fields)


def metrics(seed: int, suite: Sequence[Task]) -> list[StepReport]:
    """Every task is in two steps of three."""
    noise = np.random.default_rng(seed).normal(0, 0.12, 400)
    names = [task.name for task in suite if task.role == "seen"]
    return [
        step_report(
            step=n + 1,
            loss=float(0.9 + 3 * np.exp(-n / 60) + noise[n]),
            task_loss={name: 0.5 + at + 2 / (1 + n / 40) for at, name in enumerate(names) if (n + at) % 3},
        )
        for n in range(400)
    ]


def leakage(suite: Sequence[Task], *, dirty: int = 0, stale: int = 0, uncompared: int = 0) -> LeakCertificate:
    """A certificate that found an item of each held-out task, and left `dirty` ones in.

    Args:
        stale: test rows of each tuned task that stand in its training rows.
        uncompared: items of each measured task without text.
    """
    held_out, seen = ([task.name for task in suite if task.role == role] for role in ("held_out", "seen"))

    def counts(hits: int, still: int) -> ItemCounts:
        return ItemCounts(
            total=60,
            compared=Compared(ngram=40, exactly=20 - uncompared),
            not_comparable={"no text": uncompared} if uncompared else {},
            hits=Hits(exact=min(1, hits), ngram=hits, near=0),
            dirty=still,
        )

    return LeakCertificate(
        words=13,
        mode="warn" if dirty else "rows",
        overlap="ngram",
        similarity=None,
        items={name: counts(max(1, dirty), dirty) for name in held_out},
        edges=tuple(LeakEdge(task="retell", held_out=name, items=1, rows=3) for name in held_out),
        dirty={name: tuple(range(dirty)) for name in held_out},
        seen={name: counts(stale, stale) for name in seen},
        stale={name: tuple(range(stale)) for name in seen},
        pairs=(),
    )
