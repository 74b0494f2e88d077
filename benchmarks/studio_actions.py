"""Five hundred actions in the studio: how long each takes, and whether the server's memory stays flat.

    python benchmarks/studio_actions.py --runs RUNS --out benchmarks/results/DATE-studio-actions.json [--data DIR]
    python benchmarks/studio_actions.py --runs RUNS --out benchmarks/results/DATE-studio-hour.json --minutes 60

RUNS holds a run that is done (`make run` leaves one). The studio is started as a user starts it, in a process of its
own, on a folder with a task of 345,000 rows, which is made here; this one asks for pages as a browser does, one after
the other: tasks and their filters, rows anywhere in the large split and in one that is packed, a row under every
template and its tokens, a hold-out, a template tried, a mixture changed, runs, figures, answers of every kind, a
comparison, and questions to both models, each of which is waited for. Rounds of 21 differ by row, page and settings.

Told are the seconds from the command to the first whole page; for each kind of action the first, the median, the 95th
percentile and the slowest; and the server's resident memory after each tenth action, with its rise over the last four
fifths. With `--minutes` it is somebody who clicks for so long, with a pause after each action: the rounds go on until
the time is over, and memory is told a minute, with the processor seconds that the server took.

Invariant: an answer that is not a page of the studio ends the script. Rejected: a browser, whose own work would be
timed; it is what tests/studio/browser looks at.
"""

import argparse
import gzip
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime
from itertools import chain, count, islice
from pathlib import Path
from urllib.parse import urlencode

import psutil

import openflan
from openflan.machine import machine_facts, version_facts

ACTIONS, ROWS, LARGE, PACKED = 500, 345_000, "large_remarks", "packed_remarks"
SHOWS = ("wrong", "unsure", "disagree", "lost", "gained", "all")
FIGURES = ("scores", "loss", "task_loss")
Action = tuple[str, str, dict[str, object] | None]
GOALS = {"first_page": 3.0, "task_page": 0.5}
"""Seconds."""


class Client:
    """One browser's connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def send(self, path: str, form: dict[str, object] | None = None) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers of an answer."""
        headers = {"Origin": f"http://127.0.0.1:{self._port}"}
        if form is None:
            self._connection.request("GET", path, headers=headers)
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            self._connection.request("POST", path, urlencode(form), headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())

    def page(self, path: str, form: dict[str, object] | None = None) -> str:
        """A page; what it leads to is followed, and a reply is waited for."""
        status, text, headers = self.send(path, form)
        if status == 303:
            path = headers["location"]
            status, text, _ = self.send(path)
        if status != 200:
            raise SystemExit(f"{path} answered {status}: {text.partition('<main')[2][:400]}")
        if 'hx-trigger="every 600ms"' in text:
            time.sleep(0.05)
            return self.page(path)
        return text


def write_large(folder: Path) -> None:
    """Two tasks of many rows in the user's folder, one of them packed."""
    with (folder / "large.jsonl").open("w", encoding="utf-8") as file:
        for number in range(ROWS):
            text = f"Remark {number} of a long list, which says that the soup was {'warm' if number % 3 else 'cold'}."
            file.write(json.dumps({"text": text, "label": "good" if number % 3 else "bad"}) + "\n")
    with (folder / "large.jsonl").open("rb") as plain, gzip.open(folder / "packed.jsonl.gz", "wb", 6) as packed:
        shutil.copyfileobj(plain, packed)
    task = {
        "name": LARGE,
        "cluster": "sentiment",
        "fields": ["text", "label"],
        "source": {"files": {"train": "large.jsonl"}},
        "splits": {"train": "train"},
        "answer": {"field": "label", "options": ["bad", "good"]},
        "metrics": ["accuracy"],
        "templates": [
            {"input": "{{text}}\n\nIs this good or bad?\n{{options}}", "target": "{{answer}}"},
            {"input": "Good or bad: {{text}}\n{{options}}", "target": "{{answer}}"},
        ],
    }
    (folder / f"{LARGE}.yaml").write_text(json.dumps(task), encoding="utf-8")
    packed_task = {**task, "name": PACKED, "source": {"files": {"train": "packed.jsonl.gz"}}}
    (folder / f"{PACKED}.yaml").write_text(json.dumps(packed_task), encoding="utf-8")


def actions_of(run: str, turn: int) -> list[Action]:
    """The actions of one round: kind, address and form of each."""
    clusters = list(openflan.Tasks().clusters)
    starts = [(1_000 * turn + place) * 7_919 % (ROWS - 50) for place in range(5)]
    large, answers = f"/tasks/{LARGE}", f"/runs/{run}/answers?model=seed-0&start={20 * turn}"
    shows = [SHOWS[(3 * turn + place) % len(SHOWS)] for place in range(3)]
    words = f"{{{{premise}}}} In short, for the {turn}th time: {{{{hypothesis}}}} {{{{options}}}}"
    trial = {"task": "rte", "template": 1, "split": "train", "row": turn % 8, "input": words, "target": "{{answer}}"}
    sides = urlencode({"a": f"{run}/evaluation/untuned", "b": run, "now": 1})
    form = {"run": run, "sent": 1, "listed": 1}
    return [
        ("tasks", "/", None),
        ("tasks", f"/?cluster={clusters[turn % len(clusters)]}", None),
        ("task and rows", f"{large}?split=train&start={starts[0]}", None),
        ("task and rows", f"{large}?split=train&start={starts[1]}", None),
        ("packed rows", f"/tasks/{PACKED}?split=train&start={starts[1]}", None),
        ("row", f"{large}/row?row={starts[2]}&template={turn % 2}", None),
        ("row", f"{large}/row?row={starts[3]}&template={turn % 2}&markers=random", None),
        ("tokens", f"{large}/tokens?row={starts[4]}&template={turn % 2}", None),
        ("hold-out", f"/hold-out?cluster={clusters[turn % len(clusters)]}", None),
        ("template", f"/template?task=rte&template={turn % 4 + 1}&row={turn % 8}", None),
        ("template tried", "/template/try", trial),
        ("mixture", f"/mixture?recipe=flan&maximum={1000 + 10 * turn}", None),
        ("runs", "/runs", None),
        ("run", f"/runs/{run}", None),
        ("figure", f"/runs/{run}/figure/{FIGURES[turn % len(FIGURES)]}", None),
        *(("answers", f"{answers}&show={show}", None) for show in shows),
        ("comparison", f"/compare?{sides}", None),
        ("question", "/ask", {**form, "instruction": f"Is {turn} large?", "options": "yes\nno"}),
        ("question", "/ask", {**form, "instruction": f"Name {turn} things.", "most_tokens": 8}),
    ]


def begin(arguments: argparse.Namespace, folder: Path) -> tuple[subprocess.Popen[str], Client, float]:
    """A studio, a connection to it, and the seconds until its first page was whole."""
    command = [sys.executable, "-m", "openflan", "studio", "--runs", str(arguments.runs), "--folder", str(folder)]
    command += ["--port", str(arguments.port), *(["--data", str(arguments.data)] if arguments.data else [])]
    began = time.perf_counter()
    studio = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "HF_HUB_OFFLINE": "1"}, text=True)
    while studio.poll() is None:
        try:
            client = Client(arguments.port)
            client.page("/")
            return studio, client, time.perf_counter() - began
        except ConnectionError:
            time.sleep(0.02)
        except SystemExit:
            studio.terminate()
            raise
    raise SystemExit("the studio did not start; is the port in use?")


def rise(settled: list[float], *, minutes: bool) -> dict[str, float]:
    """Megabytes that memory grows by, from a line through what was told."""
    slope = statistics.linear_regression(range(len(settled)), settled).slope
    return {"per_hour": round(60 * slope, 2)} if minutes else {"per_hundred_actions": round(10 * slope, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--actions", type=int, default=ACTIONS)
    parser.add_argument("--minutes", type=float, help="go on for so long, whatever --actions says")
    parser.add_argument("--pause", type=float, default=1.5, help="seconds after each action, with --minutes")
    parser.add_argument("--port", type=int, default=7897)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
    run = next(one.name for one in openflan.list_runs(arguments.runs) if one.state == "done" and one.sentence)
    seconds: dict[str, list[float]] = defaultdict(list)
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        write_large(Path(folder))
        studio, client, first = begin(arguments, Path(folder))
        try:
            server = psutil.Process(studio.pid)
            turns = chain.from_iterable(actions_of(run, turn) for turn in count())
            start, number = time.perf_counter(), 0
            for kind, path, form in turns if arguments.minutes else islice(turns, arguments.actions):
                began = time.perf_counter()
                client.page(path, form)
                seconds[kind].append(time.perf_counter() - began)
                number += 1
                if arguments.minutes:
                    time.sleep(arguments.pause)
                    over = (time.perf_counter() - start) / 60
                    if over > len(memory):
                        memory.append(round(server.memory_info().rss / 1e6, 1))
                    if over >= arguments.minutes:
                        break
                elif number % 10 == 0:
                    memory.append(round(server.memory_info().rss / 1e6, 1))
            spent = server.cpu_times()
        finally:
            studio.terminate()
            studio.wait(timeout=20)
    settled = memory[len(memory) // 5 :]
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine_facts(),
        "versions": version_facts(),
        "actions": number,
        **({"minutes": arguments.minutes, "pause_seconds": arguments.pause} if arguments.minutes else {}),
        "processor_seconds_of_the_server": round(spent.user + spent.system, 1),
        "rows_of_the_large_split": ROWS,
        "first_page_seconds": round(first, 2),
        "seconds": {
            kind: {
                "count": len(own),
                "first": round(own[0], 3),
                "median": round(statistics.median(own), 3),
                "p95": round(sorted(own)[int(0.95 * (len(own) - 1))], 3),
                "slowest": round(max(own), 3),
            }
            for kind, own in seconds.items()
        },
        "memory_mb": memory,
        "memory_is_told": "a minute" if arguments.minutes else "each tenth action",
        "memory_rise_mb": {
            "after_a_fifth": settled[0],
            "end": settled[-1],
            "largest": max(memory),
            **rise(settled, minutes=bool(arguments.minutes)),
        },
        "goals": GOALS,
    }
    text = json.dumps(record, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
