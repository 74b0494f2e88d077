"""Metrics, each from 0 to 1 or, for correlations, from -1 to 1.

`METRICS` score one generated answer against its references; their mean over rows is the task's score, which a
bootstrap can resample. `AGGREGATES` score all ranked answers under a template at once and stand beside accuracy.

Invariant: an answer of nothing scores 0.
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
from openflan.evaluation.metrics.matching import edit_distance, exact_match, f1, f1_drop
from openflan.evaluation.metrics.overlap import bleu, bleu_signature, rouge, rouge_signature
from openflan.tasks.normal_forms import NORMAL_FORMS

__all__ = ["AGGREGATES", "METRICS", "Choices", "metric_signature"]

METRICS: Mapping[str, Callable[[str, Sequence[str]], float]] = {
    **{name: exact_match(name) for name in NORMAL_FORMS if name.startswith("exact_match")},
    **{name: f1(name) for name in ("f1", "f1_squad", "f1_trivia")},
    "f1_drop": f1_drop,
    "bleu": bleu,
    "rouge": rouge,
    "edit_distance": edit_distance,
}
"""Metrics of one generated answer by the name a task uses; each has its normal form in `NORMAL_FORMS`."""


def metric_signature(name: str) -> str | None:
    """What a metric's value depends on: its normal form, and settings and version of a library; None of ranked ones."""
    library = {"bleu": bleu_signature, "rouge": rouge_signature}.get(name)
    if name not in NORMAL_FORMS:
        return None
    return str(NORMAL_FORMS[name]) + (f"|{library()}" if library else "")


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
