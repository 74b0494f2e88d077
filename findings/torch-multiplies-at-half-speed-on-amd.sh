#!/usr/bin/env bash
# torch 2.13.0 (CPU), an AMD processor with AVX-512.
#
# One would guess: `a @ b` in float32 is the fastest product that torch has for the processor at hand; it ships two
# libraries for them, MKL and oneDNN, and knows which is which.
#
# Behaviour: it takes MKL, which gives AMD processors a kernel of 256 bits, whatever they can do. The same product by
# torch's own oneDNN operator is twice as fast, and differs by rounding only.
#
# Seen (family 26, one thread, 1024 x 128 times 128 x 352, thousand millions of operations a second):
#   a @ b 105, oneDNN 234
#
# Fails when oneDNN is less than 1.3 times as fast. On another processor there is nothing to see, and it says so.
set -eu
unset PYTHONPATH
if ! grep -q AuthenticAMD /proc/cpuinfo || ! grep -q avx512f /proc/cpuinfo; then
    echo "no AMD processor with AVX-512: nothing to see"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0

"$folder/venv/bin/python" -I - <<'PYTHON'
import time

import torch

torch.set_num_threads(1)
torch.manual_seed(0)
a, b = torch.randn(1024, 128), torch.randn(128, 352)
ways = {
    "a @ b": lambda: a @ b,
    "oneDNN": lambda: torch.ops.mkldnn._linear_pointwise(a, b.T, None, "none", [], ""),
}
best = dict.fromkeys(ways, 0.0)
for _ in range(20):
    for name, way in ways.items():
        began = time.perf_counter()
        for _ in range(50):
            way()
        best[name] = max(best[name], 50 * 2 * a.numel() * b.shape[1] / (time.perf_counter() - began) / 1e9)
print(", ".join(f"{name} {speed:.0f}" for name, speed in best.items()))
assert torch.allclose(ways["a @ b"](), ways["oneDNN"](), atol=1e-3), "they differ by more than rounding"
assert best["oneDNN"] > 1.3 * best["a @ b"], "oneDNN is no longer much faster"
PYTHON
