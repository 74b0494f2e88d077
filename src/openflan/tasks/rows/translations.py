"""Steps that take sentence pairs apart."""

from openflan.tasks.rows.registry import Row, step
