"""A run: a recipe resolved, its folder, and everything that is done with the two.

    run = Run("starter", settings={"training.steps": 20}, runs="runs")    # nothing is written yet
    run.plan()                                   # what it would train on
    run.mix(), run.tune(), run.measure()         # each whole or absent; what is there is kept
    run.model(seed=0).rank("…", ["yes", "no"])
    run.answers("untuned")                       # a data frame

Invariant: the folder's name is a hash of the recipe, so the same recipe is the same run, and a stage that is whole is
never done again. Cost: making one reads the recipe; nothing imports torch before it works.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from openflan.errors import UserError
from openflan.evaluation.model import Model, OpenedModel, model_of
from openflan.evaluation.scores import Score
from openflan.evaluation.tables import answers_table
from openflan.mixture.mixture import Mixture
from openflan.recipes.ready import ready_file
from openflan.recipes.recipe import Recipe, load_recipe, make_recipe
from openflan.recipes.settings import Settings, set_key, setting_lines, setting_pairs
from openflan.runs.pipeline import Event, Outcome, Until, Watch, report_again, work
from openflan.runs.preview import MixturePreview, preview_mixture
from openflan.runs.publish import Published, export_model, publish_run
from openflan.runs.results import Results
from openflan.runs.stages import UNTUNED, RunPlaces, StageKind, tuned_name
from openflan.runs.stored import StoredRun
from openflan.runs.tables import gains_table, losses_table

if TYPE_CHECKING:
    import pandas as pd

    from openflan.mixture.export import Exported, Format
    from openflan.mixture.store import TokenStore
    from openflan.mixture.tracing import Replayed, Seen
    from openflan.mixture.workers import MixWork

__all__ = ["Run"]


def _write_report(run: StoredRun) -> Results:
    """Results and page of a run whose answers are whole."""
    from openflan.report.write import write_report  # draws with matplotlib

    return write_report(run)


def _unwatched(_event: Event) -> None:
    """Look away."""


class Run:
    """One experiment: mixture, tuned models, answers and results of one recipe.

    Args:
        recipe: a recipe, a recipe file, a folder with one, a run's folder, or the name of a ready one (`starter` …).
        settings: changes to it by dotted key: `{"training.steps": 20}`, or lines as after `--set`.
        data: a folder with `<task>/<split>.*` files that stand in for the hub, or `twins`.
        runs: folder that holds the run folders.

    Raises:
        UserError: there is no such recipe, a key is unknown, or a value is not allowed.
    """

    def __init__(
        self,
        recipe: Recipe | str | Path,
        *,
        settings: Settings = (),
        data: str | Path | None = None,
        runs: str | Path = "runs",
    ) -> None:
        lines = setting_lines(settings, data)
        if not isinstance(recipe, Recipe) and RunPlaces(Path(recipe)).is_run:
            recipe = StoredRun.open(Path(recipe)).recipe
        if isinstance(recipe, Recipe):
            fields = recipe.model_dump(mode="json")
            for key, value in setting_pairs(lines):
                set_key(fields, key, value)
            whole = make_recipe(fields, where="settings", folder=recipe.folder)
        else:
            whole = load_recipe(ready_file("recipe", Path(recipe)), lines)
        self.recipe: Recipe = whole
        """The recipe, with every setting."""
        self.folder: Path = Path(runs) / whole.run_name
        """Where everything is, or will be."""

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """The run of a folder.

        Args:
            folder: a run's folder, wherever it was moved to.

        Raises:
            UserError: it is no run's folder, or of another version.
        """
        run = cls(StoredRun.open(Path(folder)).recipe)
        run.folder = Path(folder)
        return run

    def __repr__(self) -> str:
        return f"Run({self.recipe.name!r}, {str(self.folder)!r})"

    # what it does

    def plan(self, *, estimate: bool | Literal["sampled"] = False, workers: int | None = None) -> MixturePreview:
        """What it would train on: rows, rates, tokens, epochs, disk and time; nothing is downloaded or written.

        Args:
            estimate: look at no rows, even where they are at hand; `sampled`, at the first of each task alone.
            workers: processes that would mix.

        Raises:
            UserError: a task, cluster, folder, row or setting is at fault.
        """
        return preview_mixture(self.recipe, estimate=estimate, workers=workers)

    def work(
        self,
        until: Until = StageKind.REPORT,
        *,
        workers: int | None = None,
        engine: str = "local",
        watch: Watch = _unwatched,
    ) -> Outcome:
        """Do what the recipe says as far as a stage; what is done already is kept.

        Args:
            until: the last stage to do.
            workers: processes that make the token store; by default one a core where it is large.
            engine: `local`, or `ray` for the processes of a Ray cluster.
            watch: called with what happens.

        Raises:
            UserError: the recipe, its data, its model or the disk is at fault, or the folder goes by another name.
        """
        if self.folder.name != self.recipe.run_name:
            how = f"a run goes on in a folder named {self.recipe.run_name}"
            raise UserError("a run's folder that was renamed can only be read", where=str(self.folder), how=how)
        return work(self._stored, report=_write_report, until=until, workers=workers, engine=engine, watch=watch)

    def mix(self, *, workers: int | None = None, engine: str = "local", watch: Watch = _unwatched) -> Mixture:
        """Check for leaks, render, tokenise and pack the tuning set (section 2.1 of Wei et al. 2022).

        Args:
            workers: as for `work`.
            engine: as for `work`.
            watch: as for `work`.

        Raises:
            UserError: as `work`.
        """
        self.work(StageKind.MIXTURE, workers=workers, engine=engine, watch=watch)
        return self.mixture

    def tune(self, *, watch: Watch = _unwatched) -> "pd.DataFrame":
        """Tune a model with each seed, mixing first where that is not done; `losses()` of it.

        Args:
            watch: as for `work`.

        Raises:
            UserError: as `work`.
        """
        self.work(StageKind.TRAINING, watch=watch)
        return self.losses()

    def measure(self, *, watch: Watch = _unwatched) -> Results:
        """Ask the untuned model and the tuned ones, and write results and page; all before it is done first.

        Args:
            watch: as for `work`.

        Raises:
            UserError: as `work`.
        """
        self.work(StageKind.REPORT, watch=watch)
        return self.results

    def report(self) -> Results:
        """Write results and page again, from stored answers.

        Raises:
            UserError: the run is not finished, or is of another version.
        """
        return report_again(self._stored, report=_write_report)

    # what it has

    @property
    def places(self) -> RunPlaces:
        """Where each thing is in its folder."""
        return self._stored.places

    @property
    def mixture(self) -> Mixture:
        """Its tuning set.

        Raises:
            UserError: it is not mixed yet.
        """
        return Mixture(self.places.mixture)

    @property
    def results(self) -> Results:
        """The account of it: the verdict by cluster, and every task under every model.

        Raises:
            UserError: it is not measured yet, or by another version.
        """
        return self._stored.results

    def gains(self, by: Literal["cluster", "task"] = "cluster") -> "pd.DataFrame":
        """The verdict: a line a cluster: untuned and tuned score (0 to 1), gain and its 95 % interval, chance.

        Args:
            by: `task` for a line a task of your own, the untuned model at its best prompt.

        Raises:
            UserError: as `results`.
        """
        return gains_table(self.results.verdict, by)

    def model(self, seed: int | Literal["untuned"] | None = None) -> Model:
        """A tuned model, to be asked, or the one that tuning starts from.

        Args:
            seed: which; the first by default. `untuned` is asked in the text format of the run, as its evaluation does.

        Raises:
            UserError: it is not tuned yet.
        """
        if seed != "untuned":
            return Model(self.folder, seed=seed)
        from openflan.models.device import pick_device
        from openflan.models.load import load_model
        from openflan.runs.materials import Materials

        stored = self._stored
        model = load_model(stored.plan.model, device=pick_device())
        opened = OpenedModel(model=model, encoder=Materials(stored).encoder, prompts=self.recipe.prompts)
        return model_of(f"{self.folder} {UNTUNED}", opened)

    def answers(self, model: str | int = UNTUNED, *, score: Score | None = None) -> "pd.DataFrame":
        """Every answer of a model: prompt, answer, expected, value (0 to 1), options, their log-likelihoods (nats).

        Args:
            model: `untuned`, or the seed of a tuned one.
            score: decide ranked answers by this normalisation, whatever they were decided by.

        Raises:
            UserError: that model was not asked yet, or a file is damaged.
        """
        name = tuned_name(model) if isinstance(model, int) else model
        if name not in self.places.asked:
            how = f"there are those of {', '.join(self.places.asked) or 'none'}"
            raise UserError(f"no answers of '{name}'", where=str(self.folder), how=how)
        return answers_table(self.places.answers(name), score=score)

    def losses(self) -> "pd.DataFrame":
        """What each step of tuning measured: a line a seed and step (from 1), with the loss in nats a target token.

        While it is tuned, the steps that are done.

        Raises:
            UserError: it is not tuned yet.
        """
        metrics = {seed: self._stored.metrics_so_far(seed) for seed in self.recipe.seeds}
        if not any(metrics.values()):
            raise UserError("not tuned yet", where=str(self.folder), how="tune it first: Run.tune()")
        return losses_table(metrics)

    def replay(self, step: int, *, seed: int | None = None) -> list["Replayed"]:
        """The prompts of a training step, made again from the rows and held against the stored tokens.

        Args:
            step: an optimizer step, from 1.
            seed: whose; the recipe's first by default.

        Raises:
            UserError: there is no such step or seed, or nothing is mixed yet.
        """
        from openflan.mixture.tracing import replay

        return list(replay(*self._drawn(), seed=self.seed(seed), step=step))

    def trace(self, task: str, row: int, *, seed: int | None = None) -> list["Seen"]:
        """Every training step that saw a row, asked or as a solved example.

        Args:
            task: a task of the mixture.
            row: place in its training split, from 0.
            seed: whose training; the recipe's first by default.

        Raises:
            UserError: there is no such task, row or seed, or nothing is mixed yet.
        """
        from openflan.mixture.store import TokenStore
        from openflan.mixture.tracing import trace

        return list(trace(TokenStore.open(self.places.mixture), seed=self.seed(seed), task=task, row=row))

    def seed(self, seed: int | None = None) -> int:
        """A seed as given, or the recipe's first."""
        return self._stored.chosen_seed(seed)

    # what is given away

    def export(
        self,
        to: str | Path | None = None,
        *,
        format: "Format" = "prompts",
        only: Literal["all", "commercial"] = "all",
        seed: int | None = None,
        report: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> "Exported":
        """Write the training examples as text, in their order, with provenance and licences, for any trainer.

        Args:
            to: the file; by default one named after run and seed, in the working folder.
            format: `prompts`, `messages`, `jsonl` or `parquet`.
            only: `all`, or `commercial`: tasks whose licence allows it.
            seed: whose; the recipe's first by default.
            report: told how many of how many examples are written.

        Raises:
            UserError: nothing is mixed yet, no example is left, or the file is there already.
        """
        from openflan.mixture.export import export_mixture

        chosen = self.seed(seed)
        ending = ".parquet" if format == "parquet" else ".jsonl"
        path = Path(f"{self.folder.name}-seed-{chosen}{ending}") if to is None else Path(to)
        return export_mixture(path, *self._drawn(), seed=chosen, format=format, only=only, report=report)

    def export_model(self, to: str | Path, *, seed: int | None = None, merge: bool = False) -> Path:
        """Write a tuned model in Hugging Face layout, with its card; as a GGUF file where `to` ends in `.gguf`.

        Args:
            to: the folder or file to write; a file (for llama.cpp) is read again and compared before it is kept.
            seed: which; the recipe's first by default.
            merge: put an adapter into its base's weights, as it is in a GGUF file anyway.

        Raises:
            UserError: it is not tuned yet, has no adapter to merge, there is something already, or llama.cpp's
                converter (`convert_hf_to_gguf.py`, on the PATH or named by CONVERT_HF_TO_GGUF) does not keep the model.
        """
        export_model(self._stored, Path(to), seed=self.seed(seed), merge=merge)
        return Path(to)

    def publish(
        self, to: str | Path, *, seed: int | None = None, merge: bool = False, public: bool = False
    ) -> Published:
        """Put model, card, results, report and mixture lock together into a folder, or on the hub.

        Args:
            to: a folder (`./name`, `/name`), or a hub id (`owner/name`).
            seed: which model; the recipe's first by default.
            merge: put an adapter into its base's weights.
            public: on the hub, for all to see; private by default.

        Raises:
            UserError: it is not finished, the folder is there already, or the hub refuses.
        """
        return publish_run(self._stored, str(to), seed=self.seed(seed), merge=merge, public=public)

    @property
    def _stored(self) -> StoredRun:
        """What reads its folder; a new one each time, for tasks and data may have changed since."""
        return StoredRun(self.folder, self.recipe)

    def _drawn(self) -> tuple["TokenStore", "MixWork"]:
        """Its token store, and what makes its prompts again."""
        from openflan.mixture.store import TokenStore
        from openflan.models.load import load_rules

        plan = self._stored.plan
        store = TokenStore.open(self.places.mixture)
        rules = load_rules(plan.model, plan.recipe.prompts, kept=self._stored.text_format)
        return store, plan.work(rules, mixture=store.folder)
