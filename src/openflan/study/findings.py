"""Findings: what the cells say of each claim of the paper, read from intervals by one rule.

    higher, lower    confirmed where the whole interval, and the difference under every seed, lies on that side of zero;
                     reversed where all of them lie on the other side; else not seen
    same (± margin)  confirmed where the whole interval lies within the margin; reversed where all of it lies beyond;
                     else not seen; not tested where 3 / rows is above the margin, for what no row shows may still be
                     so in that share of them (the rule of three), and resampling would not tell

Invariant: a verdict is never written by hand, and one that its cells can't carry is `not tested`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from openflan.study.grid import Cell
from openflan.study.measuring import Difference, Measured, difference_of
from openflan.study.outcome import Finding, Verdict
from openflan.study.spec import AxisPart, ClaimPart, Study

__all__ = ["findings_of", "study_sentence", "verdict_of"]

Expect = Literal["higher", "lower", "same"]

_RULE_OF_THREE = 3.0

_MEASURES = {"untuned": "the untuned model's score", "tuned": "the tuned model's score", "gain": "the gain by tuning"}


def findings_of(study: Study, cells: Sequence[Cell], measured: Mapping[str, Measured]) -> list[Finding]:
    """A finding for each claim.

    Args:
        measured: what was answered, by name of the cells that are whole.
    """
    return [_finding(study, claim, cells, measured) for claim in study.file.claims]


def verdict_of(difference: Difference, expect: Expect, margin: float) -> Verdict:
    """What a difference says of a claim."""
    low, high = difference.ci95
    seeds = difference.by_seed.values()
    if expect == "same":
        if -margin <= low and high <= margin:
            return "confirmed"
        return "reversed" if low > margin or high < -margin else "not seen"
    above = low > 0 and all(value > 0 for value in seeds)
    below = high < 0 and all(value < 0 for value in seeds)
    if not above and not below:
        return "not seen"
    return "confirmed" if above == (expect == "higher") else "reversed"


def study_sentence(findings: Sequence[Finding], failed: int) -> str:
    """What the study shows, in words."""
    counts = {
        word: sum(one.verdict == word for one in findings)
        for word in ("confirmed", "not seen", "reversed", "not tested")
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    many = "claim" if len(findings) == 1 else "claims"
    text = f"Of {len(findings)} {many} of the paper at this scale: {told}." if findings else "No claim is tested."
    return text + (f" {failed} of the cells failed." if failed else "")


def _finding(study: Study, claim: ClaimPart, cells: Sequence[Cell], measured: Mapping[str, Measured]) -> Finding:
    of = _chosen(study, claim.of, cells)
    against = _chosen(study, claim.against or {}, cells) if claim.against is not None else []
    words = (_words(study, claim.of), "no change" if claim.against is None else _words(study, claim.against))
    reason = _untestable(claim, of, against, measured)
    found = None
    if reason is None:
        found = difference_of(
            [measured[cell.name] for cell in of],
            [measured[cell.name] for cell in against],
            claim.measure,
            clusters=claim.clusters,
        )
        reason = "these cells have no measured cluster in common" if found is None else None
    verdict: Verdict = "not tested" if found is None else verdict_of(found, claim.expect, claim.margin)
    return Finding(
        claim=claim.says,
        figure=claim.figure or study.file.figure,
        paper=claim.paper,
        measure=claim.measure,
        of=words[0],
        against=words[1],
        expect=claim.expect,
        margin=claim.margin,
        verdict=verdict,
        difference=None if found is None else found.value,
        ci95=None if found is None else found.ci95,
        by_seed={} if found is None else found.by_seed,
        by_cluster={} if found is None else found.by_cluster,
        sentence=_sentence(claim, verdict, found, words, reason),
    )


def _untestable(
    claim: ClaimPart, of: Sequence[Cell], against: Sequence[Cell], measured: Mapping[str, Measured]
) -> str | None:
    """Why a claim can't be tested, or None."""
    if not of or (claim.against is not None and not against):
        return "the study has no such cells"
    if {cell.name for cell in of} == {cell.name for cell in against}:
        return "both sides are the same cells"
    if gone := [cell.name for cell in (*of, *against) if cell.name not in measured]:
        return f"{gone[0]} is missing"
    counts = [_rows(measured[cell.name], claim.clusters) for cell in (*of, *against)]
    rows = min((count for count in counts if count), default=0)
    if rows and claim.expect == "same" and rows * claim.margin < _RULE_OF_THREE:
        return f"{rows} rows can't show that a difference is no larger than {claim.margin:g}"
    return None


def _rows(measured: Measured, clusters: Sequence[str] | None) -> int:
    """Rows behind a cell's part in a claim: none where it measures no cluster of it."""
    units = measured.units.items()
    return sum(verdict.n_rows for (cluster, _), verdict in units if clusters is None or cluster in clusters)


def _chosen(study: Study, wanted: Mapping[str, str], cells: Sequence[Cell]) -> list[Cell]:
    labels = {name: _label(study.axes[name], label) for name, label in wanted.items()}
    return [cell for cell in cells if all(cell.values[name] == label for name, label in labels.items())]


def _label(axis: AxisPart, label: str) -> str:
    """A value's label, where it may be told by its place."""
    if label in axis.labels:
        return label
    return {"first": axis.labels[0], "last": axis.labels[-1]}.get(label, label)


def _words(study: Study, wanted: Mapping[str, str]) -> str:
    told = [f"{study.axes[name].title or name} {_label(study.axes[name], label)}" for name, label in wanted.items()]
    return ", ".join(told) or "all cells"


def _sentence(
    claim: ClaimPart, verdict: Verdict, found: Difference | None, words: tuple[str, str], reason: str | None
) -> str:
    if found is None:
        return f"Not tested: {reason}."
    low, high = found.ci95
    seeds = f", seed by seed {', '.join(f'{v:+.3f}' for v in found.by_seed.values())}" if len(found.by_seed) > 1 else ""
    against = " is" if claim.against is None else f" against {words[1]} differs by"
    wanted = {"same": f"at most {claim.margin:g} apart", "higher": "above zero", "lower": "below zero"}[claim.expect]
    return (
        f"{verdict.capitalize()}: {_MEASURES[claim.measure]} with {words[0]}{against} {found.value:+.3f}"
        f" (95 % interval {low:+.3f} to {high:+.3f}{seeds}); the paper has it {wanted}."
    )
