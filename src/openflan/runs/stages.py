"""The stages of a run, and where they lie.

    runs/<name>-<hash>/
        recipe.yaml  run.json  progress.json      the last while somebody works on the run
        mixture/                                  MIXTURE     the token store
        training/seed-0/  model/  metrics.jsonl   TRAINING    one a seed
        evaluation/untuned/                       EVALUATION  one a model: the untuned one and each tuned one
        evaluation/seed-0/
        results.json  report.html  report/        REPORT

`stages_of` is the only list of them (a plan's has their keys: `openflan.runs.plan.Plan.stages`). Invariant: no other
module spells a path of a run.
Rejected: a label for each stage, which readers parse back into what it was made of.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

__all__ = ["UNTUNED", "RunPlaces", "Stage", "StageKind", "seed_of", "stages_of", "tuned_name"]

UNTUNED = "untuned"
"""What the model that a run starts from is called."""


class StageKind(StrEnum):
    """What a stage does; in the order in which stages are done."""

    MIXTURE = "mixture"
    TRAINING = "training"
    EVALUATION = "evaluation"
    REPORT = "report"

    @property
    def order(self) -> int:
        """Its number in that order, from 0."""
        return list(StageKind).index(self)


def tuned_name(seed: int) -> str:
    """What the model that was tuned with a seed is called: `seed-0`."""
    return f"seed-{seed}"


def seed_of(model: str) -> int | None:
    """The seed that a model was tuned with; None for another name than a tuned model's."""
    match = re.fullmatch(r"seed-(\d+)", model)
    return None if match is None else int(match[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage of a run: a folder that is whole or absent, and `results.json` with its page at the end."""

    kind: StageKind
    model: str = ""
    """Of a training and an evaluation: which model it makes or asks, `untuned` or `seed-0` …"""
    key: str = ""
    """Hash of everything that its content depends on (openflan.runs.keys); empty where nobody asked for it."""

    @property
    def seed(self) -> int | None:
        """The seed of a training, and of an evaluation of what it tuned."""
        return seed_of(self.model)

    @property
    def place(self) -> str:
        """Its folder in the run's, as results and accounts name it: `training/seed-0`."""
        return f"{self.kind}/{self.model}" if self.model else str(self.kind)

    def __str__(self) -> str:
        """What people are shown: `training seed-0`."""
        return f"{self.kind} {self.model}" if self.model else str(self.kind)


def stages_of(
    seeds: Sequence[int],
    *,
    keys: Mapping[tuple[StageKind, str], str] | None = None,
    until: StageKind = StageKind.REPORT,
) -> tuple[Stage, ...]:
    """All stages of a run as far as those of a kind, in the order in which they are done.

    Args:
        seeds: of its recipe.
        keys: by kind and model.
    """
    tuned = [tuned_name(seed) for seed in seeds]
    stages = [
        Stage(kind=StageKind.MIXTURE),
        *(Stage(kind=StageKind.TRAINING, model=model) for model in tuned),
        *(Stage(kind=StageKind.EVALUATION, model=model) for model in (UNTUNED, *tuned)),
        Stage(kind=StageKind.REPORT),
    ]
    wanted = [stage for stage in stages if stage.kind.order <= until.order]
    return tuple(wanted if keys is None else (replace(stage, key=keys[stage.kind, stage.model]) for stage in wanted))


@dataclass(frozen=True, slots=True)
class RunPlaces:
    """Where everything of a run lies."""

    folder: Path

    @property
    def is_run(self) -> bool:
        """Whether the folder is a run's."""
        return self.head.is_file()

    @property
    def head(self) -> Path:
        """Who wrote the folder, and what of it is whole (openflan.runs.head)."""
        return self.folder / "run.json"

    @property
    def progress(self) -> Path:
        """How far work is, while there is any (openflan.runs.progress)."""
        return self.folder / "progress.json"

    @property
    def recipe(self) -> Path:
        """The recipe with every setting."""
        return self.folder / "recipe.yaml"

    @property
    def mixture(self) -> Path:
        """The token store with ledger, lock and leak certificate."""
        return self.folder / StageKind.MIXTURE

    @property
    def results(self) -> Path:
        """The account of the run."""
        return self.folder / "results.json"

    @property
    def page(self) -> Path:
        """The account as a page."""
        return self.folder / "report.html"

    @property
    def figures(self) -> Path:
        """The numbers behind the page's plots."""
        return self.folder / StageKind.REPORT

    def stage(self, stage: Stage) -> Path:
        """A stage's folder."""
        return self.folder / stage.place

    def training(self, seed: int) -> Path:
        """What one seed's tuning left."""
        return self.folder / StageKind.TRAINING / tuned_name(seed)

    def model(self, seed: int) -> Path:
        """The model that was tuned with a seed, in Hugging Face layout."""
        return self.training(seed) / "model"

    def metrics(self, seed: int) -> Path:
        """A line of JSON for each step of a seed's tuning."""
        return self.training(seed) / "metrics.jsonl"

    def answers(self, model: str) -> Path:
        """What a model answered, a file a task."""
        return self.folder / StageKind.EVALUATION / model

    @property
    def siblings(self) -> "list[RunPlaces]":
        """The other folders beside the run's, by name."""
        return [RunPlaces(folder) for folder in sorted(self.folder.parent.iterdir()) if folder != self.folder]

    @property
    def tuned(self) -> list[int]:
        """Seeds that a tuned model is there of."""
        places = (self.folder / StageKind.TRAINING).glob("*/model")
        return sorted(seed for place in places if (seed := seed_of(place.parent.name)) is not None)

    @property
    def asked(self) -> list[str]:
        """Models that answers are there of; the untuned one first."""
        names = [place.name for place in (self.folder / StageKind.EVALUATION).glob("[!.]*") if place.is_dir()]
        return sorted(names, key=lambda name: (name != UNTUNED, seed_of(name) or 0))
