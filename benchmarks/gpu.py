"""Everything that wants a GPU, prepared as one script of at most nine minutes on one H100 or H200.

    machine       what is there: device, libraries, attention kernels; rates of a plain product and of a plain copy
    exactness     flat = padded = one example at a time, logits and gradients, in float32 and bfloat16, for shapes as
                  Llama, Qwen and Gemma have them, held against each family's own forward
    tuning-0.5b   tokens a second, share of the device's peak (MFU) and peak memory beside TRL at its best setting, for
                  the shape of Qwen 2.5 0.5B; goals: 1.3 times TRL, MFU 45 %
    tuning-1.5b   the same for the shape of Qwen 2.5 1.5B
    ranking-0.5b  prompts a second beside lm-evaluation-harness at its best batch size; goal: 3 times
    memory        memory that runs out in the middle of a step halves the micro-batch, and the step's result stays
    compiled      tuning the 0.5B shape with `training.compile`

    python benchmarks/gpu.py                  all of it, within --seconds (530)
    python benchmarks/gpu.py --quick          tiny shapes, on whatever device there is: shows that it runs
    python benchmarks/gpu.py --only memory    one part

Nothing is downloaded: models are made on the device with random weights, tokens are drawn or come from the twins that
ship with openflan. A part is a process of its own, which writes what it knows after every turn; a part that fails or
outlasts its time leaves that, and the next one begins. What there is no time for is named and left out. The record is
written anew whenever something is known, so stopping the script at any moment keeps what was measured.

Invariant: this process imports neither torch nor openflan, so no part sees what another left on the device.
Rejected: `train_vs_trl.py` and `eval_vs_lm_eval.py` themselves, whose eighteen processes would spend half of the nine
minutes on imports; here the turns of one part share a process, with a model made anew for each.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["PARTS", "Part", "run_parts"]

RESULTS = Path(__file__).parent / "results"
_ALONE = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
"""So that no part waits for a network: transformers asks the hub for attention kernels that are not installed."""
_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "datasets", "peft", "trl", "lm_eval", "triton")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of the script, and its share of the time."""

    name: str
    least: int
    """Seconds below which it is not begun."""
    most: int
    """Seconds after which it is stopped; what it wrote until then counts."""


PARTS = (
    Part(name="machine", least=15, most=40),
    Part(name="exactness", least=20, most=70),
    Part(name="tuning-0.5b", least=50, most=150),
    Part(name="tuning-1.5b", least=50, most=110),
    Part(name="ranking-0.5b", least=40, most=110),
    Part(name="memory", least=25, most=50),
    Part(name="compiled", least=60, most=120),
)


def main(words: Sequence[str] | None = None) -> int:
    """Measure what there is time for and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny shapes on any device")
    parser.add_argument("--seconds", type=float, default=530, help="for all parts together (default: 530)")
    parser.add_argument("--only", default="", help="names of parts, comma between")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.part:
        from gpu_parts import do_part

        do_part(arguments.part[0], Path(arguments.part[1]), seconds=arguments.seconds, tiny=arguments.quick)
        return 0
    wanted = [name for name in arguments.only.split(",") if name] or [part.name for part in PARTS]
    if unknown := sorted(set(wanted) - {part.name for part in PARTS}):
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(part.name for part in PARTS)}")
    chosen = [part for part in PARTS if part.name in wanted]
    kind = "-quick" if arguments.quick else ""
    path = arguments.out / f"{datetime.now(UTC):%Y-%m-%d}-gpu{kind}.json"
    record = run_parts(chosen, path, seconds=arguments.seconds, command=_command(tiny=arguments.quick))
    sys.stdout.write(json.dumps({"benchmark": "gpu", "goals": record["goals"], "left_out": record["left_out"]}) + "\n")
    return 0 if all(facts.get("ended") == "whole" for facts in record["parts"].values()) else 1


def run_parts(parts: Sequence[Part], path: Path, *, seconds: float, command: Sequence[str]) -> dict[str, Any]:
    """Do parts one after the other until the time is over.

    Args:
        path: of the record, written anew whenever a part knows more.
        command: what a part's name, folder and seconds are put behind.
    """
    until = time.monotonic() + seconds
    record: dict[str, Any] = {
        "benchmark": "gpu",
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _LIBRARIES},
        "seconds_allowed": seconds,
        "goals": {},
        "left_out": {},
        "parts": {},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="openflan-gpu-") as place:
        for part in parts:
            left = until - time.monotonic()
            if left < part.least:
                record["left_out"][part.name] = f"{max(0, left):.0f} s were left, it needs {part.least}"
            else:
                _do(part, Path(place), path, record, command=command, seconds=min(left, part.most))
            _write(path, record)
            _say(f"{part.name}: {record['left_out'].get(part.name) or record['parts'][part.name]['ended']}")
    _say(f"written: {path}")
    return record


def _do(part: Part, place: Path, path: Path, record: dict[str, Any], *, command: Sequence[str], seconds: float) -> None:
    """One part as a process of its own, its findings in the record as they come."""
    began = time.monotonic()
    output, log = place / f"{part.name}.json", place / f"{part.name}.log"
    arguments = [*command, "--part", part.name, str(place), "--seconds", f"{seconds:.0f}"]
    ended = None
    with log.open("wb") as stream:
        child = subprocess.Popen(arguments, stdout=stream, stderr=subprocess.STDOUT, env={**os.environ, **_ALONE})
        try:
            while ended is None:
                time.sleep(0.1)
                if child.poll() is not None:
                    ended = "whole" if child.returncode == 0 else f"failed: {_last_line(log)}"
                elif time.monotonic() - began > seconds:
                    ended = f"stopped after {seconds:.0f} s"
                if output.exists() and (facts := json.loads(output.read_text(encoding="utf-8"))) != record["parts"].get(
                    part.name
                ):
                    record["parts"][part.name] = facts
                    record["goals"] |= facts.get("goals", {})
                    _write(path, record)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    took = round(time.monotonic() - began, 1)
    record["parts"][part.name] = {**record["parts"].get(part.name, {}), "ended": ended, "seconds": took}


def _command(*, tiny: bool) -> list[str]:
    return [sys.executable, str(Path(__file__)), *(["--quick"] if tiny else [])]


def _write(path: Path, record: dict[str, Any]) -> None:
    """Write the record so that a kill leaves the one before."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
