"""Which prompts the page shows: one of each kind a cluster, wins and losses alike.

A prompt is put to the untuned and to a tuned model. What tuning did to it is one of four kinds: newly right, newly
wrong, right both times, wrong both times (better, worse or alike where a score is graded). All are counted; of each
kind the page shows the prompt with the smallest hash.

Invariant: the choice depends on prompts and scores alone, not on their order. Cost: 1 s for 50,000 prompts.
Rejected: the largest gains, which make every model look good; drawing at random over all, which hides rare kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from openflan.evaluation.answered import Answered
from openflan.evaluation.calibration import option_probabilities
from openflan.evaluation.scores import Score
from openflan.stage import fingerprint_of

__all__ = ["SIDES", "TUNING", "ClusterExamples", "KindWords", "Option", "ShownPrompt", "choose_examples"]


@dataclass(frozen=True, kw_only=True, slots=True)
class KindWords:
    """What the kinds of prompt are called; the page shows them in this order."""

    newly_right: str
    newly_wrong: str
    better: str
    worse: str
    same: str
    right: str
    wrong: str

    @property
    def all(self) -> tuple[str, ...]:
        """In order."""
        return (self.newly_right, self.newly_wrong, self.better, self.worse, self.same, self.right, self.wrong)


TUNING = KindWords(
    newly_right="newly right",
    newly_wrong="newly wrong",
    better="better after tuning",
    worse="worse after tuning",
    same="same score",
    right="right both times",
    wrong="wrong both times",
)
SIDES = KindWords(
    newly_right="right in B alone",
    newly_wrong="right in A alone",
    better="better in B",
    worse="worse in B",
    same="same score",
    right="right in both",
    wrong="wrong in both",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One option of a prompt and who chose it."""

    text: str
    expected: bool
    untuned: bool
    tuned: bool
    untuned_probability: float
    """Given that one of the options is the answer."""
    tuned_probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownPrompt:
    """One prompt with both answers."""

    kind: str
    """What tuning did to it, in words."""
    untuned: Answered
    tuned: Answered
    options: tuple[Option, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterExamples:
    """A cluster's tally and the prompts shown for it."""

    cluster: str
    tally: dict[str, int]
    """How many prompts are of each kind, over all rows and templates."""
    total: int
    shown: list[ShownPrompt]


def choose_examples(
    untuned: Sequence[Answered],
    tuned: Sequence[Answered],
    *,
    score: Score,
    first: Sequence[str] = (),
    words: KindWords = TUNING,
) -> list[ClusterExamples]:
    """Sort every prompt by what tuning did to it, and choose one of each kind for every cluster.

    Args:
        untuned: the untuned model's answers.
        tuned: one tuned model's answers to the same prompts.
        score: the normalisation that decided the answers.
        first: clusters that come first, in this order; the others follow by name.
        words: what the kinds are called.
    """
    after = {_prompt(answer): answer for answer in tuned}
    clusters: dict[str, dict[str, list[tuple[Answered, Answered]]]] = {}
    for before in untuned:
        answer = after.get(_prompt(before))
        if answer is not None:
            kinds = clusters.setdefault(before.cluster, {})
            kinds.setdefault(_kind(before, answer, words), []).append((before, answer))
    order = sorted(clusters, key=lambda name: (first.index(name) if name in first else len(first), name))
    return [_cluster(name, clusters[name], score, words) for name in order]


def _prompt(answer: Answered) -> tuple[object, ...]:
    """What tells a prompt from all others."""
    return (answer.task, answer.split, answer.row, answer.template, answer.turn)


def _cluster(
    name: str, kinds: dict[str, list[tuple[Answered, Answered]]], score: Score, words: KindWords
) -> ClusterExamples:
    present = [kind for kind in words.all if kind in kinds]
    tally = {kind: len(kinds[kind]) for kind in present}
    shown = []
    for kind in present:
        before, after = min(kinds[kind], key=lambda pair: _lot(pair[0]))
        shown.append(ShownPrompt(kind=kind, untuned=before, tuned=after, options=_options(before, after, score)))
    return ClusterExamples(cluster=name, tally=tally, total=sum(tally.values()), shown=shown)


def _options(before: Answered, after: Answered, score: Score) -> tuple[Option, ...]:
    probabilities = [option_probabilities(answer, score) for answer in (before, after)]
    return tuple(
        Option(
            text=text,
            expected=text == before.expected,
            untuned=text == before.answer,
            tuned=text == after.answer,
            untuned_probability=sure_before,
            tuned_probability=sure_after,
        )
        for text, sure_before, sure_after in zip(before.options, *probabilities, strict=True)
    )


def _kind(before: Answered, after: Answered, words: KindWords) -> str:
    ranked = before.kind == "ranked"
    if after.value > before.value:
        return words.newly_right if ranked else words.better
    if after.value < before.value:
        return words.newly_wrong if ranked else words.worse
    if not ranked:
        return words.same
    return words.right if after.value else words.wrong


def _lot(answer: Answered) -> str:
    """What decides between prompts of one kind; ties go to the lowest row and template."""
    return f"{fingerprint_of([answer.task, answer.prompt])} {answer.row:09d} {answer.template:09d} {answer.turn}"
