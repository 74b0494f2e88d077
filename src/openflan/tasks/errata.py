"""Errata: where the authors' released code does otherwise than the paper says, as switches.

The default is what the paper describes. `fidelity: code-v1` turns all of them on, to reproduce numbers that the
released code made; each can be set alone. A switch replaces cleaning steps of the tasks it concerns, so the prompts,
and the hash of everything made from them, change with it.

Invariant: with no switch on, a spec is left as it is. Rejected: flags asked for inside the cleaning steps, which
would no longer be functions of the row alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from openflan.errors import UserError, did_you_mean
from openflan.tasks.spec import TaskSpec

__all__ = ["ERRATA", "Erratum", "active_errata", "apply_errata", "as_fidelity", "errata_of"]

Fidelity = Literal["paper", "code-v1"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Erratum:
    """One point in which the released code differs."""

    what: str
    """What happens with the switch on."""
    steps: Mapping[str, str] = field(default_factory=dict)
    """Cleaning steps that it replaces, and by which."""


ERRATA: dict[str, Erratum] = {
    "cnn_dailymail_prefix": Erratum(
        what="an article keeps what stands before its dateline mark, not the story after it",
        steps={"drop_dateline": "keep_dateline"},
    ),
    "sentiment140_neutral_as_negative": Erratum(
        what="neutral tweets of the test split count as negative",
        steps={"drop_neutral_tweets": "neutral_tweets_are_negative"},
    ),
    "ascii_punctuation": Erratum(
        what="accented letters vanish together with the punctuation",
        steps={"strip_punctuation": "strip_punctuation_ascii"},
    ),
    "ascii_lower_case": Erratum(
        what="accented capitals stay capitals when the rest is lower-cased",
        steps={"lower_case": "lower_case_ascii"},
    ),
    "quac_unanswerable_marker": Erratum(
        what="the answer to an unanswerable question is the marker CANNOTANSWER",
        steps={"drop_unanswerable_marker": "keep_unanswerable_marker"},
    ),
    "cyclic_templates": Erratum(what="row i is always shown under template i modulo their number"),
    "self_exemplars": Erratum(what="a row may stand among its own solved examples, and rows of its passage too"),
    "drop_remainder": Erratum(what="rows after the last whole multiple of the number of templates are left out"),
}
"""Every switch by name."""


def as_fidelity(word: str) -> Fidelity:
    """Whom a word says to be true to: the paper, or the authors' released code.

    Raises:
        UserError: it is neither `paper` nor `code-v1`.
    """
    for fidelity in get_args(Fidelity):
        if word == fidelity:
            return fidelity  # type: ignore[no-any-return]
    raise UserError(f"no fidelity '{word}'", where="fidelity", how="paper or code-v1")


def active_errata(fidelity: Fidelity, single: Mapping[str, bool], *, where: str) -> frozenset[str]:
    """The switches that are on.

    Raises:
        UserError: a single switch has no such name.
    """
    for name in single:
        if name not in ERRATA:
            hint = did_you_mean(name, ERRATA) or f"known: {', '.join(ERRATA)}"
            raise UserError(f"no erratum '{name}'", where=f"{where}.{name}", how=hint)
    on = set(ERRATA) if fidelity == "code-v1" else set()
    on.update(name for name, yes in single.items() if yes)
    return frozenset(on - {name for name, yes in single.items() if not yes})


def apply_errata(spec: TaskSpec, active: frozenset[str]) -> TaskSpec:
    """The spec with the steps of the active errata in place of its own."""
    swaps = {old: new for name in sorted(active) for old, new in ERRATA[name].steps.items()}
    rows = tuple(swaps.get(step, step) for step in spec.rows)
    return spec if rows == spec.rows else spec.model_copy(update={"rows": rows})


def errata_of(spec: TaskSpec) -> list[str]:
    """The switches that concern this task's rows, on or off."""
    return [name for name, e in ERRATA.items() if set(spec.rows) & {*e.steps, *e.steps.values()}]
