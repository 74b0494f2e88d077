"""How often `openflan init` sees what a plain table is: sixteen datasets, then all others, under drawn disguises.

    python benchmarks/own_tables.py --data DIR --out benchmarks/results/DATE-own-tables.json [--only PART]

DIR holds `<dataset>/<split>.jsonl.gz`. The sixteen are one folder, in several file formats, under other column names,
with columns and rows shuffled, and are read by the command itself, three times. All datasets of the folder are made
tasks one by one under each disguise. A guess that is wrong and was said to be unsure counts as asked.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import openflan
from openflan.own.making import make_task
from openflan.own.tables import find_tables
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import load_rows
from openflan.writing import plain_text
from plain_tables import DATASETS, SIXTEEN, Disguise, Table, write_table

FORMATS = ("csv", "jsonl", "tsv", "parquet", "csv", "xlsx", "json", "csv")
DISGUISES = {
    "other names": Disguise(),
    "neutral names": Disguise(names="neutral", format="jsonl"),
    "neutral names, lists between bars": Disguise(names="neutral", lists="bars"),
    "misleading names": Disguise(names="misleading", lists="repr"),
    "German names": Disguise(names="german", format="tsv"),
    "labels in words": Disguise(names="neutral", labels="words"),
    "files a role": Disguise(names="other", files="roles", labels="words"),
}


def unsure(task: openflan.OwnTask, *about: str) -> bool:
    """Whether one of the things was said to be unsure."""
    return any(guess.about in about for guess in task.unsure)


def judge(table: Table, task: openflan.OwnTask) -> dict[str, Any]:
    """What is right about a task that was made of a table."""
    spec, truth = task.entry.spec, table.truth
    answer = table.columns(truth.answer)
    read = spec.answer.field.split(".")[0]
    asks = [name for name in table.columns(truth.asks) if name != read]
    texts = [template.input for template in spec.templates if not template.inverted]
    leaks = table.columns(("rationale", "reason"))
    everywhere = all(any(form in text for form in named(name)) for text in texts for name in asks)
    options, labels = options_right(table, task)
    return {
        "kind": task.kind in truth.kinds and read in answer,
        "cluster": not truth.clusters or spec.cluster in truth.clusters,
        "columns": everywhere and not any(any(form in t for form in named(n)) for t in texts for n in leaks),
        "options": options,
        "labels": labels,
        "asked": {
            "kind": unsure(task, "kind", "direction"),
            "columns": unsure(task, "kind", "direction", "columns"),
            "options": unsure(task, "kind", "order", "options", "start"),
        },
        "sure": task.confidence,
        "read as": task.kind,
    }


def named(column: str) -> tuple[str, ...]:
    """How a template may name a column."""
    quoted = f"row[{json.dumps(column)}]"
    return ("{{" + column + "}}", "{{" + column + " |", f"({column})", f"row.{column}", quoted, f" in {column} %")


def options_right(table: Table, task: openflan.OwnTask) -> tuple[bool, bool]:
    """Whether the options are the candidates in their order or one a class, and whether words mean the classes."""
    truth, answer = table.truth, task.entry.spec.answer
    candidates = table.columns(truth.candidates)
    if candidates:
        if answer.options_field is not None:
            return answer.options_field.split(".")[0] == candidates[0], True
        shown = list(answer.options or ())
        wanted = [column for column in truth.candidates if column in table.renamed]
        right = [
            any(form in option for form in named(table.renamed[name]))
            for name, option in zip(wanted, shown, strict=False)
        ]
        return len(shown) == len(wanted) and all(right), True
    if not truth.words or not answer.is_classification:
        return True, True
    if len(answer.options or ()) != len(truth.words):
        return False, False
    keys = answer.keys if isinstance(answer.keys, tuple) else answer.options or ()
    names = {str(label): words for label, words in truth.words.items()}
    names |= {words[0]: words for words in truth.words.values()}
    bools = {"False": "0", "True": "1", "0.0": "0", "1.0": "1"}
    words = True
    for key, option in zip(keys, answer.options or (), strict=True):
        synonyms = names.get(str(key), names.get(bools.get(str(key), "")))
        words = words and synonyms is not None and option.lower() in {word.lower() for word in synonyms}
    return True, words


def apart(entry: Entry) -> bool:
    """Whether no text of the columns that are kept apart, and no whole question, stands in two roles."""
    rule = entry.spec.source.apart
    assert rule is not None, "own tables are kept apart"
    seen: dict[str, set[str]] = {}
    for role in entry.spec.splits:
        rows = [row.fields for row in load_rows(entry, role)]
        seen[role] = {plain_text(str(row[name])) for row in rows for name in rule.columns if row.get(name)}
    return all(one.isdisjoint(other) for one, other in itertools.combinations(seen.values(), 2))


def the_sixteen(data: Path, folder: Path) -> dict[str, Any]:
    """The folder of sixteen tables, through the command."""
    tables = {}
    for place, name in enumerate(SIXTEEN):
        files = "roles" if place % 5 == 2 else "one"
        disguise = Disguise(
            format=FORMATS[place % len(FORMATS)], files=files, labels="words" if place % 4 == 0 else "as is"
        )
        table = write_table(data, name, folder, disguise)
        tables[name] = table
    command = [sys.executable, "-m", "openflan", "init", str(folder), "--yes", "--quiet"]
    load = os.getloadavg()[0]
    seconds, processor = [], []
    for _ in range(3):
        for written in ("tasks", "recipe.yaml", "README.md", "holdout.yaml"):
            path = folder / written
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        start, before = time.perf_counter(), _processor_seconds()
        subprocess.run(command, check=True)
        seconds.append(time.perf_counter() - start)
        processor.append(_processor_seconds() - before)
    shutil.rmtree(folder / "tasks")
    result = openflan.init_folder(folder)
    by_table = {task.entry.spec.name.removeprefix("my_"): task for task in result.tasks}
    records = {}
    for name, table in tables.items():
        task = by_table.get(name)
        if task is None:
            records[name] = {"made": False, **dict.fromkeys(("kind", "columns", "options", "labels", "apart"), False)}
            continue
        records[name] = {
            "made": True,
            **judge(table, task),
            "apart": apart(task.entry),
            "format": table.files[0].suffix,
        }
    check = subprocess.run(
        [sys.executable, "-m", "openflan", "tasks", "check", "--folder", str(folder / "tasks"), "--json"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    faulty = {fault["task"] for fault in json.loads(check.stdout)["errors"]}
    clean = sum(task.entry.spec.name not in faulty for task in result.tasks)
    return {
        "seconds": _timing(seconds),
        "processor seconds": _timing(processor),
        "load before": round(load, 1),
        "kind right": total(records, "kind"),
        "question columns in every template": total(records, "columns"),
        "labels or choices right": total(records, "options"),
        "words of labels right": total(records, "labels"),
        "splits without overlap": total(records, "apart"),
        "tasks check clean": clean,
        "wrong and not asked": [n for n, r in records.items() for key in ("kind", "columns", "options")
                                if r["made"] and not r[key] and not r["asked"][key]],
        "tables": records,
    }  # fmt: skip


def _processor_seconds() -> float:
    """Time that the processor worked for the commands so far, whatever else it had to do."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _timing(seconds: list[float]) -> dict[str, Any]:
    return {"median": round(statistics.median(seconds), 2), "all": [round(one, 2) for one in seconds]}


def total(records: dict[str, dict[str, Any]], key: str) -> int:
    return sum(bool(record.get(key)) for record in records.values())


def all_of(label: str, data: Path, folder: Path, rows: int) -> dict[str, Any]:
    """Every dataset under a disguise, made a task by itself."""
    records: dict[str, dict[str, Any]] = {}
    for name in DATASETS:
        place = folder / label.replace(" ", "_") / name
        table = write_table(data, name, place, replace(DISGUISES[label], rows=rows))
        try:
            (files,) = find_tables(place)
            records[name] = {"made": True, **judge(table, make_task(files, out=place / "tasks"))}
        except openflan.UserError as error:
            records[name] = {"made": False, "why": str(error).replace(str(folder), "")}
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for name, record in records.items():
        counts = by_kind[DATASETS[name].kinds[0]]
        counts["tables"] += 1
        for key in ("kind", "columns", "options"):
            counts[key] += bool(record.get(key))
        counts["wrong and not asked"] += not_asked(record)
    return {
        "tables": len(records),
        "made": total(records, "made"),
        **{key: total(records, key) for key in ("kind", "cluster", "columns", "options", "labels")},
        "wrong and not asked": sorted(name for name, record in records.items() if not_asked(record)),
        "wrong": {name: r.get("read as", r.get("why")) for name, r in records.items() if not r.get("kind")},
        "by kind": {kind: dict(counts) for kind, counts in sorted(by_kind.items())},
    }


def not_asked(record: dict[str, Any]) -> bool:
    """Whether something is wrong that was not said to be unsure."""
    return record["made"] and not all(record[key] or record["asked"][key] for key in ("kind", "columns", "options"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Folder with <dataset>/<split>.jsonl.gz")
    parser.add_argument(
        "--out", type=Path, help="JSON file; parts that are measured anew take the place of what it has."
    )
    parser.add_argument("--rows", type=int, default=800, help="Rows of a table under the disguises.")
    parser.add_argument("--only", action="append", choices=["sixteen", *DISGUISES], help="Parts; all by default.")
    arguments = parser.parse_args()
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
    os.environ["HF_HUB_OFFLINE"] = "1"
    parts = arguments.only or ["sixteen", *DISGUISES]
    there = arguments.out is not None and arguments.out.exists()
    record = json.loads(arguments.out.read_text(encoding="utf-8")) if there else {"all datasets by disguise": {}}
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            if part == "sixteen":
                record["sixteen"] = the_sixteen(arguments.data, Path(folder) / "sixteen")
                shown = {key: value for key, value in record["sixteen"].items() if key != "tables"}
            else:
                shown = record["all datasets by disguise"][part] = all_of(
                    part, arguments.data, Path(folder), arguments.rows
                )
            print(part, json.dumps({key: value for key, value in shown.items() if key != "by kind"}), flush=True)
    record = {
        "what": "what `openflan init --yes` reads plain tables as; counts of tables",
        "versions": {"openflan": openflan.__version__, "python": platform.python_version()},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "sixteen": record.get("sixteen"),
        "all datasets by disguise": record["all datasets by disguise"],
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
