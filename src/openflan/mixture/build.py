"""Build a mixture: rows, leak check, rates, token store, ledger and lock, in this order.

    rows of tuned tasks ─┐
    rows of held-out ones ┴► leak certificate ─► rates ─► draws ─► pieces ─► steps
                              leakage.json                          store     order/  ledger.json  lock.json

Invariant: what is in the folder is a pure function of recipe, rows and tokenizer. Rejected: a leak check as a command
of its own, which nobody would have to run.
"""

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openflan.errors import UserError
from openflan.mixture.holdout import HoldOut
from openflan.mixture.leakage import Leakage, check_leakage
from openflan.mixture.rates import draws_per_round
from openflan.mixture.store import Report, StoreMaker
from openflan.mixture.workers import MixWork, open_engine, usable_rows
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.recipe import Recipe
from openflan.stage import fingerprint_of, write_atomically
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow, load_rows

__all__ = ["Mixing", "build_mixture"]


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """What a mixture is built from."""

    recipe: Recipe
    division: HoldOut
    measured: Sequence[Entry]
    """Held-out tasks whose test rows must not stand in it."""
    work: MixWork
    key: str
    """Hash of everything the mixture depends on; the certificate is bound to it."""
    tokenizer: str
    """Hash of the tokenizer's files."""


def build_mixture(
    folder: Path,
    mixing: Mixing,
    *,
    siblings: Sequence[Path],
    workers: int,
    engine: str,
    report: Report,
) -> None:
    """Write a mixture into a folder, going on from the pieces that an interrupted call left there.

    Args:
        siblings: other mixtures, whose pieces may be linked.

    Raises:
        UserError: rows or templates of a task are at fault, or nothing is left to tune on.
    """
    recipe = mixing.recipe
    with _no_collection(), open_engine(engine, mixing.work, workers=workers) as pieces:
        rows = {entry.spec.name: usable_rows(mixing.work, entry.spec.name) for entry in mixing.division.tuned}
        leakage = _check(mixing, rows)
        kept = _without_leaks(rows, leakage)
        division = mixing.division
        known = [*division.tuned, *division.held_out, *(one.entry for one in division.condemned)]
        draws = draws_per_round({name: len(held) for name, held in kept.items()}, known, recipe.mixture)
        maker = StoreMaker(
            folder=folder, work=mixing.work, rows=kept, draws=draws, siblings=siblings, engine=pieces, report=report
        )
        drawn = maker.write(seeds=recipe.seeds, steps=recipe.training.steps, capacity=recipe.training.tokens_per_batch)
    np.savez(folder / "rows.npz", allow_pickle=False, **maker.row_hashes)
    ledger = _ledger(mixing, rows, kept, draws, drawn)
    write_atomically(folder / "leakage.json", leakage.to_json(mixture=mixing.key))
    write_atomically(folder / "lock.json", json.dumps(_lock(mixing, maker, ledger), indent=1, ensure_ascii=False))
    write_atomically(folder / "ledger.json", json.dumps(ledger, indent=1, ensure_ascii=False))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Leave Python's search for reference cycles out: among a million rows it finds none and takes 7 % of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _without_leaks(rows: Mapping[str, Sequence[SourceRow]], leakage: Leakage) -> dict[str, list[SourceRow]]:
    """The rows that the leak check leaves, by task.

    Raises:
        UserError: none is left.
    """
    kept = {
        name: [row for row in held if row.index not in leakage.rows_to_drop.get(name, frozenset())]
        for name, held in rows.items()
        if name not in leakage.tasks_to_drop
    }
    kept = {name: held for name, held in kept.items() if held}
    if not kept:
        raise UserError(
            "every training row stands in a held-out task", where="mixture.leakage", how="hold out fewer clusters"
        )
    return kept


def _check(mixing: Mixing, rows: Mapping[str, Sequence[SourceRow]]) -> Leakage:
    """Hold every training row against every row that a held-out task is measured on."""
    tuned = [(entry, rows[entry.spec.name]) for entry in mixing.division.tuned]
    held = [(entry, load_rows(entry, "test", data=mixing.work.data)) for entry in mixing.measured]
    return check_leakage(tuned, held, mode=mixing.recipe.mixture.leakage, lineage=mixing.division.condemned)


def _ledger(
    mixing: Mixing,
    rows: Mapping[str, Sequence[SourceRow]],
    kept: Mapping[str, Sequence[SourceRow]],
    draws: Mapping[str, int],
    drawn: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What went in: rows, rates and draws by task, and the settings that say how much."""
    recipe, total = mixing.recipe, sum(draws.values())
    specs = {entry.spec.name: entry.spec for entry in mixing.division.tuned}
    return {
        "encoder": TextEncoder(mixing.work.encoder, recipe.prompts).fingerprint,
        "held_out_clusters": list(mixing.division.clusters),
        "condemned": {one.entry.spec.name: one.descent.corpus for one in mixing.division.condemned},
        "steps": recipe.training.steps,
        "tokens_per_batch": recipe.training.tokens_per_batch,
        "left_out": sorted(set(rows) - set(kept)),
        "tasks": {
            name: {
                "cluster": specs[name].cluster,
                "spec": specs[name].fingerprint,
                "licence": specs[name].licence,
                "commercial_use": specs[name].commercial_use,
                "rows": len(held),
                "dropped": len(rows[name]) - len(held),
                "rate": draws[name] / total,
                "drawn": {seed: facts["examples"] for seed, facts in drawn[name].items()},
                "tokens": {seed: facts["tokens"] for seed, facts in drawn[name].items()},
                "epochs": {seed: round(facts["examples"] / len(held), 4) for seed, facts in drawn[name].items()},
                "cut": {seed: facts["cut"] for seed, facts in drawn[name].items()},
                "skipped": {seed: facts["skipped"] for seed, facts in drawn[name].items()},
                "made": {seed: facts["made"] for seed, facts in drawn[name].items()},
            }
            for name, held in kept.items()
        },
    }


def _lock(mixing: Mixing, maker: StoreMaker, ledger: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the mixture depends on, so that two of them can be compared and one made again."""
    entries = mixing.work.entries
    return {
        "key": mixing.key,
        "recipe": mixing.recipe.model_dump(mode="json", include={"tasks", "prompts", "mixture", "seeds"}),
        "encoder": ledger["encoder"],
        "tokenizer": mixing.tokenizer,
        "tasks": {
            name: {
                "source": entries[name].spec.source.model_dump(mode="json", exclude_none=True),
                "spec": entries[name].spec.fingerprint,
                "templates": [
                    fingerprint_of(template.model_dump(mode="json")) for template in entries[name].spec.templates
                ],
                "rate": ledger["tasks"][name]["rate"],
                "rows": len(hashes),
                "rows_hash": fingerprint_of(hashes.tolist()),
            }
            for name, hashes in maker.row_hashes.items()
        },
    }
