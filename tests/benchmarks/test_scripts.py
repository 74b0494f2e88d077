import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

PEERS = [("train_vs_trl", "trl"), ("eval_vs_lm_eval", "lm_eval")]


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a script in this process, which has imported already what it needs: its exit code and what it said."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run(script: str, *arguments: str) -> tuple[int, str, str]:
        path = str(BENCHMARKS / f"{script}.py")
        monkeypatch.setattr(sys, "argv", [path, *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(path, run_name="__main__")
        output = capsys.readouterr()
        return int(stop.value.code or 0), output.out, output.err

    return run


@pytest.mark.parametrize(("script", "peer"), PEERS)
def test_a_benchmark_says_what_it_can_do(call, script, peer):
    code, out, _ = call(script, "--help")
    assert code == 0
    assert {"--quick", "--model", "--data"} <= set(out.split())


@pytest.mark.parametrize(("script", "peer"), PEERS)
def test_a_missing_peer_is_one_line_with_the_remedy(call, script, peer):
    if find_spec(peer) is not None:
        pytest.skip(f"{peer} is installed")
    code, out, err = call(script, "--quick")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert 'pip install "openflan[bench]"' in err
