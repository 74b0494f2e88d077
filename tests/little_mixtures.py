"""Mixtures of the little tasks, built without a run folder."""

from collections.abc import Sequence
from pathlib import Path

from openflan.mixture.build import Mixing, build_mixture
from openflan.mixture.holdout import HoldOut
from openflan.mixture.workers import MixWork
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.recipe import Recipe
from openflan.stage import ReportDone


def write_mixture(
    folder: Path,
    recipe: Recipe,
    division: HoldOut,
    encoder: TextEncoder,
    *,
    siblings: Sequence[Path] = (),
    workers: int = 1,
    engine: str = "local",
    data: Path | None = None,
    errata: Sequence[str] = (),
    report: ReportDone = lambda _done, _total: None,
) -> Path:
    """Build a mixture into a folder, which may hold pieces already."""
    folder.mkdir(parents=True, exist_ok=True)
    mixing = Mixing(
        recipe=recipe,
        division=division,
        measured=division.held_out,
        work=MixWork(
            mixture=recipe.mixture,
            entries={entry.spec.name: entry for entry in division.tuned},
            data=data,
            encoder=encoder.rules,
            errata=frozenset(errata),
        ),
        key="key",
        tokenizer="tokenizer",
    )
    build_mixture(folder, mixing, siblings=siblings, workers=workers, engine=engine, report=report)
    return folder
