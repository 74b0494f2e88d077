"""F1 of an answer's words against a reference's, the best over the references."""

from collections import Counter
from collections.abc import Sequence

from openflan.evaluation.metrics.normal import normalise, normalise_trivia

__all__ = ["f1", "f1_trivia"]


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
