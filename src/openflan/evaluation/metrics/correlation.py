"""Correlation of numbers given as options, STS-B's metrics."""

from openflan.evaluation.metrics.choices import Choices

__all__ = ["pearson", "spearman"]


def pearson(choices: Choices) -> float:
    """Linear correlation; 0 where either side never varies."""
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
