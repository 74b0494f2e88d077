"""Steps that take dialogues apart (CoQA, QuAC)."""

from openflan.tasks.rows.registry import Row, step
