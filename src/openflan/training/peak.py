"""What a device could do at most, and what a model asks of it: for the share that training uses (MFU).

Six floating-point operations a weight and token, forward and backward, and twelve times layers × width × positions for
attention (Chowdhery et al. 2022, appendix B). Only peaks that a maker states for dense bfloat16 are known; elsewhere
the share is left out, for a guess would look like a measurement.
"""

from typing import Any

import torch

__all__ = ["device_peak", "flops_per_token"]

_PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "A10G": 70e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
}
"""By a part of the device's name, the longer names first; dense bfloat16, operations a second."""


def device_peak(device: torch.device) -> float | None:
    """Stated peak of a device in bfloat16, in operations a second."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in _PEAKS.items() if part in name), None)


def flops_per_token(model: Any, length: float) -> float:
    """Operations that training on a token costs.

    Args:
        length: mean tokens of an example.
    """
    config = model.config.get_text_config()
    weights = sum(int(p.numel()) for p in model.parameters())
    layers = int(getattr(config, "num_hidden_layers", 0) or 0)
    width = int(getattr(config, "hidden_size", 0) or 0)
    return 6.0 * weights + 12.0 * layers * width * length / 2
