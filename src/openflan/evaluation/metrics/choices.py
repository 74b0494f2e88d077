"""Metrics of all ranked answers under one template: classes, numbers given as options, groups of rows.

Each stands beside accuracy where its task's field reports it: F1 (MRPC, QQP, CB), Matthews correlation (CoLA),
Pearson and Spearman (STS-B), exact match over a question's candidates (MultiRC).
"""

from dataclasses import dataclass

__all__ = ["Choices", "exact_match_groups", "f1_binary", "f1_macro", "matthews", "pearson", "spearman"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """The answers to a task under one template; all tuples have one length."""

    right: tuple[int, ...]
    """Place of each row's answer among the options."""
    chosen: tuple[int, ...]
    """Place of the option that the model chose."""
    options: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...] = ()
    """Which rows belong together (one question's candidates); empty where rows stand alone."""


def f1_binary(choices: Choices) -> float:
    """F1 of the last option (`yes`); 0 where it is never right nor chosen."""
    from sklearn.metrics import f1_score

    last = len(choices.options[0]) - 1
    right, chosen = ([place == last for place in places] for places in (choices.right, choices.chosen))
    return float(f1_score(right, chosen, zero_division=0.0))


def f1_macro(choices: Choices) -> float:
    """Mean of each class's F1, over the classes that are right or chosen somewhere."""
    from sklearn.metrics import f1_score

    return float(f1_score(choices.right, choices.chosen, average="macro", zero_division=0.0))


def matthews(choices: Choices) -> float:
    """From -1 to 1; 0 where one class is always chosen."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(choices.right, choices.chosen))


def pearson(choices: Choices) -> float:
    """Linear correlation of the options as numbers; 0 where either side never varies."""
    from scipy.stats import pearsonr

    right, chosen = _numbers(choices)
    return float(pearsonr(right, chosen).statistic) if _vary(right, chosen) else 0.0


def spearman(choices: Choices) -> float:
    """Correlation of ranks; 0 where either side never varies."""
    from scipy.stats import spearmanr

    right, chosen = _numbers(choices)
    return float(spearmanr(right, chosen).statistic) if _vary(right, chosen) else 0.0


def _numbers(choices: Choices) -> tuple[list[float], list[float]]:
    """The options as numbers; a ValueError where a task names this metric and its options are none."""
    numbers = [[float(option) for option in options] for options in choices.options]
    return (
        [row[place] for row, place in zip(numbers, choices.right, strict=True)],
        [row[place] for row, place in zip(numbers, choices.chosen, strict=True)],
    )


def _vary(*sides: list[float]) -> bool:
    return all(len(set(side)) > 1 for side in sides)


def exact_match_groups(choices: Choices) -> float:
    """Share of the groups (a question's candidate answers) in which every row is right."""
    wrong = {
        group
        for group, right, chosen in zip(choices.groups, choices.right, choices.chosen, strict=True)
        if right != chosen
    }
    return 1 - len(wrong) / len(set(choices.groups))
