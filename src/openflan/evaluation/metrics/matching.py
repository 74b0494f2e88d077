"""An answer held against its references by itself: whole (exact match), by words (F1), by characters (edit distance).

Each is the best over the references. What counts as the same word or answer is the normal form's business.
"""

from collections import Counter
from collections.abc import Sequence

from openflan.evaluation.metrics.normal_forms import normalise, normalise_trivia

__all__ = ["edit_distance", "exact_match", "exact_match_trivia", "f1", "f1_trivia"]


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 where the answer equals a reference in SQuAD's normal form."""
    return float(normalise(answer) in {normalise(reference) for reference in references})


def exact_match_trivia(answer: str, references: Sequence[str]) -> float:
    """1 where the answer equals a reference in TriviaQA's normal form."""
    return float(normalise_trivia(answer) in {normalise_trivia(reference) for reference in references})


def f1(answer: str, references: Sequence[str]) -> float:
    """Overlap of words in SQuAD's normal form."""
    return max(_overlap(normalise(answer).split(), normalise(reference).split()) for reference in references)


def f1_trivia(answer: str, references: Sequence[str]) -> float:
    """Overlap of words in TriviaQA's normal form."""
    words = normalise_trivia(answer).split()
    return max(_overlap(words, normalise_trivia(reference).split()) for reference in references)


def _overlap(answer: list[str], reference: list[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = sum((Counter(answer) & Counter(reference)).values())
    return 2 * shared / (len(answer) + len(reference))


def edit_distance(answer: str, references: Sequence[str]) -> float:
    """1 where nothing must be changed, 0 where every character must: one minus Levenshtein over the longer length."""
    from rapidfuzz.distance import Levenshtein

    return float(max(Levenshtein.normalized_similarity(answer, reference) for reference in references))
