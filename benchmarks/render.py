"""How fast prompts are rendered and the command line answers, beside plain Jinja2 doing the same work.

Ours checks labels, builds the OPTIONS block and runs the template in the sandbox; the peer is Jinja2 itself, without a
sandbox, given the finished answer and block. Both render every template of sst2 on the same rows, turn about, in one
process; the commands run in processes of their own. `ratio` is our prompts a second over the goal of 25,000.

    python benchmarks/render.py [--quick] [--data DIR]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import jinja2

import openflan
from openflan.prompts.options import options_block
from openflan.prompts.render import TaskRenderer
from openflan.tasks.catalog import open_catalog
from openflan.tasks.local import find_data
from openflan.tasks.sources import SourceRow, load_rows, load_twin

GOAL = 25_000
RESULTS = Path(__file__).parent / "results"


def ours(renderer: TaskRenderer, rows: list[SourceRow]) -> int:
    return sum(len([renderer.render(row, number) for row in rows]) for number in range(len(renderer.spec.templates)))


def peers(templates: list[tuple[jinja2.Template, jinja2.Template]], rows: list[dict[str, object]]) -> int:
    return sum(len([(one.render(row), two.render(row)) for row in rows]) for one, two in templates)


def command(*words: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "openflan", *words], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows and turns")
    parser.add_argument("--data", help="folder with sst2/train.jsonl.gz; the twin, repeated, where left out")
    wanted = parser.parse_args()
    entry = open_catalog(collections=["catalog"]).entries["sst2"]
    data = find_data(wanted.data)
    rows = load_twin(entry) * 100 if data is None else load_rows(entry, "train", data=data)
    rows = rows[: 500 if wanted.quick else 2_000]
    renderer = TaskRenderer(entry)
    plain = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    templates = [(plain.from_string(t.input), plain.from_string(t.target)) for t in entry.spec.templates]
    answers = [renderer.answer(row) for row in rows]
    ready = [
        {**row.fields, "answer": answer.text, "options": options_block(answer.options)}
        for row, answer in zip(rows, answers, strict=True)
    ]
    count = ours(renderer, rows[:50]) and peers(templates, ready[:50])
    turns: dict[str, list[float]] = {"ours": [], "jinja2": []}
    for _ in range(3 if wanted.quick else 9):
        for name, work in (("ours", lambda: ours(renderer, rows)), ("jinja2", lambda: peers(templates, ready))):
            started = time.perf_counter()
            count = work()
            turns[name].append(count / (time.perf_counter() - started))
    times = {
        words: statistics.median(command(*words.split()) for _ in range(3 if wanted.quick else 7))
        for words in ("--help", "tasks list", "tasks show rte")
    }
    speed = statistics.median(turns["ours"])
    record = {
        "what": "prompts a second on sst2 rows, one process; seconds of whole commands",
        "openflan": openflan.__version__,
        "jinja2": jinja2.__version__,
        "python": sys.version.split()[0],
        "rows": len(rows),
        "prompts_per_second": {name: round(statistics.median(values)) for name, values in turns.items()},
        "goal_prompts_per_second": GOAL,
        "command_seconds": {words: round(seconds, 3) for words, seconds in times.items()},
        "ratio": round(speed / GOAL, 2),
    }
    RESULTS.mkdir(exist_ok=True)
    name = f"{datetime.now(UTC):%Y-%m-%d}-render{'-quick' if wanted.quick else ''}.json"
    (RESULTS / name).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
