"""The verdict in a sentence: what was held out, tuned against untuned, how sure, and whether the tuning set is clean.

    Held out of tuning, paraphrase scores 64.7 tuned against 60.6 untuned (+4.1, 95 % interval −2.0 to +10.3: no gain
    shown); the tuning set is clean.

Invariant: whether a gain counts is read from its interval (`numbers.outcome`), and a gain that some seed does not share
says so. Up to three clusters each get their numbers; of more, each is named with what it shows, none is left out.
Rejected: the mean over clusters alone, behind which one cluster's loss disappears.
"""

from collections.abc import Sequence

from openflan.mixture.certificate import LeakCertificate
from openflan.report.numbers import GainShown, listed, outcome, outcome_words, points, signed, span
from openflan.runs.results import ClusterVerdict, TaskVerdict, VerdictScores

__all__ = ["leak_clause", "own_headline", "run_headline"]

_FEW = 3


def run_headline(held_out: Sequence[ClusterVerdict], leakage: LeakCertificate | None) -> str:
    """The sentence that a run's page opens with."""
    if not held_out:
        return f"No held-out cluster was measured, so nothing here is zero-shot; {leak_clause(leakage)}."
    if len(held_out) <= _FEW:
        clusters = listed([_scores(verdict, first=not place) for place, verdict in enumerate(held_out)])
        return f"Held out of tuning, {clusters}; {leak_clause(leakage)}."
    gains = [verdict.gain for verdict in held_out]
    return (
        f"Of {len(held_out)} clusters held out of tuning, the tuned model is {listed(_by_outcome(held_out))} "
        f"(gains from {signed(min(gains))} to {signed(max(gains))} points, intervals below); {leak_clause(leakage)}."
    )


def own_headline(own: Sequence[TaskVerdict]) -> str:
    """The sentence on the user's own tasks that comes before it; empty where there are none."""
    if not own:
        return ""
    if len(own) <= _FEW:
        tasks = listed([_scores(verdict, first=not place) for place, verdict in enumerate(own)])
        return f"On test rows of its own, {tasks}." if len(own) == 1 else f"On test rows of their own, {tasks}."
    return f"Of your {len(own)} tasks, on test rows of their own, the tuned model is {listed(_by_outcome(own))}."


def leak_clause(leakage: LeakCertificate | None) -> str:
    """What the certificate says of the tuning set, as part of a sentence."""
    if leakage is None:
        return "there is no leak certificate"
    if not leakage.total:
        return "no held-out item was there to be checked for leaks"
    if leakage.status == "nothing compared":
        return f"none of {leakage.total:,} held-out items could be compared with the tuning set"
    if leakage.clean and leakage.rest:
        return f"the tuning set is clean as far as it could be compared (not {leakage.rest})"
    if leakage.clean:
        return "the tuning set is clean"
    dirty = sum(map(len, leakage.dirty.values()))
    return f"the tuning set is leaking ({dirty:,} of {leakage.total:,} held-out items stand in it)"


def _by_outcome(verdicts: Sequence[ClusterVerdict | TaskVerdict]) -> list[str]:
    """On which of them it is better, on which worse, on which neither is shown."""
    words: dict[GainShown, str] = {"gain": "better on", "loss": "worse on", "none": "not shown to be better on"}
    parts = []
    for kind, text in words.items():
        names = [v.label + _dissent(v) for v in verdicts if outcome(v.gain_ci95) == kind]
        if names:
            parts.append(f"{text} {listed(names)}")
    return parts


def _scores(verdict: ClusterVerdict | TaskVerdict, *, first: bool) -> str:
    scores = f"{points(verdict.tuned)}{' tuned' if first else ''} against {points(verdict.base)}"
    sure = f"{'95 % interval ' if first else ''}{span(verdict.gain_ci95, sign=True)}"
    shown = outcome_words(verdict.gain_ci95) + _dissent(verdict)
    return f"{verdict.label} scores {scores}{' untuned' if first else ''} ({signed(verdict.gain)}, {sure}: {shown})"


def _dissent(verdict: VerdictScores) -> str:
    """What is said where not every seed alone shows what their mean shows."""
    kind = outcome(verdict.gain_ci95)
    if kind == "none":
        return ""
    agree = sum(outcome(seed.gain_ci95) == kind for seed in verdict.by_seed)
    many = len(verdict.by_seed)
    return "" if agree == many else f", though with {agree} of {many} seeds alone"
