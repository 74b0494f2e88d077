"""BLEU of one sentence: sacrebleu's, with its own tokenisation and exponential smoothing."""

from collections.abc import Sequence

__all__ = ["bleu"]


def bleu(answer: str, references: Sequence[str]) -> float:
    """Sentence BLEU over all references."""
    from sacrebleu import sentence_bleu

    return float(sentence_bleu(answer, list(references)).score) / 100
