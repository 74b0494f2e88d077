"""What a stage takes: seconds, memory, and the accelerator's memory and energy where they are known.

Energy is the device's own counter (NVML's total energy consumption) at the end less that at the start: of the whole
device, whoever used it meanwhile. A processor's energy is not told: its counter is closed to all but root.

Invariant: measuring changes nothing that is computed. Cost: two calls of a library a stage.
Rejected: power sampled by a thread, which misses what happens between its samples; estimates from a device's name.
"""

import ctypes
import resource
import sys
import time
from typing import Any

__all__ = ["Meter"]

_LIBRARY = "libnvidia-ml.so.1"


class Meter:
    """Runs from when it is made.

    Args:
        device: whether the accelerator is used; it is looked at only then.
        alone: whether this process is the only one at work; the energy of others' devices is not known.
    """

    def __init__(self, *, device: bool, alone: bool) -> None:
        self._cuda = _cuda() if device else None
        if self._cuda is not None:
            self._cuda.reset_peak_memory_stats()
        self._energy = _device_joules(self._cuda) if alone else None
        self._began = time.perf_counter()

    def facts(self, *, seconds: float | None = None) -> dict[str, float]:
        """What a manifest tells of the stage.

        Args:
            seconds: what the work counted itself, that of processes before this one included. Where it is more than
                this process took, nobody counted the energy of all of it, so none is told.
        """
        mine = time.perf_counter() - self._began
        facts = {"seconds": mine if seconds is None else seconds, "peak_memory_mb": _peak_memory()}
        if self._cuda is not None:
            facts["device_memory_mb"] = round(self._cuda.max_memory_allocated() / (1 << 20), 1)
        now = None if self._energy is None else _device_joules(self._cuda)
        if now is not None and self._energy is not None and facts["seconds"] <= mine:
            facts["energy_joules"] = round(now - self._energy, 1)
        return facts


def _peak_memory() -> float:
    """Largest resident size of this process so far, in MB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(size / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def _cuda() -> Any | None:
    import torch

    return torch.cuda if torch.cuda.is_available() else None


def _device_joules(cuda: Any | None) -> float | None:
    """What the device has taken since its driver was loaded; None where it does not count."""
    if cuda is None:
        return None
    try:
        library = ctypes.CDLL(_LIBRARY)
        name = f"GPU-{cuda.get_device_properties(cuda.current_device()).uuid}".encode()
        device, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        done = (
            library.nvmlInit_v2() == 0
            and library.nvmlDeviceGetHandleByUUID(ctypes.c_char_p(name), ctypes.byref(device)) == 0
            and library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)) == 0
        )
    except (OSError, AttributeError):
        return None
    return millijoules.value / 1_000 if done else None
