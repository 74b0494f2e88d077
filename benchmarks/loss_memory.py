"""Memory of the loss over a large vocabulary: 16,384 target tokens over 256,000 words, forward and back.

Whole logits would be 16.8 GB, and their gradient as much again. The peak is that of a process of its own, above what
the process holds once weights, hidden states and the weights' gradient are there. `--whole` measures the plain loss
over fewer tokens beside it, for comparison.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
GOAL_GB = 4.0


def measure(targets: int, vocabulary: int, width: int, *, chunked: bool) -> dict[str, Any]:
    """Peak memory and time of one loss with its gradients."""
    import torch

    from openflan.models.head_loss import Head

    torch.manual_seed(0)
    linear = torch.nn.Linear(width, vocabulary, bias=False)
    states = torch.randn(targets, width, requires_grad=True)
    wanted = torch.randint(vocabulary, (targets,))
    linear.weight.grad = torch.zeros_like(linear.weight)
    states.grad = torch.zeros_like(states)
    torch.nn.functional.linear(states[:64], linear.weight[:64]).sum().item()
    before = _now()
    began = time.perf_counter()
    if chunked:
        total, _ = Head(linear=linear).loss(states, wanted)
    else:
        total = torch.nn.functional.cross_entropy(linear(states), wanted, reduction="sum")
    (total / targets).backward()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {"loss": float(total) / targets, "seconds": round(seconds, 2), "peak_above_gb": round(peak - before, 3)}


def _now() -> float:
    """Resident memory now, in GiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1024**3


def main() -> int:
    """Measure in processes of their own and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=16_384)
    parser.add_argument("--vocabulary", type=int, default=256_000)
    parser.add_argument("--width", type=int, default=896, help="hidden size (default: that of a 0.5 billion Qwen)")
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the targets")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--one", choices=("chunked", "whole"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    targets = arguments.targets // 16 if arguments.quick else arguments.targets
    if arguments.one:
        facts = measure(targets, arguments.vocabulary, arguments.width, chunked=arguments.one == "chunked")
        sys.stdout.write(json.dumps(facts) + "\n")
        return 0
    shape = ["--vocabulary", str(arguments.vocabulary), "--width", str(arguments.width)]

    def run(one: str, count: int) -> dict[str, Any]:
        command = [sys.executable, __file__, "--one", one, "--targets", str(count), *shape]
        facts: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return facts

    few = min(targets, 1_024)
    record = {
        "benchmark": "loss_memory",
        "date": datetime.now(UTC).date().isoformat(),
        "targets": targets,
        "vocabulary": arguments.vocabulary,
        "width": arguments.width,
        "chunked": run("chunked", targets),
        "beside": {"targets": few, "chunked": run("chunked", few), "whole": run("whole", few)},
        "goal_gb": GOAL_GB,
    }
    name = f"{record['date']}-loss-memory{'-quick' if arguments.quick else ''}.json"
    (arguments.out / name).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({key: record[key] for key in ("chunked", "beside", "goal_gb")}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
