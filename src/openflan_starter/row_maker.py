"""What every row generator of the suite is: a function and what it needs to be balanced and checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from openflan_starter.chance import Chance, Domain
from openflan_starter.world import World

__all__ = ["Maker", "StarterRow", "place"]

StarterRow = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Maker:
    """A row generator."""

    make: Callable[[World, Chance, Domain, int], StarterRow | None]
    """Draws a row with this label, or None where the draw came to nothing."""
    classes: int
    """Labels go from 0 to classes - 1; 1 for a task that generates."""
    context: str
    """The field whose text must be fresh."""


def place(right: str, wrong: Sequence[str], label: int) -> list[str]:
    """The options with the right one at position `label`."""
    options = list(wrong)
    options.insert(label, right)
    return options
