"""Steps that take punctuation, capitals or spaces out of sentences."""

from openflan.tasks.rows.registry import Row, step
