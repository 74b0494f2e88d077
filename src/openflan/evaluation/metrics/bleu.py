"""BLEU of one sentence: sacrebleu's, with the international tokeniser and exponential smoothing, as the paper's code.

A task's score is the mean over sentences, which a bootstrap can resample; it is not the BLEU of the whole corpus that
papers on translation give, and the two may not be compared.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

__all__ = ["bleu", "bleu_signature"]


def bleu(answer: str, references: Sequence[str]) -> float:
    """Sentence BLEU over all references."""
    return float(_metric().sentence_score(answer, list(references)).score) / 100


def bleu_signature() -> str:
    """What sacrebleu calls these settings, with its version."""
    from sacrebleu import __version__

    return f"mean of sentences|nrefs:var|case:mixed|eff:yes|tok:intl|smooth:exp|version:{__version__}"


@cache
def _metric() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize="intl", smooth_method="exp", effective_order=True)
