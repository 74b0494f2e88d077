"""How many parameters a recipe's model has, read from the heads of its files.

Cost: a millisecond; no weight is read. A model on a hub is not asked for: None.
"""

import json
import struct
from math import prod
from pathlib import Path

from openflan.models.load import find_model
from openflan.recipes.recipe import Recipe

__all__ = ["parameters_of"]


def parameters_of(recipe: Recipe) -> int | None:
    """Parameters of the model that a recipe tunes; None where its files are not at hand.

    Raises:
        UserError: a folder is named that is no model.
    """
    folder = find_model(recipe.model, recipe.find(recipe.model.path)).folder
    if folder is None:
        return None
    return sum(_count(path) for path in sorted(folder.glob("*.safetensors")))


def _count(path: Path) -> int:
    """Elements of all tensors in a safetensors file: its head is a length and so many bytes of JSON."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        head = json.loads(file.read(size))
    return sum(prod(tensor["shape"]) for name, tensor in head.items() if name != "__metadata__")
