"""What a recipe would train on, before anything is downloaded or written.

Rows that are at hand are counted and tokenised; of others the official sizes and known lengths are taken, and every
line says which. Invariant: writes nothing. Cost: a second without rows; with them, that of reading and tokenising a
few hundred a task.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from openflan.mixture.planning import SPEED, MixPlan, Speed, plan_mixture
from openflan.mixture.survey import Survey, survey
from openflan.mixture.workers import default_workers
from openflan.models.load import ModelSource
from openflan.recipes.recipe import Recipe
from openflan.runs.plan import Resolved, resolve
from openflan.runs.scope import scope_of
from openflan.tasks.sources import must_be_fetched

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MissingRows", "MixturePreview", "preview_mixture"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingRows:
    """Tasks of which rows are not at hand, or not left, and what that means."""

    kind: Literal["no_rows", "unchecked", "left_out", "missing", "by_hand"]
    text: str
    """A sentence with `{}` for the tasks."""
    tasks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MixturePreview:
    """What a recipe would train on."""

    recipe: str
    """Its name."""
    mixture: MixPlan
    """Rows, rates, tokens, epochs, disk and time: by task, by cluster and altogether."""
    held_out_clusters: tuple[str, ...]
    """Clusters out of tuning: those asked for, and their kin."""
    held_out: tuple[str, ...]
    """Tasks of these clusters."""
    kin: tuple[str, ...]
    """Tasks of other clusters that are not tuned on, for they share text with held-out ones."""
    leaks: str | None
    """The leak check's verdict on the rows at hand; None where there are none."""
    freshness: str | None
    """Whether tuned tasks' test rows stand in their own training rows; None where that can't be told."""
    scope: str
    """What the held-out clusters will say of the user's own tasks, and what not; empty where there are none."""
    missing: tuple[MissingRows, ...]
    speed: Speed
    """What the time is reckoned by."""

    def table(self) -> "pd.DataFrame":
        """A line a task: rows, share of examples and tokens, mean lengths (tokens), epochs, share cut, how known."""
        import pandas as pd

        records = [
            {
                "task": task.task,
                "cluster": task.cluster,
                "rows": task.rows,
                "rate": task.rate,
                "token_share": task.token_share,
                "input_tokens": task.input_tokens,
                "target_tokens": task.target_tokens,
                "epochs": task.epochs,
                "cut": task.cut,
                "basis": task.basis,
            }
            for task in self.mixture.tasks
        ]
        return pd.DataFrame(records).set_index("task").sort_values(["cluster", "task"])

    def __repr__(self) -> str:
        totals = self.mixture.totals
        return f"MixturePreview({self.recipe!r}, {totals.tasks} tasks, {totals.tokens:,} tokens a seed)"


def preview_mixture(
    recipe: Recipe, *, estimate: bool | Literal["sampled"] = False, workers: int | None = None
) -> MixturePreview:
    """Tell what a recipe would train on.

    Args:
        estimate: look at no rows, even where they are at hand; `sampled`, at the first of each task alone.
        workers: processes that would mix; by default as many as mixing takes.

    Raises:
        UserError: a task, cluster, folder, row or setting is at fault.
    """
    names = resolve(recipe)
    division = names.division
    result = survey(
        recipe,
        division,
        names.measured_held_out,
        names.model,
        seen=names.measured_seen,
        data=names.data,
        errata=names.errata,
        estimate=estimate,
    )
    return MixturePreview(
        recipe=recipe.name,
        mixture=plan_mixture(
            result.facts,
            division.named,
            recipe,
            workers=workers or default_workers(recipe),
            fast=_is_fast(names.model),
        ),
        held_out_clusters=division.clusters,
        held_out=tuple(entry.spec.name for entry in division.held_out),
        kin=tuple(one.entry.spec.name for one in division.condemned),
        leaks=result.leaks,
        freshness=result.freshness,
        scope=scope_of(division.tuned, names.measured_held_out),
        missing=(*_missing(result), *_by_hand(names)),
        speed=SPEED,
    )


def _is_fast(model: ModelSource) -> bool:
    """Whether the faster token engine reads a model's vocabulary; of one that is not here, whether there is one."""
    from openflan.prompts.engines import find_engine

    path = None if model.folder is None else model.folder / "tokenizer.json"
    if path is None or not path.is_file():
        return find_spec("fastokens") is not None
    return find_engine(path.read_text(encoding="utf-8")).engine is not None


def _missing(result: Survey) -> tuple[MissingRows, ...]:
    texts: tuple[MissingRows, ...] = (
        MissingRows(
            kind="no_rows",
            text="no rows of {} in the folder of data: estimated here, and fetched from the hub by `openflan mix`",
            tasks=result.absent,
        ),
        MissingRows(
            kind="unchecked",
            text="not checked for leaks, for their rows are not at hand: {}",
            tasks=result.unchecked,
        ),
        MissingRows(
            kind="left_out",
            text="every row stands in a held-out task, so it is left out: {}",
            tasks=result.left_out,
        ),
    )
    return tuple(one for one in texts if one.tasks)


def _by_hand(names: Resolved) -> tuple[MissingRows, ...]:
    """What is left out for it must be fetched by hand; else a line for each such source, and what can be done."""
    division = names.division
    left_out = tuple(entry.spec.name for entry in division.missing)
    used = {e.spec.name: e for e in (*division.tuned, *names.measured_held_out)}
    missing = {name: e.spec.source.by_hand for name, e in used.items() if must_be_fetched(e, data=names.data)}
    texts = [
        MissingRows(kind="missing", text="left out, for their rows must be fetched by hand: {}", tasks=left_out),
        *(
            MissingRows(kind="by_hand", text=f"fetch by hand {{}}: {_plain(how)}", tasks=(n,))
            for n, how in missing.items()
        ),
        MissingRows(
            kind="by_hand",
            text="then give the folder of {} with --data, or leave them out: --set tasks.missing=leave_out",
            tasks=tuple(missing),
        ),
    ]
    return tuple(one for one in texts if one.tasks)


def _plain(how: str | None) -> str:
    """Instructions in which braces stand for themselves."""
    return " ".join((how or "").split()).rstrip(".").replace("{", "{{").replace("}", "}}")
