"""Tuning: the loop, its loss, its optimizers and its checkpoints."""
