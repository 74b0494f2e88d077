"""What a setting counts for, said once, at its field.

    learning_rate: Annotated[float, WEIGHTS] = 3e-5

Whoever makes a key of settings (runs/keys.py, kept answers, folders of `openflan eval`) asks a part for those that
count for something (`Part.counted`), so a new setting is told apart in one place. A field of a part whose own fields
say it needs no word, and a word at such a field is for all below.

Invariant: every setting of a recipe has a word (tests/runs/test_what_settings_count_for.py). Rejected: lists of names
beside each key, which drift.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = [
    "ANSWERS",
    "MIXTURE",
    "NAMES",
    "NOTHING",
    "ORDERS",
    "PROMPTS",
    "RESULTS",
    "SEEN",
    "WEIGHTS",
    "CountsFor",
    "Purpose",
    "purposes_of",
]

Purpose = Literal["mixture", "orders", "weights", "answers", "results"]
"""`mixture`: which examples are tuned on, and so weights and tuned models' answers too; `orders`: what the token store
holds for all seeds together; `weights`: how a model is tuned on them; `answers`: what any model is asked and how;
`results`: what is computed from stored answers."""


@dataclass(frozen=True, slots=True)
class CountsFor:
    """What content depends on a setting's value."""

    purposes: frozenset[Purpose]
    names: bool = False
    """Whether the value is a name, and content depends on what it stands for: tasks, rows, a model."""


MIXTURE = CountsFor(frozenset({"mixture"}))
ORDERS = CountsFor(frozenset({"orders"}))
WEIGHTS = CountsFor(frozenset({"weights"}))
ANSWERS = CountsFor(frozenset({"answers"}))
PROMPTS = CountsFor(frozenset({"mixture", "answers"}))
"""Of tuning prompts and questions alike."""
SEEN = CountsFor(frozenset({"answers"}), names=True)
"""Above 0 it names the tuned tasks that are asked, whose rows the leak certificate is on."""
RESULTS = CountsFor(frozenset({"results"}))
NAMES = CountsFor(frozenset(), names=True)
NOTHING = CountsFor(frozenset())
"""Memory, speed, and what is shown meanwhile."""


def purposes_of(field: "FieldInfo") -> CountsFor | None:
    """What a field says; None where it says nothing."""
    marks = [word for word in field.metadata if isinstance(word, CountsFor)]
    return marks[-1] if marks else None
