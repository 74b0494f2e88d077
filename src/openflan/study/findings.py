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

from openflan.report.numbers import listed, signed, span
from openflan.study.grid import Cell
from openflan.study.measuring import Difference, Measured, difference_of
from openflan.study.outcome import NO_FIGURE, Finding, FindingVerdict
from openflan.study.spec import LAST_BUT_ONE, AxisPart, ClaimPart, StudySpec

__all__ = ["finding_sentence", "findings_of", "study_sentence", "verdict_of"]

Expect = Literal["higher", "lower", "same"]

_RULE_OF_THREE = 3.0
_ALL = "all cells"

_MEASURES = {"tuned": "tuned score", "untuned": "untuned score", "gain": "gain of tuning"}


def findings_of(study: StudySpec, cells: Sequence[Cell], measured: Mapping[str, Measured]) -> list[Finding]:
    """A finding for each claim.

    Args:
        measured: what was answered, by name of the cells that are whole.
    """
    return [_finding(study, claim, cells, measured) for claim in study.file.claims]


def verdict_of(difference: Difference, expect: Expect, margin: float) -> FindingVerdict:
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
    tally = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    many = "claim" if len(findings) == 1 else "claims"
    whose = "of the paper at this scale" if any(one.figure != NO_FIGURE for one in findings) else "at this scale"
    text = f"Of {len(findings)} {many} {whose}: {tally}." if findings else "No claim is tested."
    return text + (f" {failed} of the cells failed." if failed else "")


def finding_sentence(finding: Finding, *, verdict: bool = True) -> str:
    """What the cells say of a claim, with numbers in points and the interval.

    Args:
        verdict: begin with it.
    """
    if finding.difference is None or finding.ci95 is None:
        reason = finding.sentence if verdict else finding.sentence.removeprefix("Not tested: ")
        return reason[:1].upper() + reason[1:]
    against = "is" if finding.against == "no change" else f"against {finding.against} differs by"
    seeds = ""
    if len(finding.by_seed) > 1:
        seeds = f"; by seed {listed([signed(value) for value in finding.by_seed.values()])}"
    expected = "the same" if finding.expect == "same" else finding.expect
    side = f"over {finding.of}" if finding.of == _ALL else f"with {finding.of}"
    begin = f"{finding.verdict.capitalize()}: the" if verdict else "The"
    return (
        f"{begin} {_MEASURES[finding.measure]} {side} {against} "
        f"{signed(finding.difference)} points (95 % interval {span(finding.ci95, sign=True)}{seeds}); "
        f"{'expected is' if finding.figure == NO_FIGURE else 'the paper has it'} {expected}."
    )


def _finding(study: StudySpec, claim: ClaimPart, cells: Sequence[Cell], measured: Mapping[str, Measured]) -> Finding:
    of = _chosen(study, claim.of, cells)
    against = _chosen(study, claim.against or {}, cells) if claim.against is not None else []
    reason = _untestable(claim, of, against, measured)
    difference = None
    if reason is None:
        difference = difference_of(
            [measured[cell.name] for cell in of],
            [measured[cell.name] for cell in against],
            claim.measure,
            clusters=claim.clusters,
        )
        reason = "these cells have no measured cluster in common" if difference is None else None
    verdict: FindingVerdict = "not tested" if difference is None else verdict_of(difference, claim.expect, claim.margin)
    finding = Finding(
        claim=claim.says,
        figure=claim.figure or study.file.figure,
        paper=claim.paper,
        measure=claim.measure,
        of=_words(study, claim.of),
        against="no change" if claim.against is None else _words(study, claim.against),
        expect=claim.expect,
        margin=claim.margin,
        verdict=verdict,
        difference=None if difference is None else difference.value,
        ci95=None if difference is None else difference.ci95,
        by_seed={} if difference is None else difference.by_seed,
        by_cluster={} if difference is None else difference.by_cluster,
        sentence="" if reason is None else f"Not tested: {reason}.",
    )
    return finding.model_copy(update={"sentence": finding_sentence(finding)})


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


def _chosen(study: StudySpec, wanted: Mapping[str, str], cells: Sequence[Cell]) -> list[Cell]:
    labels = {name: _label(study.axes[name], label) for name, label in wanted.items()}
    return [cell for cell in cells if all(cell.values[name] == label for name, label in labels.items())]


def _label(axis: AxisPart, label: str) -> str:
    """A value's label, where it may be named by its place."""
    if label in axis.labels:
        return label
    return {"first": axis.labels[0], "last": axis.labels[-1], LAST_BUT_ONE: axis.labels[-2:][0]}.get(label, label)


def _words(study: StudySpec, wanted: Mapping[str, str]) -> str:
    values = [f"{study.axes[name].title or name} {_label(study.axes[name], label)}" for name, label in wanted.items()]
    return ", ".join(values) or _ALL
