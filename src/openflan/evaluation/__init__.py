"""Measuring: every task under all its templates, with intervals."""
