"""What there is to learn: task specs, where their rows come from, and how rows are cleaned."""
