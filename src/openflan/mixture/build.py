"""Build a mixture: rows, leak check, rates, token store, ledger and lock, in this order.

    rows of tuned tasks ─┐
    rows of held-out ones ┴► leak certificate ─► rates ─► draws ─► pieces ─► steps
                              leakage.json                          store     order/  ledger.json  lock.json

Invariant: what is in the folder is a pure function of recipe, rows and tokenizer. Rejected: a leak check as a command
of its own, which nobody would have to run.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import UserError
from openflan.mixture.certificate import LeakCertificate, write_certificate
from openflan.mixture.holdout import HoldOut
from openflan.mixture.leakage import check_mixture
from openflan.mixture.ledger import (
    Drawn,
    Ledger,
    LedgerTask,
    LockedTask,
    MixtureLock,
    write_ledger,
    write_lock,
    write_row_hashes,
)
from openflan.mixture.rates import draws_per_round
from openflan.mixture.store import StoreMaker
from openflan.mixture.workers import MixWork, UsableRows, open_engine
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.engines import TokenEngine
from openflan.recipes.recipe import Recipe
from openflan.stage import ReportDone, fingerprint_of, fingerprint_of_integers
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import origin

__all__ = ["Mixing", "build_mixture"]


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """What a mixture is built from."""

    recipe: Recipe
    division: HoldOut
    measured: Sequence[Entry]
    """Held-out tasks whose test rows must not stand in it."""
    seen: Sequence[Entry] = ()
    """Tuned tasks that are measured too, by test rows that should not be their training rows."""
    work: MixWork
    key: str
    """Hash of everything the mixture depends on; the certificate is bound to it."""
    tokenizer: str
    """Hash of the tokenizer's files."""


@contextmanager
def _no_collection() -> Iterator[None]:
    """Leave Python's search for reference cycles out until the rows are let go: among a million it finds none and takes
    7 % of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_no_collection()
def build_mixture(
    folder: Path,
    mixing: Mixing,
    *,
    siblings: Sequence[Path],
    workers: int,
    engine: str,
    report: ReportDone,
    note: Callable[[str], None] = lambda _text: None,
) -> None:
    """Write a mixture into a folder, going on from the pieces that an interrupted call left there.

    Args:
        siblings: other mixtures, whose pieces may be linked.
        note: told what a user should know beside the files.

    Raises:
        UserError: rows or templates of a task are at fault, or nothing is left to tune on.
    """
    recipe, encoder = mixing.recipe, TextEncoder(mixing.work.encoder)
    with open_engine(engine, mixing.work, encoder, workers=workers) as pieces:
        read = pieces.read([entry.spec.name for entry in mixing.division.tuned])
        certificate = check_mixture(
            recipe.mixture,
            [(entry, read[entry.spec.name].rows) for entry in mixing.division.tuned],
            mixing.measured,
            mixing.seen,
            data=mixing.work.data,
            lineage=mixing.division.condemned,
        )
        left = certificate.rows_left({name: usable.rows for name, usable in read.items()})
        if not left:
            raise _nothing_left(certificate, read)
        rows_by_task = {name: read[name].only(rows) for name, rows in left.items()}
        named = mixing.division.named
        draws = draws_per_round(
            {name: len(usable.rows) for name, usable in rows_by_task.items()}, named, recipe.mixture
        )
        maker = StoreMaker(
            folder=folder,
            work=mixing.work,
            encoder=encoder,
            rows=rows_by_task,
            draws=draws,
            siblings=siblings,
            engine=pieces,
            report=report,
        )
        tokens_by = maker.pick_token_engine()
        if tokens_by.compared and tokens_by.note:
            note(tokens_by.note)
        drawn = maker.write(seeds=recipe.seeds, steps=recipe.training.steps, capacity=recipe.training.tokens_per_batch)
    ledger = _ledger(mixing, encoder, tokens_by, read, rows_by_task, draws, drawn)
    write_row_hashes(folder, {name: usable.hashes for name, usable in rows_by_task.items()})
    write_certificate(folder, certificate, key=mixing.key)
    write_lock(folder, _lock(mixing, encoder, rows_by_task, ledger))
    write_ledger(folder, ledger)


def _nothing_left(certificate: LeakCertificate, read: Mapping[str, UsableRows]) -> UserError:
    """The error of a mixture of which the leak check leaves no row."""
    total = sum(len(usable.rows) for usable in read.values())
    pairs = sorted(certificate.edges, key=lambda edge: -edge.rows)
    worst = f", most of all {pairs[0].task} ({pairs[0].rows:,}) with {pairs[0].held_out}" if pairs else ""
    what = f"every training row shares a text with a held-out task: {total:,} rows{worst}"
    how = "hold out fewer clusters, or see which with --set mixture.leakage=warn"
    return UserError(what, where="mixture.leakage", how=how)


def _ledger(
    mixing: Mixing,
    encoder: TextEncoder,
    tokens_by: TokenEngine,
    read: Mapping[str, UsableRows],
    rows_by_task: Mapping[str, UsableRows],
    draws: Mapping[str, int],
    drawn: Mapping[str, Mapping[int, Drawn]],
) -> Ledger:
    """What went in: rows, rates and draws by task, and the settings that say how much."""
    recipe, total = mixing.recipe, sum(draws.values())
    specs = {entry.spec.name: entry.spec for entry in mixing.division.tuned}
    return Ledger(
        encoder=encoder.fingerprint,
        tokens_by=tokens_by,
        held_out_clusters=tuple(mixing.division.clusters),
        condemned={one.entry.spec.name: one.descent.corpus for one in mixing.division.condemned},
        steps=recipe.training.steps,
        tokens_per_batch=recipe.training.tokens_per_batch,
        left_out=tuple(sorted(set(read) - set(rows_by_task))),
        missing=tuple(entry.spec.name for entry in mixing.division.missing),
        origins={
            **{entry.spec.name: origin(entry, "test", data=mixing.work.data) for entry in mixing.measured},
            **{entry.spec.name: origin(entry, "train", data=mixing.work.data) for entry in mixing.division.tuned},
        },
        tasks={
            name: LedgerTask(
                cluster=specs[name].cluster,
                spec=specs[name].fingerprint,
                licence=specs[name].licence,
                commercial_use=specs[name].commercial_use,
                rows=len(usable.rows),
                dropped=len(read[name].rows) - len(usable.rows),
                broken=len(usable.faulty),
                rate=draws[name] / total,
                drawn={seed: of_seed.examples for seed, of_seed in drawn[name].items()},
                tokens={seed: of_seed.tokens for seed, of_seed in drawn[name].items()},
                epochs={seed: round(of_seed.examples / len(usable.rows), 4) for seed, of_seed in drawn[name].items()},
                cut={seed: of_seed.cut for seed, of_seed in drawn[name].items()},
                skipped={seed: of_seed.skipped for seed, of_seed in drawn[name].items()},
                made={seed: of_seed.made for seed, of_seed in drawn[name].items()},
            )
            for name, usable in rows_by_task.items()
        },
    )


def _lock(mixing: Mixing, encoder: TextEncoder, rows_by_task: Mapping[str, UsableRows], ledger: Ledger) -> MixtureLock:
    """Everything the mixture depends on."""
    specs = {name: mixing.work.entries[name].spec for name in rows_by_task}
    return MixtureLock(
        key=mixing.key,
        recipe=mixing.recipe.model_dump(mode="json", include={"tasks", "prompts", "mixture", "seeds"}),
        text=encoder.format,
        tokenizer=mixing.tokenizer,
        tasks={
            name: LockedTask(
                source=specs[name].source.model_dump(mode="json", exclude_none=True),
                spec=specs[name].fingerprint,
                templates=tuple(fingerprint_of(t.model_dump(mode="json")) for t in specs[name].templates),
                rate=ledger.tasks[name].rate,
                rows=len(usable.rows),
                rows_hash=fingerprint_of_integers(usable.hashes),
            )
            for name, usable in rows_by_task.items()
        },
    )
