"""The embedded default: a seeded micro-world, its plain prose, its suite of tasks and a small base model.

A package of its own in openflan's distribution. openflan calls it in four places and no other: the model path
`starter` (`models.load`), the collection `starter` (`tasks.catalog`), the source `starter` (`tasks.sources`) and the
verb `openflan starter` (`cli.main`). Cost: importing it reads this file alone.
"""

from pathlib import Path

__all__ = ["BASE", "FOLDER", "ROWS_VERSION", "SUITE"]

FOLDER = Path(__file__).parent
"""The package: its code, and its words in `data/`."""

BASE = FOLDER / "base"
"""The base model, in Hugging Face layout."""

SUITE = FOLDER / "suite"
"""The suite's tasks, a folder a cluster."""

ROWS_VERSION = 1
"""Raised when the code makes other rows; what was made from them is then made anew (tests/starter/test_rows.py)."""
