"""The embedded default: a seeded micro-world, its plain prose, its suite of tasks and a small base model."""
