"""ROUGE: rouge-score's ROUGE-1 and ROUGE-L F-measures, deterministic (no bootstrap median)."""

from collections.abc import Sequence
from functools import cache
from typing import Any

__all__ = ["rouge", "rouge_signature"]


def rouge(answer: str, references: Sequence[str]) -> float:
    """Mean of the ROUGE-1 and ROUGE-L F-measures, the best over the references."""
    scores = [_scorer().score(reference, answer) for reference in references]
    return float(max((score["rouge1"].fmeasure + score["rougeL"].fmeasure) / 2 for score in scores))


def rouge_signature() -> str:
    """The settings, with rouge-score's version."""
    from importlib.metadata import version

    return f"mean of rouge1 and rougeL F|best of refs|stemmer:yes|version:{version('rouge-score')}"


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
