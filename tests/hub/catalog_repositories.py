"""The catalog's hub datasets as repositories, laid out as the hub has them, with made-up rows in their schema.

A row is one of the task's twin with a mark in its longest text that names the file it stands in and its place there, so
a test can tell where every row that was loaded came from. Beside what a task reads stands what it must not read: other
configurations, challenge sets, samples, splits without labels.
"""

import copy
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hub_server import Hub, Repository

from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.readers import read_rows

MARK = re.compile(r"zz(\w+?)q(\d+)zz")

BRANCH: dict[str, dict[str, tuple[str, ...]]] = {
    "ParaCrawl/para_crawl": {"enda": ("train",), "enfr": ("train",), "enes": ("partial-train",)},
    "deepmind/math_dataset": {
        "algebra__linear_1d": ("train", "test"),
        "algebra__linear_1d_composed": ("train", "test"),
    },
    "webnlg-challenge/web_nlg": {
        "release_v3.0_en": ("train", "dev", "test"),
        "webnlg_challenge_2017": ("train", "dev", "test"),
    },
    "GEM/e2e_nlg": {
        "default": (
            "train",
            "validation",
            "test",
            "challenge_train_sample",
            "challenge_validation_sample",
            "challenge_test_scramble",
        )
    },
    "GEM/wiki_lingua": {
        "en": ("train", "validation", "test", "sampled_validation", "sampled_test"),
        "cs_en": ("train", "validation", "test"),
    },
    "allenai/quac": {"plain_text": ("train", "validation")},
    "CogComp/trec": {"default": ("train", "test")},
    "allenai/cosmos_qa": {"default": ("train", "validation", "test")},
    "stanfordnlp/sentiment140": {"sentiment140": ("train", "test")},
    "Yale-LILY/dart": {"default": ("train", "validation", "test")},
    "Harvard/gigaword": {"default": ("train", "validation", "test")},
    "alexfabbri/multi_news": {"default": ("train", "validation", "test")},
    "EdinburghNLP/xsum": {"default": ("train", "validation", "test")},
}
"""Repositories whose main branch is a script: configurations and splits on their branch of converted files."""

FLAT = {("GEM/wiki_lingua", "en"): "wiki_lingua-{split}.parquet"}
"""Configurations whose converted files lie side by side."""

CSV = {"knkarthick/samsum"}

OTHER_CONFIGURATIONS = {
    "aps/super_glue": ("axb",),
    "nyu-mll/glue": ("ax",),
    "allenai/ai2_arc": ("ARC-Other",),
    "allenai/openbookqa": ("main",),
    "google-research-datasets/paws": ("labeled_swap",),
    "mandarjoshi/trivia_qa": ("rc",),
    "allenai/winogrande": ("winogrande_xs",),
    "wmt/wmt16": ("other-en",),
    "wmt/wmt14": ("hi-en",),
}

ROWS = {"enda/train": 93_700, "enes/partial-train": 1_800}
"""Rows of files that have other than 460."""


IN = {"record": ("query",)}
"""Where the mark stands, for a task whose longest text no prompt shows whole."""


@cache
def _twins(name: str) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    """A task's twin and where each of its rows is marked."""
    entry = open_catalog(collections=["catalog"]).entries[name]
    rows = list(read_rows(entry.path.with_name(f"{name}.twin.jsonl"), entry.spec.columns))
    return rows, [IN.get(name) or _longest(row) for row in rows]


def row_of(entry: Entry, name: str, number: int) -> dict[str, Any]:
    """A row of the file `configuration/split`, with its mark."""
    twins, places = _twins(entry.spec.name)
    row = copy.deepcopy(twins[number % len(twins)])
    *way, last = places[number % len(twins)]
    inside: Any = row
    for step in way:
        inside = inside[step]
    text = inside[last]
    mark = f" zz{re.sub(r'[^a-z0-9]', '', name.lower())}q{number}zz"
    inside[last] = f"{text[:-3]}{mark}{text[-3:]}" if text.endswith("\\n'") else text + mark
    return row


def twin_size(entry: Entry) -> int:
    """Rows after which a file begins again, but for the marks."""
    return len(_twins(entry.spec.name)[0])


def size_of(name: str) -> int:
    """Rows of a file."""
    return ROWS.get(name, 460)


def rows_of(entry: Entry, name: str) -> list[dict[str, Any]]:
    """All rows of a file."""
    return [row_of(entry, name, number) for number in range(size_of(name))]


def _longest(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """The way to a row's longest text."""

    def texts(value: Any, way: tuple[Any, ...]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        if isinstance(value, str):
            yield len(value), way
        elif isinstance(value, Mapping):
            for name, below in value.items():
                yield from texts(below, (*way, name))
        elif isinstance(value, list):
            for number, below in enumerate(value):
                yield from texts(below, (*way, number))

    return max(texts(row, ()), key=lambda pair: pair[0])[1]


def marks(value: Any) -> set[tuple[str, int]]:
    """Files and places that a loaded row's marks name."""
    return {(name, int(number)) for name, number in MARK.findall(json.dumps(value, ensure_ascii=False).lower())}


def parquet(rows: list[dict[str, Any]], group: int = 1_000) -> bytes:
    """A Parquet file's bytes."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=group)
    return out.getvalue()


def publish(hub: Hub, entry: Entry) -> Repository:
    """The task's repository as the hub has it."""
    source = entry.spec.source
    assert source.hub is not None
    repository = hub.repository(source.hub)
    short = source.hub.partition("/")[2]
    if source.hub in BRANCH:
        repository.commit({f"{short}.py": b"raise SystemExit('never to be run')", "README.md": b"---\n---\n"})
        files = {}
        for configuration, splits in BRANCH[source.hub].items():
            flat = FLAT.get((source.hub, configuration), "{split}/0000.parquet")
            for split in splits:
                files[f"{configuration}/{flat.format(split=split)}"] = _file(
                    _stands_for(entry), f"{configuration}/{split}"
                )
        repository.commits["refs/convert/parquet"] = []
        repository.commit({".gitattributes": b"", **files}, "refs/convert/parquet")
    elif source.hub in CSV:
        repository.commit({f"{split}.csv": _csv(rows_of(entry, f"default/{split}")) for split in entry.spec.size})
    else:
        configurations = (source.config or "plain_text", *OTHER_CONFIGURATIONS.get(source.hub, ()))
        files = {
            f"{configuration}/{split}-00000-of-00001.parquet": _file(entry.spec.name, f"{configuration}/{split}")
            for configuration in configurations
            for split in entry.spec.size
        }
        card = "".join(
            f"- config_name: {configuration}\n  data_files:\n"
            + "".join(f"  - split: {split}\n    path: {configuration}/{split}-*\n" for split in entry.spec.size)
            for configuration in sorted(configurations)
        )
        repository.commit({".gitattributes": b"", "README.md": f"---\nconfigs:\n{card}---\n".encode(), **files})
    return repository


def _stands_for(entry: Entry) -> str:
    """The task by whose twin a repository's rows are made, where several tasks read one file of 90,000 rows."""
    return "fix_punct" if entry.spec.name in ("true_case", "word_segment") else entry.spec.name


@cache
def _file(task: str, name: str) -> bytes:
    return parquet(rows_of(open_catalog(collections=["catalog"]).entries[task], name))


def _csv(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["id", *rows[0]])
    writer.writeheader()
    writer.writerows({**row, "id": f"{13_000_000 + number}"} for number, row in enumerate(rows))
    return out.getvalue().encode()
