"""Imports ahead of time, for a program that waits for people: what they ask for next then does not wait for imports.

Invariant: nothing is read, computed or kept but modules. Cost: the imports' own: .3 processor seconds and 50 MB for
answers, .3 and 30 for figures, 2 and 270 for models, which is torch and transformers. Rejected: importing at the start,
before which no page comes.
"""

import importlib
from typing import Literal

__all__ = ["warm_up"]

_PARTS = {
    "answers": ("pyarrow.parquet", "pyarrow.compute", "scipy.special"),
    "figures": ("matplotlib.figure", "matplotlib.backends.backend_svg"),
    "models": ("torch", "transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto"),
}


def warm_up(*parts: Literal["answers", "figures", "models"]) -> None:
    """Import what some work needs, so that its first time takes no longer than any other.

    Args:
        parts: reading and comparing stored answers, drawing figures, asking models; without any, all of them.
    """
    for part, names in _PARTS.items():
        if not parts or part in parts:
            for name in names:
                importlib.import_module(name)
