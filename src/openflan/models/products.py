"""Products of float32 matrices on CPU, by whichever of torch's two libraries is the faster on this processor.

MKL, which torch takes, gives AMD processors kernels of 256 bits: with AVX-512 oneDNN, which torch has as well, makes
twice as many products a second there. It compiles a kernel for each new shape, so of the rows, whose number differs
from call to call, it is given a multiple of `_ROWS`, and MKL the rest. On every other processor MKL makes all.

Invariant: the processor alone chooses, never a clock, so results are the same bits run by run. Rejected: both tried and
the faster one taken, which another program at work could decide.
"""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["product", "product_added", "sum_of_products"]

_ROWS = 64
"""oneDNN is given a multiple of so many rows."""
_PROCESSOR = Path("/proc/cpuinfo")


@cache
def _by_onednn() -> bool:
    """Whether this is an AMD processor whose AVX-512 torch uses."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch._C._has_mkldnn:
        return False
    try:
        return "AuthenticAMD" in _PROCESSOR.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _onednn(one: Tensor, two: Tensor) -> Tensor:
    made: Tensor = torch.ops.mkldnn._linear_pointwise(one, two.T, None, "none", [], "")
    return made


def product(one: Tensor, two: Tensor) -> Tensor:
    """(N, K) times (K, M) for any number N of rows, without a way back."""
    whole = len(one) // _ROWS * _ROWS
    if not whole or not _by_onednn():
        return one @ two
    made = one.new_empty(len(one), two.shape[1])
    made[:whole] = _onednn(one[:whole], two)
    torch.mm(one[whole:], two, out=made[whole:])
    return made


def product_added(rows: Tensor, one: Tensor, two: Tensor) -> Tensor:
    """The same, added to rows (N, M), which stay as they are."""
    return product(one, two).add_(rows) if _by_onednn() else torch.addmm(rows, one, two)


def sum_of_products(one: Tensor, two: Tensor) -> Tensor:
    """Transposed (N, K) times (N, M), for any number N of rows, without a way back."""
    whole = len(one) // _ROWS * _ROWS
    if not whole or not _by_onednn():
        return one.T @ two
    return _onednn(one[:whole].T, two[:whole]).addmm_(one[whole:].T, two[whole:])
