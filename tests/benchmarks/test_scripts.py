import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

PEERS = [("train_vs_trl", "trl"), ("eval_vs_lm_eval", "lm_eval")]


def call(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / f"{script}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("script", "peer"), PEERS)
def test_a_benchmark_says_what_it_can_do(script, peer):
    done = call(script, "--help")
    assert done.returncode == 0
    assert {"--quick", "--model", "--data"} <= set(done.stdout.split())


@pytest.mark.parametrize(("script", "peer"), PEERS)
def test_a_missing_peer_is_one_line_with_the_remedy(script, peer):
    if find_spec(peer) is not None:
        pytest.skip(f"{peer} is installed")
    done = call(script, "--quick")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert 'pip install "openflan[bench]"' in done.stderr
