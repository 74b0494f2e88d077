"""`results.json`: a typed, versioned account of one run.

The verdict compares the untuned model with the tuned ones (mean over seeds, and seed by seed) on whole clusters:
`held_out`, which tuning never saw, and `seen`, test rows of the clusters it was tuned on; and before them on each task
of the user's own (`own`).

Invariant: written whole, and read by whoever needs it, by the two functions here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError

from openflan.errors import UserError
from openflan.evaluation.task_results import Pair, TaskResult
from openflan.records import Record
from openflan.runs.stages import RunPlaces
from openflan.stage import write_atomically

__all__ = [
    "SCHEMA",
    "ClusterVerdict",
    "MeasureVerdict",
    "Results",
    "SeedMeasure",
    "SeedVerdict",
    "StageCost",
    "TaskVerdict",
    "Verdict",
    "VerdictScores",
    "left_out_words",
]

SCHEMA = 5
"""Version of the results schema; raised when a key changes its meaning or goes."""


class SeedVerdict(Record):
    """One tuned model on one cluster."""

    seed: int
    tuned: float
    gain: float
    tuned_ci95: Pair
    gain_ci95: Pair
    gain_p: float
    """Two-sided p-value that the gain is zero, adjusted by Holm's method over the clusters it was reported with."""
    chance_p: float
    """The same that the tuned model's score is chance."""


class SeedMeasure(Record):
    """One tuned model on one cluster, by one of the measures that accuracy is made of."""

    seed: int
    tuned: float
    gain: float
    tuned_ci95: Pair
    gain_ci95: Pair
    gain_p: float
    """Two-sided p-value that the gain is zero, adjusted by Holm's method over the clusters it was reported with."""


class MeasureVerdict(Record):
    """One of those measures on one cluster: the untuned model against the tuned ones, both under the templates."""

    tasks: list[str]
    """Those of the cluster's tasks that have it."""
    untuned: float
    untuned_baseline: float | None
    """The untuned model under the tasks' texts to continue; None where not all of them were asked so."""
    tuned: float
    """Mean over seeds."""
    gain: float
    untuned_ci95: Pair
    tuned_ci95: Pair
    gain_ci95: Pair
    """Paired, as for accuracy."""
    by_seed: list[SeedMeasure]


class VerdictScores(Record):
    """Untuned against tuned; scores from 0 to 1."""

    metric: str
    """`accuracy` where answers are options; else the metric of generated answers."""
    base: float
    """The untuned model at its best."""
    base_templates: float
    """The untuned model under the templates."""
    base_baseline: float | None
    """The untuned model under the baseline (of a cluster: of all its tasks); None where it was not asked."""
    tuned: float
    """Mean over seeds, under the templates."""
    gain: float
    base_ci95: Pair
    tuned_ci95: Pair
    gain_ci95: Pair
    """95 % intervals over rows and templates, paired."""
    chance: float
    majority: float
    """Score of always giving each task's most frequent answer: a class, or a place among options that differ by row."""
    n_rows: int
    n_templates: int
    by_seed: list[SeedVerdict]
    measures: dict[str, MeasureVerdict] = {}
    """By name: answers in the asked form, telling right from wrong, and going by the place of an option."""
    first_right: float | None = None
    """Share of the questions of which the right option is listed first; None where none is listed."""


class ClusterVerdict(VerdictScores):
    """One cluster. The untuned model at its best: on each task under its templates or its baseline, the larger mean."""

    cluster: str
    tasks: list[str]

    @property
    def label(self) -> str:
        """What it is called where people read."""
        return self.cluster.replace("_", " ")


class TaskVerdict(VerdictScores):
    """One task of the user's own, on test rows of its own. The untuned model at its best: under the one prompt, of all
    templates and the baseline, that it does best with on these very rows, so the gain is rather too small."""

    task: str
    cluster: str
    role: Literal["held_out", "seen"]
    best_prompt: int
    """Number of that template, -1 for the baseline."""

    @property
    def label(self) -> str:
        """What it is called where people read."""
        return self.task


class Verdict(Record):
    """What the run shows."""

    own: list[TaskVerdict] = []
    """Tasks of the user's own, held out or tuned on."""
    held_out: list[ClusterVerdict]
    seen: list[ClusterVerdict]
    sentence: str
    """The verdict on the held-out clusters in words."""
    own_sentence: str = ""
    """The verdict on the user's own tasks in words; empty where there are none."""
    scope: str = ""
    """What the held-out clusters say of the user's own data, and what not; empty where there are no own tasks."""


class StageCost(Record):
    """What a stage took when it was computed."""

    seconds: float
    peak_memory_mb: float
    """Largest resident size that the process had had by its end."""
    device_memory_mb: float | None = None
    """Largest allocation on the accelerator; None where there was none."""
    energy_joules: float | None = None
    """Of the accelerator, by its own counter; None where it has none, and where the stage was interrupted."""
    tokens: int | None = None
    """Tokens rendered into the mixture, or trained on."""
    prompts: int | None = None
    """Prompts answered."""


class Results(Record):
    """The account of one run."""

    schema_version: int
    name: str
    run: str
    recipe: dict[str, Any]
    seeds: list[int]
    verdict: Verdict
    tasks: list[TaskResult]
    held_out_clusters: list[str]
    tuned_tasks: list[str]
    wall_seconds: dict[str, float]
    """By stage, of the time it was computed."""
    peak_memory_mb: float
    costs: dict[str, StageCost] = {}
    """By stage."""
    versions: dict[str, str]
    machine: dict[str, str]
    format: str
    """Hash of the text format that all models share."""
    certificate: str = ""
    """The leak certificate's verdict on the tuning set."""
    freshness: str = ""
    """Its finding on the tuned tasks' test rows, held against their own training rows; empty where none is measured."""
    fresh: bool | None = None
    """Whether all of them could be compared and none stands in training rows; None where none is measured."""
    left_out: str = ""
    """Which measured tasks lost faulty rows (`mixture.faulty_rows: skip`); empty where none did."""
    errata: list[str] = []
    """Switches that were on: where the run does as the authors' released code."""
    family: str = ""
    """Why the model was read in smaller batches than others; empty where it was not (models/family.py)."""

    @classmethod
    def read(cls, run: Path) -> Self:
        """The results in a run folder.

        Raises:
            UserError: there are none, or they are of another version.
        """
        path = RunPlaces(run).results
        try:
            results = cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise UserError("no results yet", where=str(run), how="finish it with `openflan run`") from None
        except (UnicodeDecodeError, ValidationError):
            results = None
        if results is None or results.schema_version != SCHEMA:
            how = f"make it again: `openflan report {run}`"
            raise UserError(f"no account of schema version {SCHEMA}", where=str(path), how=how)
        return results

    def write(self, run: Path) -> None:
        """Write them into a run folder, whole or not at all."""
        write_atomically(RunPlaces(run).results, self.model_dump_json(indent=1))

    def __repr__(self) -> str:
        return f"Results({self.name!r}: {self.verdict.sentence})"


def left_out_words(rows: Mapping[str, int]) -> str:
    """How many measured rows of which tasks were left out, in a sentence; empty where none was."""
    counts = [f"{task} ({count:,})" for task, count in rows.items() if count]
    return f"Faulty rows were left out and not measured on: {', '.join(counts)}." if counts else ""
