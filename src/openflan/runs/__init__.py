"""A run, from its plan to its results: what its stages are, where they lie, and what their keys are."""
