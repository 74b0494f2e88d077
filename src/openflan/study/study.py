"""A study to run and to look at: a figure of the paper as a grid of recipes.

    study = Study("clusters", settings={"axes.clusters": [1, 5]}, runs="runs")
    study.forecast()      # cells, tokens and time; nothing is run
    study.run()           # the cells that are not done yet
    study.points()        # what the plot shows, as a data frame

Invariant: making one reads files and writes none. Cost: 60 ms a cell (openflan.study.grid).
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from openflan.recipes.settings import Settings, setting_lines
from openflan.study.account import account_folder
from openflan.study.forecast import Forecast, forecast
from openflan.study.grid import make_grid
from openflan.study.outcome import StudyOutcome, read_study
from openflan.study.progress import CellEvent
from openflan.study.running import run_study
from openflan.study.spec import load_study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Study"]


class Study:
    """A grid of recipes that differ in a setting or two, and what is asked of it.

    Args:
        name: a study file, or the name of a ready study (`clusters`, `scale` …).
        setting: `starter` (the embedded default), `paper`, or another of the file's.
        recipe: a recipe file, a folder with one or a ready one, in place of the study's own base.
        settings: changes, as after `--set`: `axes.NAME` and `before.NAME.KEY` change the study, other keys the recipe
            of every cell.
        data: a folder with `<task>/<split>.*` files that stand in for the hub, or `twins`.
        runs: folder that holds the run folders and the study's own.

    Raises:
        UserError: there is no such study, a setting is not allowed, or axes, claims and plot don't fit together.
    """

    def __init__(
        self,
        name: str | Path,
        *,
        setting: str | None = None,
        recipe: str | Path | None = None,
        settings: Settings = (),
        data: str | Path | None = None,
        runs: str | Path = "runs",
    ) -> None:
        lines = setting_lines(settings, data)
        self._spec = load_study(
            Path(name), setting=setting, settings=lines, recipe=None if recipe is None else str(recipe)
        )
        self._grid = make_grid(self._spec)
        self.runs: Path = Path(runs)
        """Folder that holds the run folders and the study's own."""

    def __repr__(self) -> str:
        return f"Study({self.name!r}, {len(self.cells)} cells, {str(self.runs)!r})"

    @property
    def name(self) -> str:
        """What the study file calls it."""
        return self._spec.file.name

    @property
    def title(self) -> str:
        """The figure's title."""
        return self._spec.file.title

    @property
    def setting(self) -> str:
        """Which of the file's settings it is in."""
        return self._spec.setting

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the recipes to run, in order, the models that cells start from first."""
        return tuple(cell.name for cell in self._grid.everything)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Tuning runs of each cell."""
        return self._spec.part.seeds

    @property
    def folder(self) -> Path:
        """Where its account, plot and page are, or will be."""
        return account_folder(self._spec, self._grid, self.runs)

    def forecast(self, *, pace: float | None = None) -> Forecast:
        """What it would run and how long that would take; nothing is downloaded or written.

        Args:
            pace: tokens a second that your machine tunes on; without it, what the shipped base was seen to do on two
                cores, in proportion to the model's size.

        Raises:
            UserError: a task, model or setting of a cell is at fault.
        """
        return forecast(self._grid, pace=pace)

    def run(self, *, engine: str = "local", watch: Callable[[CellEvent], None] = lambda _event: None) -> StudyOutcome:
        """Run the cells that are not done yet, and tell what they show; a cell that fails stops no other.

        Args:
            engine: `local`, or `ray`: each cell a task of a cluster.
            watch: called with what happens.

        Raises:
            UserError: the study itself is at fault; faults of single cells stand in what is returned.
        """
        return run_study(self._spec, runs=self.runs, engine=engine, watch=watch).outcome

    @property
    def outcome(self) -> StudyOutcome:
        """What it showed when it was last run.

        Raises:
            UserError: it was never run, or by another version.
        """
        return read_study(self.folder)

    def points(self) -> "pd.DataFrame":
        """A line a cell and measured cluster: untuned and tuned score, gain and its 95 % interval, chance.

        Raises:
            UserError: as `outcome`.
        """
        import pandas as pd

        records = [
            {
                "cell": point.cell,
                "cluster": point.cluster,
                "role": point.role,
                "series": point.series,
                "x": point.x,
                "untuned": point.untuned,
                "tuned": point.tuned,
                "gain": point.gain,
                "low": point.gain_ci95[0],
                "high": point.gain_ci95[1],
                "chance": point.chance,
            }
            for point in self.outcome.points
        ]
        return pd.DataFrame(records)
