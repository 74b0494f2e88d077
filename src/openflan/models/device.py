"""Where a model computes, and in which numbers.

Invariant: the choice follows from the machine and the recipe alone. Cost: importing torch, inside the functions.
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

__all__ = ["Precision", "pick_device", "pick_precision"]

Precision = Literal["float32", "bfloat16"]


def pick_device() -> "torch.device":
    """The first CUDA device, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_precision(wish: Literal["auto", "float32", "bfloat16"], device: "torch.device") -> Precision:
    """What `auto` means on a device: bfloat16 where the hardware multiplies it faster, else float32.

    Of CPUs only those with matrix tiles (AMX) do: AVX-512's bfloat16 products make 84 GFLOP/s where float32 makes 148.
    """
    import torch

    if wish != "auto":
        return wish
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return "bfloat16" if supported is not None and supported() else "float32"
