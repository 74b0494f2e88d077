"""Results that people can look at: one self-contained page a run."""
