"""Mixing rates: how often each task is drawn.

Examples-proportional mixing with a maximum (Wei et al. 2022, section 2.1; Raffel et al. 2020, section 3.5.2): a
task with n rows is drawn in proportion to min(n, maximum), so that no large task drowns the others. Rates are kept
as whole numbers (draws a round), which makes them exact and the order of draws plain arithmetic.

Invariant: every task has a rate of at least one draw a round. Cost: O(tasks).
Rejected: floating-point probabilities, whose shares drift and whose order needs a random state.
"""

from collections.abc import Mapping
from math import gcd

from openflan.errors import UserError

__all__ = ["draws_per_round"]


def draws_per_round(rows: Mapping[str, int], *, maximum: int) -> dict[str, int]:
    """How often each task is drawn in one round of the mixture.

    For example, 250, 500 and 400,000 rows with a maximum of 3,000 give 1, 2 and 12.

    Args:
        rows: usable rows by task name.
        maximum: rows beyond this add nothing to a task's rate.

    Raises:
        UserError: a task has no rows.
    """
    empty = [name for name, n in rows.items() if n == 0]
    if empty:
        raise UserError(f"no rows left in {', '.join(empty)}", how="check its split and filters, or leave it out")
    weight = {name: min(n, maximum) for name, n in rows.items()}
    common = gcd(*weight.values())
    return {name: w // common for name, w in weight.items()}
