"""Matthews correlation, CoLA's metric."""

from openflan.evaluation.metrics.choices import Choices

__all__ = ["matthews"]


def matthews(choices: Choices) -> float:
    """From -1 to 1; 0 where one class is always chosen."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(choices.right, choices.chosen))
