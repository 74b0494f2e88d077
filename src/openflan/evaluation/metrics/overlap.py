"""Overlap of n-grams as the field's own packages have it: rouge-score's ROUGE and sacrebleu's BLEU, with signatures.

ROUGE is deterministic (no bootstrap median) and knows every script (`rouge_words`); on English it is rouge-score's to
the last digit. BLEU is that of one sentence, with the international tokeniser and exponential smoothing, as the paper's
code; a task's score is the mean over sentences, which a bootstrap can resample. It is not the BLEU of the whole corpus
that papers on translation give, and the two may not be compared.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from openflan.tasks.normal_forms import rouge_words

__all__ = ["bleu", "bleu_signature", "rouge", "rouge_signature"]


def rouge(answer: str, references: Sequence[str]) -> float:
    """Mean of the ROUGE-1 and ROUGE-L F-measures, the best over the references."""
    scores = [_rouge().score(reference, answer) for reference in references]
    return float(max((score["rouge1"].fmeasure + score["rougeL"].fmeasure) / 2 for score in scores))


def rouge_signature() -> str:
    """The settings, with rouge-score's version."""
    from importlib.metadata import version

    return f"mean of rouge1 and rougeL F|best of refs|stemmer:yes|tok:units|version:{version('rouge-score')}"


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenizers import Tokenizer

    class Words(Tokenizer):  # type: ignore[misc]
        def tokenize(self, text: str) -> list[str]:
            return rouge_words(text)

    return RougeScorer(["rouge1", "rougeL"], tokenizer=Words())


def bleu(answer: str, references: Sequence[str]) -> float:
    """Sentence BLEU over all references."""
    return float(_bleu().sentence_score(answer, list(references)).score) / 100


def bleu_signature() -> str:
    """What sacrebleu calls these settings, with its version."""
    from sacrebleu import __version__

    return f"mean of sentences|nrefs:var|case:mixed|eff:yes|tok:intl|smooth:exp|version:{__version__}"


@cache
def _bleu() -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize="intl", smooth_method="exp", effective_order=True)
