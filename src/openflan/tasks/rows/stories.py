"""Steps that build endings, completions and marked pronouns from stories and sentences."""

from openflan.tasks.rows.registry import Row, step
