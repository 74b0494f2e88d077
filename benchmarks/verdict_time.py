"""How long until the verdict: `openflan run starter` of this tree and of an earlier commit, turn about.

    python benchmarks/verdict_time.py                              # one seed, this tree alone: the time to the verdict
    python benchmarks/verdict_time.py --seeds 0,1,2 --base 848ef03 # three seeds, both sides, three turns each
    python benchmarks/verdict_time.py --seeds 0,1,2 --base 848ef03 --busy-core
    python benchmarks/verdict_time.py --steps 40 --rows 30 --seen-rows 6 …    # less of the same work

The earlier commit is checked out (`git worktree`) into a temporary folder and run by this interpreter: its dependencies
are those of this tree. Both sides compute in float32, also where a processor multiplies bfloat16. Every turn is a
command of its own that begins with nothing. `--busy-core` keeps one core busy with a process that spins on it,
`--avx2` has the libraries use no wider instructions. Turns can be taken at different times: with `--add` those of an
earlier call's record are kept.

Invariant: sides differ in the code alone. The record tells each turn's seconds, those of its stages, the verdict, and
what the command said of the time left. Rejected: stages timed apart, which leaves out what runs side by side.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
_NARROW = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
_LEFT = re.compile(r"everything in about ([\d,.]+) (s|min)")


@contextmanager
def checkout(commit: str, place: Path) -> Iterator[Path]:
    """A commit's tree."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", "--force", str(place), commit], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=False, capture_output=True)


@contextmanager
def busy_core(*, wanted: bool) -> Iterator[None]:
    """The last core that may be used, kept busy."""
    if not wanted:
        yield
        return
    core = max(os.sched_getaffinity(0))
    spin = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", spin]) as process:
        try:
            yield
        finally:
            process.kill()


def settings(arguments: argparse.Namespace) -> list[str]:
    """What both sides are told to do."""
    pairs = {
        "seeds": f"[{arguments.seeds}]",
        "training.precision": "float32",
        "evaluation.precision": "float32",
        "training.steps": arguments.steps,
        "evaluation.rows": arguments.rows,
        "evaluation.seen_rows": arguments.seen_rows,
    }
    return [word for key, value in pairs.items() if value is not None for word in ("--set", f"{key}={value}")]


def turn(tree: Path, arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """One command from nothing to its page."""
    env = {**os.environ, "PYTHONPATH": str(tree / "src"), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    env |= _NARROW if arguments.avx2 else {}
    words = [sys.executable, "-m", "openflan", "run", str(tree / "recipes" / "starter.yaml"), *settings(arguments)]
    load = os.getloadavg()[0]
    began = time.perf_counter()
    lines: list[tuple[float, str]] = []
    with (
        busy_core(wanted=arguments.busy_core),
        subprocess.Popen(
            [*words, "--out", str(work)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            lines.append((round(time.perf_counter() - began, 1), line.rstrip()))
    seconds = time.perf_counter() - began
    if process.returncode:
        sys.exit("\n".join(line for _, line in lines[-20:]))
    results = json.loads(next(work.glob("*/results.json")).read_text(encoding="utf-8"))
    verdict = {one["cluster"]: (one["gain"], *one["gain_ci95"]) for one in results["verdict"]["held_out"]}
    return {
        "seconds": round(seconds, 1),
        "load_before": round(load, 2),
        "stages": {stage: round(cost["seconds"], 1) for stage, cost in results["costs"].items()},
        "verdict": {cluster: [round(number, 4) for number in numbers] for cluster, numbers in verdict.items()},
        "time_left": [(at, left) for at, line in lines if (left := _left(line)) is not None],
    }


def _left(line: str) -> float | None:
    match = _LEFT.search(line)
    return None if match is None else float(match[1].replace(",", "")) * (60 if match[2] == "min" else 1)


def summary(turns: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians, and how many times as fast this tree is."""
    medians = {side: statistics.median(one["seconds"] for one in results) for side, results in turns.items() if results}
    pairs = [theirs["seconds"] / ours["seconds"] for ours, theirs in zip(turns["ours"], turns["base"], strict=False)]
    figures: dict[str, Any] = {"median_seconds": medians}
    if len(medians) == 2:
        figures |= {
            "ratio": round(medians["base"] / medians["ours"], 3),
            "ratio_range": [round(min(pairs), 3), round(max(pairs), 3)],
        }
    return figures | {"time_left_off": [told_off(one) for one in turns["ours"]]}


def told_off(one: dict[str, Any]) -> float | None:
    """The largest share, of the time that was left, by which what was told is wrong after a tenth of the time.

    In the last tenth what was told is held against a tenth of the whole: it is whole seconds.
    """
    whole = one["seconds"]
    shares = [
        abs(left - (whole - at)) / max(whole - at, whole / 10) for at, left in one["time_left"] if at >= whole / 10
    ]
    return round(max(shares), 3) if shares else None


def main() -> int:
    """Take turns and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="an earlier commit to run beside this tree")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--seen-rows", type=int)
    parser.add_argument("--busy-core", action="store_true")
    parser.add_argument("--avx2", action="store_true")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=("ours", "base"), help="take turns of one side now")
    parser.add_argument("--add", action="store_true", help="keep the turns that the record has")
    parser.add_argument("--name", default="verdict-time", help="of the record")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    work_settings = {
        name: getattr(arguments, name) for name in ("base", "seeds", "steps", "rows", "seen_rows", "busy_core", "avx2")
    }
    path = arguments.out / f"{datetime.now(UTC):%Y-%m-%d}-{arguments.name}.json"
    turns: dict[str, list[dict[str, Any]]] = {"ours": [], "base": []}
    if arguments.add and path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if {**before["work"], "base": None} != {**work_settings, "base": None}:
            sys.exit(f"{path.name} is of other work: {before['work']}")
        turns = before["turns"]
        work_settings["base"] = arguments.base or before["work"]["base"]
    with tempfile.TemporaryDirectory() as folder:
        sides = {"ours": ROOT}
        with checkout(arguments.base, Path(folder) / "base") if arguments.base else _nothing() as base:
            if base is not None:
                sides["base"] = base
            for number in range(arguments.turns):
                for side, tree in sides.items():
                    if arguments.only in (None, side):
                        result = turn(tree, arguments, Path(folder) / f"{side}-{number}")
                        turns[side].append(result)
                        sys.stderr.write(f"{side}: {result['seconds']} s {result['stages']}\n")
                        record = {"work": work_settings, **summary(turns), "turns": turns, "machine": _machine()}
                        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(summary(turns)) + "\n")
    return 0


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _machine() -> dict[str, Any]:
    import torch

    import openflan

    return {
        "cores": len(os.sched_getaffinity(0)),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "openflan": openflan.__version__,
    }


if __name__ == "__main__":
    sys.exit(main())
