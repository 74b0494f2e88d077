"""What a model is told before it is tuned: to save activations' memory, to be compiled.

Invariant: neither changes the result but for rounding. Rejected: compiling the whole model, which starts anew for
each shape and breaks at the hook before its head (models/head.py).
"""

from typing import Any

from openflan.errors import UserError
from openflan.recipes.parts import TrainingPart

__all__ = ["prepare_model"]


def prepare_model(model: Any, part: TrainingPart) -> None:
    """Set up a model as the recipe's training part says, in place.

    Raises:
        UserError: the model's family can't do it.
    """
    if part.gradient_checkpointing:
        if not model.supports_gradient_checkpointing:
            what = f"{type(model).__name__} can't compute activations again"
            raise UserError(what, where="training.gradient_checkpointing", how="set it to false")
        model.activation_checkpointing_enable({"use_reentrant": False})
    if part.compile:
        blocks = set(getattr(model, "_no_split_modules", None) or ())
        if not blocks:
            what = f"{type(model).__name__} does not name its blocks"
            raise UserError(what, where="training.compile", how="set it to false")
        for module in model.modules():
            if type(module).__name__ in blocks:
                module.compile(dynamic=True)
