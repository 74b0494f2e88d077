"""Steps that prepare reviews, arguments and dialogues for a summary."""

from openflan.tasks.rows.registry import Row, step
