"""Steps that prepare articles and their highlights."""

from openflan.tasks.rows.registry import Row, step
