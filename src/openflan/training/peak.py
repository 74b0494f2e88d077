"""What a step's arithmetic asks for, and what a device could do at most: for the share that training uses (MFU).

Six floating-point operations a weight and token, forward and backward, four where the weight is not trained, and twelve
times layers × width × positions for attention (Chowdhery et al. 2022, appendix B). Only work that is done counts: the
head sees target tokens alone, so nothing is counted for it elsewhere, and the table of input embeddings is looked up.

The peak is the maker's for dense bfloat16 where it is known; elsewhere it is measured, by plain matrix products at the
precision of the run. Cost: up to half a second, once a process.
"""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

__all__ = ["Work", "device_peak"]

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

_TRIALS = 8
_SECONDS = 0.4


def device_peak(device: torch.device, *, reduced: bool) -> float:
    """Operations a second that a device does at most.

    Args:
        reduced: in bfloat16, not in float32.
    """
    if device.type == "cuda" and reduced:
        name = torch.cuda.get_device_name(device)
        stated = next((peak for part, peak in _PEAKS.items() if part in name), None)
        if stated is not None:
            return stated
    return _measured_peak(device, torch.bfloat16 if reduced else torch.float32, threads=torch.get_num_threads())


@cache
def _measured_peak(device: torch.device, kind: torch.dtype, *, threads: int) -> float:
    """As above, of matrix products; a process that tunes several seeds measures once with each number of threads."""
    size = 8_192 if device.type == "cuda" else 1_024
    one, two = (torch.ones(size, size, dtype=kind, device=device) for _ in range(2))
    best, began = float("inf"), time.perf_counter()
    for _ in range(_TRIALS):
        started = time.perf_counter()
        one @ two
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
        if time.perf_counter() - began > _SECONDS:
            break
    return 2.0 * size**3 / best


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Operations that training costs, by what they are spent on."""

    input_token: float
    """A token of input, through all that sees it."""
    target_token: float
    """A target token, the head included."""
    pair: float
    """A pair of tokens of an example, in attention."""

    @classmethod
    def of(cls, model: Any) -> "Work":
        """What a model asks for; hooks, wrappers and adapters may be on it."""
        config = model.config.get_text_config()
        layers = int(getattr(config, "num_hidden_layers", 0) or 0)
        width = int(getattr(config, "hidden_size", 0) or 0)
        head = model.get_output_embeddings()
        tables = {id(model.get_input_embeddings().weight), id(getattr(head, "weight", None))}
        costs = {
            name: (6.0 if p.requires_grad else 4.0) * p.numel()
            for name, p in model.named_parameters()
            if id(p) not in tables
        }
        body = sum(costs.values())
        words = getattr(head, "weight", None)
        last = 0.0 if words is None else (6.0 if words.requires_grad else 4.0) * words.numel()
        if not model.config.is_encoder_decoder:
            return cls(input_token=body, target_token=body + last, pair=6.0 * layers * width)
        first = sum(cost for name, cost in costs.items() if ".encoder." in f".{name}")
        return cls(input_token=first, target_token=body - first + last, pair=6.0 * layers * width)

    def of_step(self, lengths: list[tuple[int, int]]) -> float:
        """Operations of a step over examples of so many input and target tokens."""
        return sum(
            inputs * self.input_token + targets * self.target_token + self.pair * (inputs + targets) ** 2
            for inputs, targets in lengths
        )
