"""Two programs on the same work, turn about, each turn in a process of its own.

A script prepares the work once, probes the peer's settings once, then lets both sides do the work alternately
(ours, peer, ours, peer, …), so that a machine that slows down slows both. A turn is this script called again with
`--turn`; it leaves a JSON file in the work folder. Memory and threads of one turn never touch another's.

Invariant: the calling process imports neither torch nor transformers, and a record names no host, user or folder.
Rejected: both sides in one process, where the first to run pays for the allocator and the second for its leavings.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import openflan
from openflan.errors import UserError
from openflan.recipes.parts import ModelPart
from openflan.tasks.catalog import COLLECTIONS, Entry, open_catalog
from openflan.tasks.sources import source_fingerprint
from openflan.tasks.splits import Role

__all__ = [
    "Clock",
    "Facts",
    "Settings",
    "Turn",
    "alternate",
    "choose_tasks",
    "main",
    "say",
    "summary",
    "turn",
]

RESULTS = Path(__file__).parent / "results"

_KEPT = "kept.json"
"""In a work folder that is kept: the settings that its work was made for."""
_ONCE = ("prepare", "probe")
"""Turns whose findings a kept folder has for the next call."""

_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "datasets", "numpy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the command line asked for; every turn reads it from the work folder."""

    quick: bool
    model: str
    data: str | None
    tasks: tuple[str, ...]
    precision: Literal["auto", "float32", "bfloat16"]
    repeats: int
    size: int
    """Optimizer steps, or rows of a task."""
    tokens: int | None = None
    """Tokens of an optimizer step, where they are not the benchmark's own."""
    optimizer: Literal["adamw", "adafactor"] = "adamw"
    """Of what is tuned."""

    @property
    def model_part(self) -> ModelPart:
        """The model as a recipe names it."""
        return ModelPart(path=self.model)

    @property
    def data_folder(self) -> Path | None:
        """Folder of real rows, if any."""
        return None if self.data is None else Path(self.data)


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One call of one side."""

    name: str
    """`prepare`, `probe` or a side."""
    work: Path
    settings: Settings


Facts = dict[str, Any]


class Clock:
    """Wall and processor time since its making, and memory before and after; a GPU's work is waited for."""

    def __init__(self) -> None:
        self._gpu = _gpu()
        if self._gpu is not None:
            self._gpu.synchronize()
            self._gpu.reset_peak_memory_stats()
        self._memory = _memory("VmRSS")
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def read(self) -> Facts:
        """Seconds so far, and the process's peak memory with the part above what was there at the start."""
        if self._gpu is not None:
            self._gpu.synchronize()
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        peak = _memory("VmHWM")
        on_gpu = {} if self._gpu is None else {"peak_gpu_memory_mb": round(self._gpu.max_memory_allocated() / 2**20, 1)}
        return {
            "seconds": round(wall, 4),
            "cpu_seconds": round(cpu, 4),
            "peak_memory_mb": round(peak, 1),
            "memory_above_start_mb": round(peak - self._memory, 1),
            **on_gpu,
        }


def main(
    *,
    script: Path,
    benchmark: str,
    peer: str,
    description: str,
    size: tuple[str, int, int],
    precisions: Sequence[str],
    turns: Mapping[str, Callable[[Turn], Facts]],
    compare: Callable[[Path, Settings], Facts],
    model: str = "starter",
    tuning: bool = False,
) -> int:
    """Parse the command line, and do a turn or the whole benchmark.

    Args:
        script: the calling file, called again for every turn.
        peer: distribution name of the peer.
        size: option name, value for `--quick` and value otherwise of the amount of work.
        precisions: allowed ones, the default first.
        turns: what each turn does, by name.
        compare: the whole benchmark; its facts go to the JSON file, those named by `line` to stdout too.
        model: the one that is used where none is named.
        tuning: whether models are tuned, so that `--tokens` of a step and `--optimizer` can be said.

    Returns:
        Exit code.
    """
    option, few, many = size
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="two repeats of little work: at most 3 minutes")
    parser.add_argument("--model", default=model, help=f"folder or hub id (default: {model})")
    parser.add_argument(
        "--data",
        default=os.environ.get("OPENFLAN_DATA"),
        help="folder of <task>/<split>.jsonl[.gz]: real rows of catalog tasks",
    )
    parser.add_argument("--tasks", default="", help="task or cluster names, comma between (default: all there are)")
    parser.add_argument("--repeats", type=int, help="turns of each side (default: 5, quick 2)")
    parser.add_argument(f"--{option}", dest="size", type=int, help=f"default: {many}, quick {few}")
    parser.add_argument("--precision", choices=precisions, default=precisions[0])
    if tuning:
        parser.add_argument("--tokens", type=int, help="tokens of an optimizer step")
        parser.add_argument("--optimizer", choices=("adamw", "adafactor"), default="adamw", help="default: adamw")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--work", type=Path, help="folder to keep what is prepared and probed in, and to find it again")
    parser.add_argument("--turn", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.turn:
            name, work = options.turn[0], Path(options.turn[1])
            settings = Settings(**_listed(json.loads((work / "settings.json").read_text(encoding="utf-8"))))
            facts = turns[name](Turn(name=name, work=work, settings=settings))
            (work / f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")
            return 0
        _need(peer)
        settings = Settings(
            quick=options.quick,
            model=options.model,
            data=options.data,
            tasks=tuple(name for name in options.tasks.split(",") if name),
            precision=options.precision,
            repeats=options.repeats or (2 if options.quick else 5),
            size=options.size or (few if options.quick else many),
            **({"tokens": options.tokens, "optimizer": options.optimizer} if tuning else {}),
        )
        return _whole(script, benchmark, peer, settings, compare, options.out, options.work)
    except UserError as error:
        say(f"{script.name}: {error}")
        return 2


def turn(script: Path, name: str, work: Path) -> Facts:
    """Do one turn in a process of its own; what it prints goes to stderr.

    Raises:
        SystemExit: the turn failed.
    """
    record = work / f"{name}.json"
    if (work / _KEPT).is_file() and name in _ONCE and record.is_file():
        earlier: Facts = json.loads(record.read_text(encoding="utf-8"))
        return earlier
    command = [sys.executable, str(script), "--turn", name, str(work)]
    environment = {"TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore", **os.environ}
    done = subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    facts: Facts = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
    return facts


def alternate(script: Path, sides: Sequence[str], work: Path, repeats: int, *, shown: str) -> dict[str, list[Facts]]:
    """All repeats of all sides, turn about.

    Args:
        shown: the fact to tell on stderr after each turn.
    """
    facts: dict[str, list[Facts]] = {side: [] for side in sides}
    for repeat in range(repeats):
        for side in sides:
            facts[side].append(turn(script, side, work))
            say(f"{side} {repeat + 1}/{repeats}: {shown} {facts[side][-1][shown]:,.1f}")
    return facts


def summary(facts: Mapping[str, Sequence[Facts]], peer: str, rate: str) -> Facts:
    """The headline: medians of a rate for both sides and their ratio, ours over the peer's."""
    ours, theirs = ([turn[rate] for turn in facts[side]] for side in ("ours", peer))
    by_cpu = [[t[rate] * t["seconds"] / t["cpu_seconds"] for t in facts[side]] for side in ("ours", peer)]
    each = [a / b for a, b in zip(ours, theirs, strict=True)]
    memory = [round(statistics.median(t["peak_memory_mb"] for t in facts[side]), 1) for side in ("ours", peer)]
    return {
        "ours": round(statistics.median(ours), 2),
        "peer": round(statistics.median(theirs), 2),
        "ratio": round(statistics.median(ours) / statistics.median(theirs), 3),
        "ratio_range": [round(min(each), 3), round(max(each), 3)],
        "ratio_by_cpu_time": round(statistics.median(by_cpu[0]) / statistics.median(by_cpu[1]), 3),
        "peak_memory_mb": {"ours": memory[0], "peer": memory[1]},
    }


def choose_tasks(settings: Settings, role: Role) -> list[Entry]:
    """The starter suite, or the catalog tasks with a file of that role in the data folder.

    Raises:
        UserError: none, or a name that is no task.
    """
    collection = "starter" if settings.data is None else "catalog"
    catalog = open_catalog(collections=COLLECTIONS)
    words = settings.tasks or (collection,)
    entries = [e for e in catalog.select(words, where="--tasks") if role in e.spec.splits]
    if settings.data is not None:
        entries = [e for e in entries if e.collection == "catalog" and _has_file(e, role, Path(settings.data))]
    if not entries:
        raise UserError(f"no task has {role} rows", where=settings.data or "--tasks", how="check --data and --tasks")
    return entries


def say(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


def _has_file(entry: Entry, role: Role, data: Path) -> bool:
    if not (data / entry.spec.name).is_dir():
        return False
    try:
        source_fingerprint(entry, role, data=data)
    except UserError:
        return False
    return True


def _whole(
    script: Path,
    benchmark: str,
    peer: str,
    settings: Settings,
    compare: Callable[[Path, Settings], Facts],
    out: Path,
    folder: Path | None,
) -> int:
    began = time.perf_counter()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="openflan-benchmark-") as place:
        work = folder or Path(place)
        work.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(settings))
        if folder is not None:
            if (work / _KEPT).is_file() and (work / _KEPT).read_text(encoding="utf-8") != text:
                raise UserError("work of other settings", where=str(work), how="name another --work")
            (work / _KEPT).write_text(text, encoding="utf-8")
        (work / "settings.json").write_text(text, encoding="utf-8")
        facts = compare(work, settings)
    line = {"benchmark": benchmark, **facts.pop("line")}
    recorded = asdict(settings) | {
        "model": Path(settings.model).name,
        "data": None if settings.data is None else Path(settings.data).name,
    }
    record = {
        **line,
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "seconds": round(time.perf_counter() - began, 1),
        "versions": _versions(peer),
        "machine": {**_machine(), "load_before": round(load, 2), "load_after": round(os.getloadavg()[0], 2)},
        "settings": recorded,
        **facts,
    }
    out.mkdir(parents=True, exist_ok=True)
    kind = ("" if settings.optimizer == "adamw" else f"-{settings.optimizer}") + ("-quick" if settings.quick else "")
    path = out / f"{datetime.now(UTC):%Y-%m-%d}-{benchmark}{kind}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    say(f"written: {path}")
    print(json.dumps(line), flush=True)
    return 0


def _need(peer: str) -> None:
    try:
        version(peer)
    except PackageNotFoundError:
        raise UserError(f"{peer} is not installed", how='pip install "openflan[bench]"') from None


def _versions(peer: str) -> dict[str, str]:
    names = {name: version(name) for name in (*_LIBRARIES, peer)}
    return {"openflan": openflan.__version__, "python": platform.python_version(), **names}


def _machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = described.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": platform.system(), "processor": model, "cores": os.cpu_count(), "usable_cores": usable}


def _gpu() -> Any:
    """torch's view of the GPU, where this process works on one."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


def _memory(name: str) -> float:
    """Resident memory of this process in MB: `VmRSS` now, `VmHWM` at its peak."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _listed(values: Facts) -> Facts:
    return values | {"tasks": tuple(values["tasks"])}
