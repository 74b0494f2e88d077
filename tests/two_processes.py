"""A script or module in two processes that find each other, as `torchrun` starts them."""

import os
import subprocess
import sys

__all__ = ["torchrun"]


def torchrun(*command: object) -> subprocess.CompletedProcess[str]:
    """Run a command in two processes, a thread each."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return subprocess.run(
        [*launch, *map(str, command)],
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
