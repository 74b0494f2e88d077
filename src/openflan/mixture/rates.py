"""Mixing rates: how often each task is drawn.

Examples-proportional mixing with a maximum (Wei et al. 2022, section 2.1; Raffel et al. 2020, section 3.5.2): a
task with n rows is drawn in proportion to min(n, maximum), so that no large task drowns the others. Beside it there
are a temperature, equal rates, fixed shares by task or cluster, and groups with a share and a rule of their own.
Shares are fractions throughout; the order of draws is given whole numbers, draws a round.

    weights: {cb: 0.01, misc: 0.2}   cb has 1 %, misc as a whole 20 %, all others divide 79 % by the rule
    weights: {misc: 0.2, cola: 0.05} cola's 5 % is part of misc's 20 %; the rest of misc divides 15 %

Invariant: every task has a rate of at least one draw a round. Cost: O(tasks). Rejected: floating-point
probabilities, whose shares drift and whose order needs a random state.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from openflan.errors import UserError, did_you_mean
from openflan.recipes.mixture_part import MixingRule, MixturePart
from openflan.tasks.catalog import Entry

__all__ = ["LONGEST_ROUND", "draws_per_round", "mixing_shares"]

LONGEST_ROUND = 1_000_000
"""Draws a round at most; shares that need more are rounded to this many."""

Shares = dict[str, Fraction]


def draws_per_round(rows: Mapping[str, int], entries: Sequence[Entry], mixture: MixturePart) -> dict[str, int]:
    """How often each task is drawn in one round of the mixture.

    For example, 250, 500 and 400,000 rows with a maximum of 3,000 give 1, 2 and 12. Exact where a round of
    `LONGEST_ROUND` draws can be, else rounded by largest remainder, at least one draw a task.

    Args:
        rows: usable rows by task name.
        entries: all tasks of the recipe, held out or not: a share of a task that is not tuned on is passed over, so
            that all hold-outs can share a recipe.

    Raises:
        UserError: a task has no rows, a name is unknown, or shares don't fit.
    """
    return _whole_numbers(mixing_shares(rows, entries, mixture))


def mixing_shares(rows: Mapping[str, int], entries: Sequence[Entry], mixture: MixturePart) -> Shares:
    """Each task's exact share of the examples; they sum to 1.

    Groups of which no task is tuned on are passed over; where groups cover all tasks, they are scaled to fill the
    mixture.

    Raises:
        UserError: as `draws_per_round`.
    """
    empty = [name for name, n in rows.items() if n == 0]
    if empty:
        raise UserError(f"no rows left in {', '.join(empty)}", how="check its split and filters, or leave it out")
    shares: Shares = {}
    grouped: set[str] = set()
    left = Fraction(1)
    for group, names in _group_members(entries, mixture).items():
        grouped |= names
        part, members = mixture.groups[group], [entry for entry in entries if entry.spec.name in names]
        tuned = {name: n for name, n in rows.items() if name in names}
        inside = _divide(tuned, members, part, where=f"mixture.groups.{group}.weights")
        share = _exact(part.share) if tuned else Fraction(0)
        left -= share
        shares.update({name: share * value for name, value in inside.items()})
    if left < 0:
        raise UserError(f"shares sum to {float(1 - left):g}, over 1", where="mixture.groups", how="lower one")
    rest = {name: n for name, n in rows.items() if name not in grouped}
    outside = [entry for entry in entries if entry.spec.name not in grouped]
    if rest and not left:
        how = "lower a share, or put them in a group"
        raise UserError(f"the shares leave nothing for {_some(rest)}", where="mixture.groups", how=how)
    inside = _divide(rest, outside, mixture, where="mixture.weights")
    shares.update({name: left * value for name, value in inside.items()})
    whole = sum(shares.values())
    return {name: shares[name] / whole for name in rows}


def _group_members(entries: Sequence[Entry], mixture: MixturePart) -> dict[str, set[str]]:
    """Task names by group.

    Raises:
        UserError: a word stands for no task, or a task is in two groups.
    """
    members: dict[str, set[str]] = {}
    terms = {word for entry in entries for word in entry.called}
    for group, part in mixture.groups.items():
        where = f"mixture.groups.{group}.use"
        names: set[str] = set()
        for position, word in enumerate(part.use):
            if word not in terms:
                raise _unknown(word, terms, f"{where}[{position}]", "task, cluster or collection")
            names |= {entry.spec.name for entry in entries if word in entry.called}
        for other, theirs in members.items():
            if both := sorted(names & theirs):
                how = "leave it out of one"
                raise UserError(f"group '{other}' has {_some(both)} too", where=where, how=how)
        members[group] = names
    return members


def _divide(rows: Mapping[str, int], entries: Sequence[Entry], rule: MixingRule, *, where: str) -> Shares:
    """The shares of tasks that divide 1 among them by one rule.

    Args:
        entries: every task that the rule may name, tuned on or not.
    """
    terms = {word for entry in entries for word in entry.spec.called}
    sets: list[tuple[str, frozenset[str]]] = []
    for word in rule.weights:
        if word not in terms:
            raise _unknown(word, terms, f"{where}.{word}", "task or cluster")
        tuned = frozenset(e.spec.name for e in entries if e.spec.name in rows and word in e.spec.called)
        if tuned:
            sets.append((word, tuned))
    if not rows:
        return {}
    base = {name: _rate(n, rule) for name, n in rows.items()}
    sets.sort(key=lambda pair: (len(pair[1]), pair[0] not in rows))  # a cluster of one task holds the task
    weights = {word: _exact(value) for word, value in rule.weights.items()}
    return _allot(Fraction(1), base, sets, weights, where=where)


def _allot(
    share: Fraction,
    base: Mapping[str, Fraction],
    sets: Sequence[tuple[str, frozenset[str]]],
    weights: Mapping[str, Fraction],
    *,
    where: str,
) -> Shares:
    """Divide a share among tasks in proportion to their base rates, but for some sets of them with a fixed part.

    Where the fixed parts cover all tasks, they are scaled to fill the share.

    Args:
        sets: named sets of the tasks, the smallest first; any two are apart or one holds the other.
    """
    shares: Shares = {}
    named: list[str] = []
    pending = list(sets)
    while pending:
        word, members = pending.pop()
        inner = [pair for pair in pending if pair[1] <= members]
        pending = [pair for pair in pending if not pair[1] <= members]
        named.append(word)
        inside = {name: rate for name, rate in base.items() if name in members}
        shares.update(_allot(weights[word], inside, inner, weights, where=where))
    fixed = sum((weights[word] for word in named), Fraction(0))
    rest = {name: rate for name, rate in base.items() if name not in shares}
    if fixed > share:
        what = f"{_some(sorted(named))} sum to {float(fixed):g}, over the {float(share):g} there is to divide"
        raise UserError(what, where=where, how="lower one")
    if rest and fixed == share:
        raise UserError(f"the shares leave nothing for {_some(sorted(rest))}", where=where, how="lower one")
    total = sum(rest.values())
    shares.update({name: rate * (share - fixed) / total for name, rate in rest.items()})
    whole = sum(shares.values())
    return {name: value * share / whole for name, value in shares.items()}


def _rate(rows: int, rule: MixingRule) -> Fraction:
    """A task's rate relative to others of its rule (as seqio's `mixing_rate_num_examples`)."""
    if rule.rule == "equal":
        return Fraction(1)
    capped = min(rows, rule.maximum)
    return Fraction(capped) if rule.temperature == 1 else Fraction(math.pow(capped, 1 / rule.temperature))


def _whole_numbers(shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Shares as the smallest whole numbers in the same ratio, or the nearest that fit in a round."""
    length = math.lcm(*(share.denominator for share in shares.values()))
    if length <= LONGEST_ROUND:
        return {name: int(share * length) for name, share in shares.items()}
    wanted = {name: share * LONGEST_ROUND for name, share in shares.items()}
    draws = {name: max(1, math.floor(value)) for name, value in wanted.items()}
    short = max(0, LONGEST_ROUND - sum(draws.values()))
    for name in sorted(wanted, key=lambda name: (draws[name] - wanted[name], name))[:short]:
        draws[name] += 1
    return draws


def _exact(value: float) -> Fraction:
    """A number as it is written: 0.4 is two fifths."""
    return Fraction(str(value))


def _unknown(word: str, terms: Collection[str], where: str, what: str) -> UserError:
    how = did_you_mean(word, sorted(terms)) or "name what tasks.use has and no other group holds"
    return UserError(f"no {what} '{word}' here", where=where, how=how)


def _some(names: Collection[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} others" if len(shown) > 3 else "")
