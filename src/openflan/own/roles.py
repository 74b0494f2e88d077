"""Which role a row has, as its file's name or a column says it; and rows that were published without their answers.

    reviews_dev.csv     split = "dev"     label = -1 in every test row

Invariant: a column says roles only where all that stands there are names of roles, one of them training. Rejected:
taking what a published test file has in place of a label for one more class.
"""

from collections.abc import Sequence
from functools import cache

from openflan.own.profile import OwnColumn
from openflan.own.words import content
from openflan.tasks.splits import Role

__all__ = ["hidden_answers", "role_names", "said_roles"]

_HIDDEN = {"-1", "?", "unknown", "hidden", "unlabeled", "unlabelled", "no label"}
"""What stands in place of answers that are kept back."""


@cache
def role_names() -> dict[str, Role]:
    """What files and columns call the roles."""
    words: dict[Role, str] = content()["roles"]
    return {name: role for role, names in words.items() for name in names.split()}


def said_roles(column: OwnColumn) -> dict[str, Role]:
    """What a column's values say of the rows' roles; empty where it says something else."""
    if column.kind != "text" or not 2 <= column.distinct <= len(role_names()):
        return {}
    roles = {str(value): role_names().get(str(value).strip().lower()) for value in column.counts}
    matches = {value: role for value, role in roles.items() if role is not None}
    return matches if len(matches) == len(roles) and "train" in matches.values() else {}


def hidden_answers(columns: Sequence[OwnColumn], parts: Sequence[str]) -> dict[str, str]:
    """Parts of a table in all of whose rows a column has a mark in place of an answer, with the column and the mark.

    Args:
        parts: the part that each row is of.
    """
    hidden: dict[str, str] = {}
    for column in columns:
        by_part: dict[str, set[str]] = {}
        for part, value in zip(parts, column.values, strict=True):
            by_part.setdefault(part, set()).add("" if value is None else str(value).strip().lower())
        for part, values in by_part.items():
            mark = next(iter(values))
            others = set().union(*(those for other, those in by_part.items() if other != part))
            if len(values) == 1 and mark in _HIDDEN and mark not in others and len(others) > 1:
                hidden[part] = f"'{column.path}' is {mark} in every row"
    return hidden
