"""Steps that turn ratings into words (STS-B)."""

from openflan.tasks.rows.registry import Row, step
