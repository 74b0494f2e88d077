"""What is known of a recipe's tasks before they are mixed: rows and lengths, counted where rows are at hand.

    rows at hand, tokenizer at hand    rows counted, leak check done, the first prompts of each task's own order
                                       rendered and tokenised, just as the mixture will make them: exact
    rows at hand, tokenizer on a hub   the same prompts in bytes, and the reference tokenizer's bytes a token
    tokenizer at hand, rows not        official rows and known lengths; bytes a token from the tasks' twins
    neither                            official rows and known lengths

Invariant: nothing is downloaded and nothing is written. Cost: 16,384 prompts in all are made, about 3 s, and reading
the rows; without rows 0.3 s, and transformers is not imported. Rejected: a random sample: the first draws of a task
are spread over its rows and templates already, and are what the mixture begins with.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

from openflan.mixture.holdout import HoldOut
from openflan.mixture.lengths import (
    ZERO_SHOT,
    BytesPerToken,
    KnownLengths,
    LengthCurve,
    Lengths,
    TokenLengths,
    fit,
    known_lengths,
)
from openflan.mixture.planning import TaskFacts
from openflan.mixture.sampling import counted_rows, local_rate, sampled_lengths
from openflan.models.load import ModelSource
from openflan.recipes.parts import PromptsPart
from openflan.recipes.recipe import Recipe
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow, rows_at_hand
from openflan.tasks.splits import official_rows

if TYPE_CHECKING:
    from openflan.mixture.workers import PieceMaker
    from openflan.prompts.encoding import EncoderRules

__all__ = ["Survey", "survey"]

_PROMPTS = 16_384
"""Prompts that are made in all, to measure lengths."""
_FEWEST, _MOST = 256, 4_096
"""And of each task."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What is known of the tuned tasks."""

    facts: tuple[TaskFacts, ...]
    leaks: str | None = None
    """What the leak check found, and on how much; None where it was not done."""
    freshness: str | None = None
    """Whether tuned tasks' test rows stand in their own training rows; None where that was not looked at."""
    unchecked: tuple[str, ...] = ()
    """Held-out tasks whose rows are not at hand, so that no training row could be held against them."""
    absent: tuple[str, ...] = ()
    """Tasks that the folders of data lack, so that their rows come from the hub."""
    left_out: tuple[str, ...] = ()
    """Tasks that the leak check leaves no row of."""


def survey(
    recipe: Recipe,
    division: HoldOut,
    measured: Sequence[Entry],
    model: ModelSource,
    *,
    seen: Sequence[Entry] = (),
    data: Path | None,
    errata: frozenset[str],
    estimate: bool | Literal["sampled"] = False,
) -> Survey:
    """Find out what can be known of the tuned tasks.

    Args:
        measured: held-out tasks whose test rows must not stand in the mixture.
        seen: tuned tasks that are measured too, by test rows that should not be their training rows.
        estimate: look at no rows, even where they are at hand; `sampled`, at the first of each task alone.

    Raises:
        UserError: rows or templates of a task are at fault.
    """
    here = [entry for entry in division.tuned if not estimate and rows_at_hand(entry, "train", data=data)]
    names = {entry.spec.name for entry in here}
    away = [entry for entry in division.tuned if entry.spec.name not in names]
    facts = {
        one.entry.spec.name: one
        for one in _expected(recipe, division, away, model, errata, data, sampled=estimate == "sampled")
    }
    result = Survey(
        facts=(),
        absent=tuple(e.spec.name for e in away if data is not None and not estimate and not e.spec.source.by_hand),
    )
    if here:
        counted, result = _counted(recipe, division, measured, seen, model, here, result, data=data, errata=errata)
        facts.update(counted)
    ordered = tuple(facts[e.spec.name] for e in division.tuned if e.spec.name in facts)
    return replace(result, facts=ordered)


def _expected(
    recipe: Recipe,
    division: HoldOut,
    away: Sequence[Entry],
    model: ModelSource,
    errata: frozenset[str],
    data: Path | None,
    *,
    sampled: bool,
) -> list[TaskFacts]:
    """Tasks whose rows are not all looked at: official sizes, and known lengths or those of the first rows."""
    lengths = {entry.spec.name: known_lengths(entry.spec.name, _cluster_of(entry, division)) for entry in away}
    if sampled:
        own = {e.spec.name: sampled_lengths(e, data=data, reference=lengths[e.spec.name].reference) for e in away}
        lengths |= {name: sample for name, sample in own.items() if sample is not None}
    rates = {} if model.folder is None else _local_rates(away, lengths, model.folder, data, sampled=sampled)
    facts = []
    for entry in away:
        task_lengths = lengths[entry.spec.name]
        most = recipe.mixture.most_rows(entry.called)
        rows = official_rows(entry.spec, "train", most=most, errata=errata)
        if rows is None and sampled and (counted := counted_rows(entry)) is not None:
            rows = min(counted, most)
        facts.append(
            TaskFacts(
                entry=entry,
                rows=rows,
                lengths=fit(task_lengths.tokens(rates.get(entry.spec.name)), recipe.prompts),
                basis="guess" if rows is None or task_lengths.origin in ("twin", "guess") else "estimate",
            )
        )
    return facts


def _cluster_of(entry: Entry, division: HoldOut) -> list[str]:
    """Names of the catalog's tasks of the same cluster, held out or not."""
    every = division.named
    return [other.spec.name for other in every if other.spec.code_cluster == entry.spec.code_cluster]


def _local_rates(
    entries: Sequence[Entry], lengths: Mapping[str, KnownLengths], folder: Path, data: Path | None, *, sampled: bool
) -> dict[str, BytesPerToken]:
    """Bytes a token of a local tokenizer; a task without rows or a twin has as many more than the reference as the
    others."""
    measured = {entry.spec.name: local_rate(entry, folder, data=data, sampled=sampled) for entry in entries}
    rates = {name: rate for name, rate in measured.items() if rate is not None}
    if not rates:
        return rates
    more = median(rate.input / lengths[name].reference.input for name, rate in rates.items())
    for name, task_lengths in lengths.items():
        guess = BytesPerToken(input=task_lengths.reference.input * more, target=task_lengths.reference.target * more)
        rates.setdefault(name, guess)
    return rates


def _counted(
    recipe: Recipe,
    division: HoldOut,
    measured: Sequence[Entry],
    seen: Sequence[Entry],
    model: ModelSource,
    here: Sequence[Entry],
    result: Survey,
    *,
    data: Path | None,
    errata: frozenset[str],
) -> tuple[dict[str, TaskFacts], Survey]:
    """Tasks with rows: counted, held against held-out rows, and measured on their first prompts."""
    from openflan.mixture.leakage import check_mixture
    from openflan.mixture.workers import MixWork, PieceMaker, usable_rows

    work = MixWork(
        mixture=recipe.mixture,
        entries={entry.spec.name: entry for entry in here},
        data=data,
        encoder=_rules(model, recipe.prompts),
        errata=errata,
    )
    rows = {entry.spec.name: usable_rows(work, entry.spec.name) for entry in here}
    there = [entry for entry in measured if rows_at_hand(entry, "test", data=data)]
    own = [entry for entry in seen if entry in here and rows_at_hand(entry, "test", data=data)]
    tuned = [(entry, rows[entry.spec.name]) for entry in here]
    certificate = check_mixture(recipe.mixture, tuned, there, own, data=data, lineage=division.condemned)
    by_task = certificate.rows_left(rows)
    maker = PieceMaker(work)
    prompts = max(_FEWEST, min(_MOST, _PROMPTS // max(1, len(by_task))))
    facts = {
        entry.spec.name: TaskFacts(
            entry=entry,
            rows=len(by_task[entry.spec.name]),
            lengths=_measured(maker, entry, by_task[entry.spec.name], division, model, prompts, recipe.seeds[0]),
            basis="exact" if model.folder is not None else "rows",
        )
        for entry in here
        if entry.spec.name in by_task
    }
    return facts, replace(
        result,
        leaks=_so_far(certificate.verdict, division.tuned, here, measured, there) if there else None,
        freshness=certificate.freshness or None,
        unchecked=tuple(entry.spec.name for entry in measured if entry not in there),
        left_out=tuple(name for name in rows if name not in by_task),
    )


def _so_far(
    verdict: str, tuned: Sequence[Entry], here: Sequence[Entry], measured: Sequence[Entry], there: Sequence[Entry]
) -> str:
    """A verdict, with what it is not on."""
    if len(here) == len(tuned) and len(there) == len(measured):
        return verdict
    return (
        f"{verdict} That is on the rows at hand, {len(here)} of {len(tuned)} tuned tasks against {len(there)} of"
        f" {len(measured)} held-out ones."
    )


def _rules(model: ModelSource, part: PromptsPart) -> "EncoderRules":
    """The model's text encoder where it is at hand, else one whose tokens are bytes."""
    from openflan.prompts.encoding import EncoderRules
    from openflan.prompts.text_format import TextFrame

    if model.folder is not None:
        from openflan.models.load import load_rules

        return load_rules(model, part)
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={sign: number for number, sign in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return EncoderRules(vocabulary=tokenizer.to_str(), frame=TextFrame(), part=part)


def _measured(
    piece_maker: "PieceMaker",
    entry: Entry,
    rows: Sequence[SourceRow],
    division: HoldOut,
    model: ModelSource,
    most: int,
    seed: int,
) -> TokenLengths:
    """Lengths of the first prompts that the mixture will make of a task."""
    import numpy as np

    from openflan.mixture.pieces import bounds, draws_of_piece

    name = entry.spec.name
    reference = known_lengths(name, _cluster_of(entry, division)).reference if model.folder is None else None
    maker = piece_maker.example_maker(name, rows, count=None if reference is None else _counted_in(reference.input))
    drawn, number, prompts = 0, 0, []
    while bounds(number)[1] <= most:
        draws = draws_of_piece(name, len(rows), seed=seed, number=number)
        drawn, number = bounds(number)[1], number + 1
        examples = maker.examples(draws.row, draws.ticket, pool=np.unique(draws.row))
        prompts += [one.prompt for one in examples if one is not None]
    if not prompts:
        return TokenLengths(input=0.0, target=0.0, cut=0.0)
    part = piece_maker.encoder.rules.part
    if reference is not None:
        lengths = Lengths(
            input=_tokens([prompt.input for prompt in prompts], reference.input),
            target=_tokens([prompt.target for prompt in prompts], reference.target),
        )
        return fit(lengths, part, ZERO_SHOT)  # the prompts are in the styles of the mixture already
    encoded = piece_maker.encoder.prompts(prompts)
    return TokenLengths(
        input=sum(one.target_start for one in encoded) / drawn,  # rows that can't be rendered take no tokens
        target=sum(len(one.ids) - one.target_start for one in encoded) / drawn,
        cut=sum(one.cut for one in encoded) / drawn,
    )


def _counted_in(bytes_per_token: float) -> Callable[[Sequence[str]], list[int]]:
    """Tokens of texts, from their bytes."""
    return lambda texts: [math.ceil(len(text.encode()) / bytes_per_token) for text in texts]


def _tokens(texts: Sequence[str], bytes_per_token: float) -> LengthCurve:
    return LengthCurve.of(len(text.encode()) / bytes_per_token for text in texts)
