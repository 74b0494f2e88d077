"""Metrics, each from 0 to 1 or, for correlations, from -1 to 1.

`METRICS` score one generated answer against its references; their mean over rows is the task's score, which a
bootstrap can resample. `AGGREGATES` score all ranked answers under a template at once and stand beside accuracy.

Rejected: corpus BLEU as a row metric; it is no mean over rows, so it has no paired interval by row.
"""

from collections.abc import Callable, Mapping, Sequence

from openflan.evaluation.metrics.choices import (
    Choices,
    exact_match_groups,
    f1_binary,
    f1_macro,
    matthews,
    pearson,
    spearman,
)
from openflan.evaluation.metrics.matching import edit_distance, exact_match, exact_match_trivia, f1, f1_trivia
from openflan.evaluation.metrics.normal_forms import normalise, normalise_trivia
from openflan.evaluation.metrics.overlap import bleu, bleu_signature, rouge, rouge_signature

__all__ = [
    "AGGREGATES",
    "METRICS",
    "SIGNATURES",
    "Choices",
    "bleu",
    "bleu_signature",
    "edit_distance",
    "exact_match",
    "exact_match_groups",
    "exact_match_trivia",
    "f1",
    "f1_binary",
    "f1_macro",
    "f1_trivia",
    "matthews",
    "normalise",
    "normalise_trivia",
    "pearson",
    "rouge",
    "rouge_signature",
    "spearman",
]

METRICS: Mapping[str, Callable[[str, Sequence[str]], float]] = {
    "exact_match": exact_match,
    "exact_match_trivia": exact_match_trivia,
    "f1": f1,
    "f1_trivia": f1_trivia,
    "bleu": bleu,
    "rouge": rouge,
    "edit_distance": edit_distance,
}
"""Metrics of one generated answer by the name a task uses."""

SIGNATURES: Mapping[str, Callable[[], str]] = {"bleu": bleu_signature, "rouge": rouge_signature}
"""Settings and version of the libraries that compute a metric, for metrics whose value depends on them."""

AGGREGATES: Mapping[str, Callable[[Choices], float]] = {
    "f1_binary": f1_binary,
    "f1_macro": f1_macro,
    "f1_answers": f1_binary,
    "exact_match_groups": exact_match_groups,
    "matthews": matthews,
    "pearson": pearson,
    "spearman": spearman,
}
"""Metrics of all ranked answers under one template. F1a of MultiRC is the F1 of its answers taken together."""
