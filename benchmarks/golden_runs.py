"""The same recipes through two versions of openflan: what must be equal byte for byte, and what differs.

    python benchmarks/golden_runs.py --against 848ef03 --data DIR --model DIR

Three pieces of work, each with little of everything: the starter recipe (one seed, 20 steps), `real-small` on real rows
with a real small model (20 steps), and one cell of the study of instructions. The version before runs from a second
checkout, which the script makes and removes. Compared: token stores and weights by hash of their files, answers column
by column, and every number of `results.json` that both have.

Invariant: both sides see the same files, one thread, and the same libraries. Cost: about 4 minutes on one core.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
LITTLE = ["training.steps=20", "evaluation.rows=40"]
TIMES = (
    "seconds",
    "peak_memory",
    "machine",
    "versions",
    "cost",
    "key",
    "created",
    "folder",
    "fingerprint",
    "schema_version",
)


def commands(data: str, model: str, out: Path) -> list[list[str]]:
    """The work, as a user would type it."""
    settings = [word for setting in LITTLE for word in ("--set", setting)]
    real = ["mixture.rows_per_task=300", f"model.path={model}", "seeds=[0]"]
    cell = ["axes.tuned-with=[none]", "axes.asked-with=[instruction]", "seeds=[21]"]
    return [
        ["run", "recipes/starter.yaml", "--set", "seeds=[0]", *settings, "--out", f"{out}/starter"],
        ["run", "recipes/real-small.yaml", "--data", data, *settings, *_set(real), "--out", f"{out}/real"],
        ["study", "instructions", *settings, *_set(cell), "--runs", f"{out}/study"],
    ]


def _set(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def make(checkout: Path, data: str, model: str, out: Path) -> None:
    """Run everything from a checkout."""
    threads = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment = {**os.environ, **threads, "PYTHONPATH": str(checkout / "src")}
    for command in commands(data, model, out):
        print(" ".join(["openflan", *command[:2]]), file=sys.stderr)
        subprocess.run(
            [sys.executable, "-m", "openflan", *command, "--quiet"], cwd=checkout, env=environment, check=True
        )


def by_place(root: Path) -> Iterator[tuple[str, Path]]:
    """Files of all runs by work, kind of run and path in it; a run's folder has its hash in its name."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not any(part.startswith(".") for part in parts) and len(parts) > 2:
            name = re.sub(r"-[0-9a-f]{12}(?=\.arrow$)", "", parts[-1])  # a piece's key
            yield "/".join([parts[0], parts[1].rpartition("-")[0], *parts[2:-1], name]), path


def numbers_of(value: Any, path: str = "") -> Iterator[tuple[str, float | str]]:
    """Every leaf of a JSON value by path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not any(word in key for word in TIMES):
                yield from numbers_of(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from numbers_of(inner, f"{path}[{place}]")
    elif isinstance(value, int | float):
        yield path, value


def compare(before: Path, after: Path) -> dict[str, Any]:
    """What is equal, what differs, and what only one side has."""
    old, new = dict(by_place(before)), dict(by_place(after))
    equal = {"files": 0, "columns": 0, "numbers": 0}
    different: list[str] = []
    only_one: list[str] = []
    for place in sorted(old.keys() | new.keys()):
        kind = _kind(place)
        if kind is None:
            continue
        if place not in old or place not in new:
            only_one.append(place)
            continue
        first, second = _parts(old[place], kind), _parts(new[place], kind)
        only_one += [f"{place}: {part}" for part in sorted(first.keys() ^ second.keys())]
        both = sorted(first.keys() & second.keys())
        unlike = [part for part in both if first[part] != second[part]]
        different += [f"{place}: {part}" for part in unlike]
        equal[kind] += len(both) - len(unlike)
    return {"equal": equal, "different": different, "only_one": only_one}


def _kind(place: str) -> str | None:
    """What is compared of a file; None for records, whose keys, versions and layout may change."""
    if place.endswith(".parquet"):
        return "columns"
    if place.endswith("/results.json"):
        return "numbers"
    return "files" if place.endswith((".arrow", ".safetensors", ".npy", ".bin")) else None


def _parts(path: Path, kind: str) -> dict[str, Any]:
    """A file as named parts, to be compared one by one."""
    if kind == "columns":
        table = pq.read_table(path)
        return {column: table[column].to_pylist() for column in table.column_names}
    if kind == "numbers":
        return dict(numbers_of(json.loads(path.read_text(encoding="utf-8"))))
    return {"content": _hash(path)}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Run both sides and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", default="848ef03", help="the commit before")
    parser.add_argument("--data", required=True, help="folder of <task>/<split>.jsonl.gz")
    parser.add_argument("--model", required=True, help="folder of a small model")
    parser.add_argument("--before", type=Path, help="folder of runs that the commit before made already")
    parser.add_argument("--after", type=Path, help="folder of runs that this tree made already")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    data, model = str(Path(arguments.data).resolve()), str(Path(arguments.model).resolve())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        before = arguments.before or work / "before"
        if arguments.before is None:
            checkout = work / "checkout"
            subprocess.run(["git", "worktree", "add", "-q", str(checkout), arguments.against], cwd=ROOT, check=True)
            try:
                make(checkout, data, model, before)
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", str(checkout)], cwd=ROOT, check=True)
        after = arguments.after or work / "after"
        if arguments.after is None:
            make(ROOT, data, model, after)
        record = {"against": arguments.against, **compare(before, after)}
    day = datetime.now(UTC).date().isoformat()
    (arguments.out / f"{day}-golden-runs.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
    sys.exit(1 if record["different"] or record["only_one"] else 0)


if __name__ == "__main__":
    main()
