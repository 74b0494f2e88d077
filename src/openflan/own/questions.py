"""What is guessed about a table, and who may answer it.

Invariant: a guess is always there, so nothing waits for an answer. Rejected: questions without a guess, which a script
can't answer.
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["UNSURE", "Ask", "TableGuess"]

UNSURE = 0.75
"""Confidence below which a table's owner is asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableGuess:
    """One thing that was guessed about a table."""

    table: str
    """Name of the task that the table became."""
    about: str
    """What the guess is about: `kind`, `direction`, `start`, `order`, `columns`, `options`, `cluster`."""
    question: str
    """The guess as a question to the table's owner."""
    choices: tuple[str, ...] = ()
    """Answers to choose from; none where any text will do."""
    answer: str
    """What was taken."""
    confidence: float
    """From 0 to 1, how sure the guess was; 1 where the owner said it."""
    why: str = ""
    """What the guess rests on."""
    asked: bool = False
    """Whether the table's owner said it."""

    def __str__(self) -> str:
        return f"{self.question} {self.answer} ({self.confidence:.0%} sure: {self.why})"


Ask = Callable[[TableGuess], str | None]
"""Answers a question about a table: one of its choices or a text; None takes the guess."""
