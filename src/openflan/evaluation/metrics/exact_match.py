"""Exact match: the answer equals a reference after normalisation."""

from collections.abc import Sequence

from openflan.evaluation.metrics.normal import normalise, normalise_trivia

__all__ = ["exact_match", "exact_match_trivia"]


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 where the answer equals a reference in SQuAD's normal form."""
    return float(normalise(answer) in {normalise(reference) for reference in references})


def exact_match_trivia(answer: str, references: Sequence[str]) -> float:
    """1 where the answer equals a reference in TriviaQA's normal form."""
    return float(normalise_trivia(answer) in {normalise_trivia(reference) for reference in references})
