"""F1 over classes: of the last class (MRPC, QQP: `yes`), or the mean over all (CB)."""

from openflan.evaluation.metrics.choices import Choices

__all__ = ["f1_binary", "f1_macro"]


def f1_binary(choices: Choices) -> float:
    """F1 of the last option; 0 where it is never right nor chosen."""
    from sklearn.metrics import f1_score

    last = len(choices.options[0]) - 1
    right, chosen = ([place == last for place in places] for places in (choices.right, choices.chosen))
    return float(f1_score(right, chosen, zero_division=0.0))


def f1_macro(choices: Choices) -> float:
    """Mean of each class's F1, over the classes that are right or chosen somewhere."""
    from sklearn.metrics import f1_score

    return float(f1_score(choices.right, choices.chosen, average="macro", zero_division=0.0))
