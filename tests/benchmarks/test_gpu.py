"""The script for a GPU, on what there is: its parts run in a small shape, and its budget holds whatever a part does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu

    return gpu


def pretend(tmp_path, what):
    """A command in place of the script's own, that does `what` with a part's name and folder."""
    script = tmp_path / "part.py"
    script.write_text(
        "import json, sys, time\nfrom pathlib import Path\nname, place = sys.argv[2], Path(sys.argv[3])\n"
        "def know(**facts): (place / f'{name}.json').write_text(json.dumps(facts))\n" + what
    )
    return [sys.executable, str(script)]


def test_a_part_that_hangs_or_fails_leaves_what_it_knew_and_the_next_begins(gpu, tmp_path):
    what = "know(rate=3, goals={name: {'measured': 1.0, 'goal': 1.0}})\n"
    what += "if name == 'slow': time.sleep(60)\nif name == 'bad': sys.exit('no memory')\n"
    parts = [gpu.Part(name=name, least=0, most=most) for name, most in (("slow", 1), ("bad", 5), ("good", 5))]
    record = gpu.run_parts(parts, tmp_path / "out" / "gpu.json", seconds=30, command=pretend(tmp_path, what))
    ended = {name: part["ended"] for name, part in record["parts"].items()}
    assert ended == {"slow": "stopped after 1 s", "bad": "failed: no memory", "good": "whole"}
    assert all(part["rate"] == 3 for part in record["parts"].values())
    assert json.loads((tmp_path / "out" / "gpu.json").read_text(encoding="utf-8")) == record


def test_what_there_is_no_time_for_is_named(gpu, tmp_path):
    parts = [gpu.Part(name="short", least=0, most=5), gpu.Part(name="long", least=100, most=200)]
    record = gpu.run_parts(parts, tmp_path / "gpu.json", seconds=20, command=pretend(tmp_path, "know(rate=1)\n"))
    assert set(record["parts"]) == {"short"}
    assert record["left_out"]["long"].endswith("s were left, it needs 100")


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("family", ["qwen2", "gemma3_text"])
def test_layouts_agree_with_one_example_at_a_time(gpu, family, reduced):
    from gpu_exactness import compare_layouts

    facts = compare_layouts(family, torch.device("cpu"), reduced=reduced, tiny=True)
    assert facts["agrees"]
    assert facts["flat"]["gradients"] < (0.1 if reduced else 1e-5)


def test_a_layout_that_sees_its_neighbours_is_found_out(gpu, monkeypatch):
    from gpu_exactness import compare_layouts
    from openflan.models import flat

    one = flat._Borders.of
    monkeypatch.setattr(flat._Borders, "of", lambda places, device: one([places[0], places[-1]], device))
    assert not compare_layouts("qwen2", torch.device("cpu"), reduced=False, tiny=True)["agrees"]


@pytest.mark.slow
def test_memory_that_runs_out_halves_the_micro_batch_and_changes_no_result(gpu, tmp_path):
    from gpu_parts import do_part

    facts = do_part("memory", tmp_path, seconds=60, tiny=True)
    assert facts["halved"]
    assert facts["goals"]["memory"]["measured"] == 1.0
    assert json.loads((tmp_path / "memory.json").read_text(encoding="utf-8")) == facts


@pytest.mark.slow
def test_the_whole_script_runs_in_a_small_shape(tmp_path):
    """Each of seven parts is a process of its own, with the peers' imports."""
    for peer in ("trl", "lm_eval"):
        pytest.importorskip(peer)
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--quick", "--out", str(tmp_path), "--only"]
    parts = "machine,exactness,tuning-0.5b,ranking-0.5b,memory"
    done = subprocess.run([*command, parts], capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    record = json.loads(next(tmp_path.glob("*-gpu-quick.json")).read_text(encoding="utf-8"))
    assert {name for name, part in record["parts"].items() if part["ended"] == "whole"} == set(parts.split(","))
    assert {"tuning-0.5b", "ranking-0.5b"} <= set(record["goals"])
