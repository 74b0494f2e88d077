"""Exact match over groups: a question counts where all its candidate answers are judged rightly (MultiRC)."""

from openflan.evaluation.metrics.choices import Choices

__all__ = ["exact_match_groups"]


def exact_match_groups(choices: Choices) -> float:
    """Share of the groups in which every row is right."""
    wrong = {
        group
        for group, right, chosen in zip(choices.groups, choices.right, choices.chosen, strict=True)
        if right != chosen
    }
    return 1 - len(wrong) / len(set(choices.groups))
