"""Steps that turn ratings into words."""

from openflan.tasks.rows.registry import Row, step


@step
def rounded_score(row: Row) -> Row:
    """Add `rounded`, the score as a whole number in words, half to even: 0.5 gives 0, 2.5 gives 2 (STS-B)."""
    return {**row, "rounded": str(round(row["label"]))}
