"""What a reader of results should know of the libraries and the machine behind them."""

import os
import platform
from importlib.metadata import version

import openflan

__all__ = ["machine_facts", "version_facts"]


def version_facts() -> dict[str, str]:
    """Versions of the libraries that decide numbers."""
    names = ("torch", "transformers", "tokenizers", "datasets", "accelerate", "numpy")
    return {"openflan": openflan.__version__, "python": platform.python_version(), **{n: version(n) for n in names}}


def machine_facts() -> dict[str, str]:
    """What a reader of results should know of the machine; nothing that names it."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    return {
        "system": platform.system(),
        "device": device,
        "cores": str(os.cpu_count()),
        "threads": str(torch.get_num_threads()),
    }
