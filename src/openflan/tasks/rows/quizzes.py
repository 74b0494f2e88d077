"""Steps for questions with answers of several kinds (DROP, TriviaQA, ARC)."""

from openflan.tasks.rows.registry import Row, step
