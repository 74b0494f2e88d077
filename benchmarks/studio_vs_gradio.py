"""What the studio's libraries cost beside Gradio's: start, memory, size, calls out, and what axe-core finds.

    python3 -m venv peer && peer/bin/pip install "gradio>=6,<7"
    python benchmarks/studio_vs_gradio.py --gradio peer/bin/python

Turn about, each in a process of its own: `openflan studio` on an empty folder, and a bare `gradio.Blocks` (a list, a
text, a button, a table) with nothing set but the port. A turn is from the start of the process to the whole of the
first page; processor seconds are told beside wall seconds, for they say the same on a busy machine. Then Chromium opens
either page once: bytes, requests, hosts that are not this machine, and findings. Names that either process looks up are
written down by a hook in `socket`. Size is that of the distributions that openflan's core does not bring already.

Invariant: sides differ in the program alone, and Gradio runs as it is installed. Rejected: a studio written twice,
which would tell what its pages cost, and take a month.
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from verdict_time import RESULTS, ROOT

_CHROMIUM = "/usr/bin/chromium"
_LONGEST = 60.0
"""Seconds for a page to come."""

_PEER = """
import sys, gradio
with gradio.Blocks() as page:
    task = gradio.Dropdown(["rte", "cb"], label="Task")
    text = gradio.Textbox(label="Input")
    table = gradio.Dataframe([["a", "b"]], headers=["premise", "hypothesis"], label="Rows")
    gradio.Button("Show").click(lambda text: [[text, text]], text, table)
page.launch(server_port=int(sys.argv[1]), quiet=True, inbrowser=False)
"""

_HOOK = """
import os, socket
_getaddrinfo = socket.getaddrinfo
def _noted(host, *args, **more):
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name not in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "None", "::"):
        with open(os.environ["LOOKED_UP"], "a") as file:
            file.write(name + chr(10))
    return _getaddrinfo(host, *args, **more)
socket.getaddrinfo = _noted
"""
"""As `sitecustomize`: writes down every name that is looked up, before it is."""

_SIZE = """
import json, sys
from importlib.metadata import PackageNotFoundError, distribution
from packaging.requirements import Requirement
def closure(wanted):
    seen, todo = {}, [Requirement(one) for one in wanted]
    done = set()
    while todo:
        one = todo.pop()
        name = one.name.lower().replace("_", "-").replace(".", "-")
        extras = tuple(sorted(one.extras)) or ("",)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            found = distribution(one.name)
        except PackageNotFoundError:
            continue
        seen[name] = found
        for line in found.requires or ():
            more = Requirement(line)
            if more.marker is None or any(more.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(more)
    return seen
def size(found):
    places = {path.locate() for path in found.files or ()}
    return sum(place.stat().st_size for place in places if place.suffix != ".pyc" and place.is_file())
asked = json.loads(sys.argv[1])
found = closure(asked["wanted"])
there = set(asked["there"]) if asked["there"] is not None else set(closure(asked["core"]))
more = {name: (one.version, size(one)) for name, one in found.items() if name not in there}
print(json.dumps({"core": sorted(closure(asked["core"])) if asked["core"] else [], "more": more}))
"""


def _core() -> tuple[list[str], list[str]]:
    """What openflan requires, and what its studio requires besides."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["dependencies"], project["optional-dependencies"]["studio"]


def _sizes(gradio: str) -> dict[str, Any]:
    """Distributions that either side adds to openflan's core, and their megabytes."""

    def ask(python: str, **request: Any) -> dict[str, Any]:
        result = subprocess.run([python, "-c", _SIZE, json.dumps(request)], capture_output=True, text=True, check=True)
        facts: dict[str, Any] = json.loads(result.stdout)
        return facts

    core, studio = _core()
    ours = ask(sys.executable, wanted=studio, core=core, there=None)
    peer = ask(gradio, wanted=["gradio"], core=[], there=ours["core"])
    return {
        name: {
            "distributions": len(side["more"]),
            "megabytes": round(sum(size for _, size in side["more"].values()) / 1e6, 1),
            "largest": {
                key: round(size / 1e6, 1)
                for key, (_, size) in sorted(side["more"].items(), key=lambda one: -one[1][1])[:5]
            },
        }
        for name, side in (("ours", ours), ("gradio", peer))
    }


@contextmanager
def _served(words: list[str], work: Path) -> Iterator[tuple[str, float, subprocess.Popen[bytes], Path]]:
    """A side that has answered its first page: address, seconds, process, names that it looked up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hook = work / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(_HOOK, encoding="utf-8")
    names = work / "names"
    names.unlink(missing_ok=True)
    environ = {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONDONTWRITEBYTECODE", "HF_HUB_OFFLINE", "GRADIO_ANALYTICS_ENABLED")
    }
    env = {**environ, "PYTHONPATH": f"{hook}{os.pathsep}{ROOT / 'src'}", "LOOKED_UP": str(names)}
    address = f"http://127.0.0.1:{port}/"
    log = work / "log"
    with log.open("wb") as stream:
        began = time.perf_counter()
        process = subprocess.Popen(
            [word.replace("PORT", str(port)) for word in words], cwd=work, env=env, stdout=stream, stderr=stream
        )
        try:
            while True:
                try:
                    with urllib.request.urlopen(address, timeout=_LONGEST) as answer:
                        answer.read()
                    break
                except OSError:
                    if process.poll() is not None or time.perf_counter() - began > _LONGEST:
                        sys.exit(f"no page came: {log.read_text(encoding='utf-8')[-2_000:]}")
                    time.sleep(0.01)
            yield address, time.perf_counter() - began, process, names
        finally:
            process.terminate()
            process.wait(timeout=20)


def _used(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Processor seconds and megabytes of a process so far."""
    place = Path("/proc") / str(process.pid)
    fields = (place / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    resident = re.search(r"VmRSS:\s+(\d+)", (place / "status").read_text(encoding="utf-8"))
    assert resident is not None
    return ticks / os.sysconf("SC_CLK_TCK"), int(resident[1]) / 1e3


def _turn(words: list[str], work: Path) -> dict[str, float]:
    with _served(words, work) as (_, seconds, process, _names):
        processor, resident = _used(process)
    return {"seconds": round(seconds, 2), "processor_seconds": round(processor, 2), "megabytes": round(resident, 1)}


def _looked_at(words: list[str], work: Path, *, shown: str) -> dict[str, Any]:
    """The first page in a browser, and the names that the process asked for until ten seconds later."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    with _served(words, work) as (address, _, _process, names), sync_playwright() as player:
        browser = player.chromium.launch(executable_path=_CHROMIUM)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        urls: list[str] = []
        sizes: list[int] = []
        page.on("request", lambda request: urls.append(request.url))
        page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
        page.goto(address, wait_until="load")
        page.locator(shown).first.wait_for(timeout=1_000 * _LONGEST)
        page.wait_for_timeout(3_000)
        violations = Axe().run(page).response["violations"]
        page.wait_for_timeout(7_000)
        browser.close()
        looked_up = names.read_text(encoding="utf-8").split() if names.exists() else []
    hosts = Counter(urlsplit(url).hostname for url in urls if urlsplit(url).scheme in ("http", "https"))
    return {
        "requests": sum(hosts.values()),
        "kilobytes": round(sum(sizes) / 1e3),
        "other_hosts_asked_by_the_page": sorted(str(host) for host in hosts if host != "127.0.0.1"),
        "names_looked_up_by_the_process": sorted(set(looked_up)),
        "axe": [
            {"rule": one["id"], "impact": one["impact"], "places": len(one["nodes"])}
            for one in sorted(violations, key=lambda one: str(one["impact"]))
        ],
    }


def main() -> int:
    """Take turns, look once, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gradio", required=True, help="Python of an environment with Gradio 6")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    gradio = str(Path(arguments.gradio).absolute())
    version = "import importlib.metadata as m; print(m.version('gradio'))"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "mine").mkdir()
        sides = {
            "ours": [sys.executable, "-m", "openflan", "studio", "--folder", "mine", "--port", "PORT"],
            "gradio": [gradio, "-c", _PEER, "PORT"],
        }
        turns: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for number in range(arguments.turns + 1):
            for name, words in sides.items():
                times = _turn(words, work)
                if number:  # in the first one bytecode is written
                    turns[name].append(times)
                sys.stderr.write(f"{name}: {times}\n")
        pages = {
            "ours": _looked_at(sides["ours"], work, shown="main h1"),
            "gradio": _looked_at(sides["gradio"], work, shown="button"),
        }
    record = {
        "gradio": subprocess.run([gradio, "-c", version], capture_output=True, text=True, check=True).stdout.strip(),
        "median": {
            name: {what: statistics.median(one[what] for one in times) for what in times[0]}
            for name, times in turns.items()
        },
        "added_to_the_core": _sizes(gradio),
        "first_page": pages,
        "turns": turns,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
    }
    path = arguments.out / f"{datetime.now(UTC):%Y-%m-%d}-studio-vs-gradio.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({key: record[key] for key in ("median", "added_to_the_core", "first_page")}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
