"""The recipe that is proposed for a user's own tasks: what is tuned on, what is held out.

Invariant: the recipe reads back as it was written. Rejected: a recipe with every setting spelt out, in which nobody
finds the three lines that are theirs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openflan.tasks.catalog import Entry

__all__ = ["propose_recipe"]


def propose_recipe(folder: Path, tasks: Sequence[Entry], *, model: str | None) -> dict[str, Any]:
    """A recipe's content for a folder's tasks.

    Args:
        folder: where the recipe will stand, with the task files in `tasks/` below it.
        tasks: the folder's tasks.
        model: hub id or folder of the model to tune; the embedded base where it is None.
    """
    name = "".join(c if c.isalnum() else "-" for c in folder.resolve().name.lower()).strip("-") or "own"
    return {
        "name": name if name.isascii() else "own",
        "model": {"path": model or "starter"},
        "tasks": {"use": ["mine", "starter"], "folders": ["tasks"], "hold_out": ["natural_language_inference"]},
    }
