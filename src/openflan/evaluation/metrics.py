"""Metrics of generated text, each from 0 to 1.

Exact match and F1 follow SQuAD's normalisation: lower case, no punctuation, no articles, single spaces, the best
over the references. BLEU is sacrebleu's sentence score (its own tokenisation, exponential smoothing), ROUGE the
mean of rouge-score's ROUGE-1 and ROUGE-L F-measures; both are averaged over rows, which a bootstrap can resample.

Rejected: corpus BLEU here; it is no mean over rows, so it has no paired interval by row.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

__all__ = ["METRICS", "bleu", "exact_match", "f1", "normalise", "rouge"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """SQuAD's normal form of an answer."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 where the answer equals a reference after normalisation."""
    return float(normalise(answer) in {normalise(reference) for reference in references})


def f1(answer: str, references: Sequence[str]) -> float:
    """Overlap of words, the best over the references."""
    return max(_word_f1(normalise(answer).split(), normalise(reference).split()) for reference in references)


def bleu(answer: str, references: Sequence[str]) -> float:
    """Sentence BLEU over all references."""
    from sacrebleu import sentence_bleu

    return float(sentence_bleu(answer, list(references)).score) / 100


def rouge(answer: str, references: Sequence[str]) -> float:
    """Mean of the ROUGE-1 and ROUGE-L F-measures, the best over the references."""
    scores = [_rouge_scorer().score(reference, answer) for reference in references]
    return float(max((score["rouge1"].fmeasure + score["rougeL"].fmeasure) / 2 for score in scores))


METRICS: dict[str, Callable[[str, Sequence[str]], float]] = {
    "exact_match": exact_match,
    "f1": f1,
    "bleu": bleu,
    "rouge": rouge,
}
"""Metrics of generated text by the name a task uses."""


def _word_f1(answer: list[str], reference: list[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    shared = sum((Counter(answer) & Counter(reference)).values())
    return 2 * shared / (len(answer) + len(reference))


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
