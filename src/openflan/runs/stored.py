"""A run that is stored: its recipe and plan, and one reader for each thing that its stages left in its folder.

Invariant: nothing here writes. Cost: opening reads two small files; the plan is made when it is first asked for.
Rejected: readers beside whoever needs a thing, each with a path and an error of its own.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from openflan.errors import UserError
from openflan.evaluation.answer_files import read_matrix
from openflan.evaluation.answered import Answered
from openflan.mixture.certificate import LeakCertificate, read_certificate
from openflan.mixture.ledger import Ledger, read_ledger, read_lock
from openflan.models.load import ModelSource
from openflan.prompts.text_format import TextFormat, read_text_format
from openflan.recipes.recipe import Recipe, load_recipe
from openflan.runs.head import RunHead
from openflan.runs.plan import Plan, make_plan
from openflan.runs.results import Results
from openflan.runs.stages import RunPlaces, Stage, StageKind
from openflan.stage import partial_of, read_manifest
from openflan.training.metrics import StepReport, read_metrics

__all__ = ["StoredRun"]


class StoredRun:
    """A recipe and the folder that its run has or will have.

    Args:
        folder: the run's folder; it need not be there yet.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder = folder
        self.recipe = recipe
        self.places = RunPlaces(folder)

    @classmethod
    def of(cls, recipe: Recipe, runs: Path) -> Self:
        """The run of a recipe among others."""
        return cls(runs / recipe.run_name, recipe)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The run in a folder.

        Raises:
            UserError: it is no run folder, or one of another version.
        """
        path = RunPlaces(folder).recipe
        if not path.is_file():
            raise UserError("no run folder", where=str(folder), how="give the folder that `openflan run` printed")
        head = RunHead.read(folder)
        return cls(folder, load_recipe(path, folder=None if head is None else Path(head.folder)))

    @cached_property
    def plan(self) -> Plan:
        """The recipe resolved.

        Raises:
            UserError: a task, file or model is at fault.
        """
        return make_plan(self.recipe)

    @property
    def head(self) -> RunHead | None:
        """The folder's head; None where nothing was begun.

        Raises:
            UserError: it is of another version.
        """
        return RunHead.read(self.folder)

    def manifest(self, stage: Stage) -> Mapping[str, Any] | None:
        """What a whole stage's manifest says, under whatever key it is; None where it is not there."""
        return read_manifest(self.places.stage(stage))

    def done(self, stage: Stage) -> bool:
        """Whether a stage is there under its key."""
        if stage.kind is StageKind.REPORT:
            written = self.places.results.is_file() and self.places.page.is_file()
            return written and self.head is not None and self.head.results == stage.key
        manifest = self.manifest(stage)
        return manifest is not None and manifest["key"] == stage.key

    def suits(self, stage: Stage, folder: Path) -> bool:
        """Whether a stage of the same key elsewhere is in the text format of the run's mixture.

        No key knows it whole, for a chat template may say the date.
        """
        wanted = self.text_format
        if stage.kind is StageKind.MIXTURE or wanted is None:
            return True
        if stage.kind is StageKind.TRAINING:
            record = read_text_format(folder / "model")
            return record is not None and record.encoder == wanted.encoder
        return (read_manifest(folder) or {}).get("format") == wanted.encoder

    def finished(self, until: StageKind = StageKind.REPORT) -> bool:
        """Whether every stage as far as those of a kind is there."""
        return all(self.done(stage) for stage in self.plan.stages(until))

    def chosen_seed(self, seed: int | None) -> int:
        """A seed of the recipe; its first if None.

        Raises:
            UserError: the recipe has no such seed.
        """
        if seed is not None and seed not in self.recipe.seeds:
            seeds = ", ".join(map(str, self.recipe.seeds))
            raise UserError(f"no seed {seed}", where=str(self.folder), how=f"its recipe has {seeds}")
        return self.recipe.seeds[0] if seed is None else seed

    def tuned_model(self, seed: int | None = None) -> Path:
        """The folder of a tuned model.

        Raises:
            UserError: it is not there.
        """
        chosen = self.chosen_seed(seed)
        folder = self.places.model(chosen)
        if not folder.is_dir():
            how = "finish it with `openflan run`"
            raise UserError(f"no tuned model of seed {chosen}", where=str(self.folder), how=how)
        return folder

    def model_source(self, seed: int | None = None) -> ModelSource:
        """A tuned model as it is loaded: whole, or an adapter on the recipe's own base.

        Raises:
            UserError: it is not there.
        """
        return self.plan.tuned_source(self.tuned_model(seed))

    @property
    def ledger(self) -> Ledger:
        """What the mixture holds."""
        return read_ledger(self.places.mixture)

    @property
    def text_format(self) -> TextFormat | None:
        """The text format of the mixture, which every later stage keeps to; None where nothing is mixed yet."""
        return read_lock(self.places.mixture).text if read_manifest(self.places.mixture) is not None else None

    @property
    def certificate(self) -> LeakCertificate:
        """Which held-out items stand in training rows."""
        return read_certificate(self.places.mixture)

    def metrics(self, seed: int | None = None) -> list[StepReport]:
        """The steps of a seed's tuning.

        Raises:
            UserError: it was not tuned.
        """
        return read_metrics(self.places.metrics(self.chosen_seed(seed)))

    def metrics_so_far(self, seed: int) -> list[StepReport]:
        """The steps of a seed's tuning, also while it is at work; none before the first."""
        if self.places.metrics(seed).is_file():
            return read_metrics(self.places.metrics(seed))
        growing = partial_of(self.places.training(seed)) / self.places.metrics(seed).name
        return read_metrics(growing, growing=True) if growing.is_file() else []

    def answers(self, model: str) -> list[Answered]:
        """What a model answered, ranked by the recipe's `evaluation.score`.

        Args:
            model: `untuned`, or `seed-0` …

        Raises:
            UserError: it was not asked, or a file is damaged.
        """
        part = self.recipe.evaluation
        return read_matrix(self.places.answers(model), score=part.score, ends=part.ends)

    @property
    def results(self) -> Results:
        """The account of the run.

        Raises:
            UserError: it is not finished, or of another version.
        """
        return Results.read(self.folder)
