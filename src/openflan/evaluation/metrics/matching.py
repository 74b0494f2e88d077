"""An answer held against its references by itself: whole (exact match), by words (F1), by characters (edit distance).

Each is the best over the references. What counts as the same is the metric's normal form (openflan.tasks.normal_forms).

Invariant: an answer of nothing, or of which the normal form leaves nothing, scores 0 whatever the reference.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from openflan.tasks.normal_forms import NORMAL_FORMS, as_written, same

__all__ = ["edit_distance", "exact_match", "f1", "f1_drop"]

TextMetric = Callable[[str, Sequence[str]], float]


def exact_match(metric: str) -> TextMetric:
    """1 where the answer equals a reference in the metric's normal form and is something, else 0."""
    form = NORMAL_FORMS[metric].of

    def score(answer: str, references: Sequence[str]) -> float:
        return float(any(same(form(answer), form(reference)) for reference in references))

    return score


def f1(metric: str) -> TextMetric:
    """Overlap of words in the metric's normal form: the harmonic mean of precision and recall."""
    form = NORMAL_FORMS[metric].of

    def score(answer: str, references: Sequence[str]) -> float:
        given = form(answer).split()
        return max(_overlap(given, form(reference).split()) for reference in references)

    return score


def _overlap(answer: list[str], reference: list[str]) -> float:
    shared = sum((Counter(answer) & Counter(reference)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(answer), shared / len(reference)
    return 2 * precision * recall / (precision + recall)


def f1_drop(answer: str, references: Sequence[str]) -> float:
    """DROP's F1 of one span: overlap of different words, 0 where the reference's numbers are not among them."""
    form = NORMAL_FORMS["f1_drop"].of
    given = set(form(answer).split())
    return max(_drop_overlap(given, set(form(reference).split())) for reference in references)


def _drop_overlap(answer: set[str], reference: set[str]) -> float:
    numbers = {word for word in reference if _is_number(word)}
    shared = len(answer & reference)
    if not shared or (numbers and not numbers & answer):
        return 0.0
    precision, recall = shared / len(answer), shared / len(reference)
    return round(2 * precision * recall / (precision + recall), 2)


def _is_number(word: str) -> bool:
    return word.lstrip("-").replace(".", "", 1).isdecimal()


def edit_distance(answer: str, references: Sequence[str]) -> float:
    """1 where nothing must be changed, 0 where every character must: one minus Levenshtein over the longer length."""
    from rapidfuzz.distance import Levenshtein

    given = as_written(answer)
    return float(max(Levenshtein.normalized_similarity(given, as_written(one)) for one in references)) if given else 0.0
