"""Edit distance, turned round: 1 where nothing must be changed, 0 where every character must."""

from collections.abc import Sequence

__all__ = ["edit_distance"]


def edit_distance(answer: str, references: Sequence[str]) -> float:
    """One minus the Levenshtein distance over the longer length, the best over the references."""
    from rapidfuzz.distance import Levenshtein

    return float(max(Levenshtein.normalized_similarity(answer, reference) for reference in references))
