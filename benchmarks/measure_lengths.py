"""Known prompt lengths, for `openflan plan` to estimate from: writes src/openflan/mixture/lengths.json.

For each task of the catalog the lengths in UTF-8 bytes of the inputs and targets that its first draws make (every
template that fits, as in a mixture), as quantiles and mean, and how many bytes a token of the reference tokenizer
takes in them. Where real rows are not at hand, in this order: rows of a dataset that reads alike (STAND_INS), or the
task's twin with its texts stretched to published mean lengths (STRETCHED); texts that the rows at hand hold only the
start of are stretched in the same way. Each task's `from` and `note` say which it was.

The reference tokenizer is cl100k_base, whose vocabulary and splitting OLMo 2's tokenizer takes over.

    pip install bpe-openai
    python benchmarks/measure_lengths.py --data DIR        DIR holds <task>/<split>.jsonl.gz of real rows
"""

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

import openflan
from openflan.mixture.order import TaskOrder
from openflan.prompts.examples import ExampleMaker
from openflan.recipes.parts import PromptsPart
from openflan.tasks.catalog import Entry, open_catalog
from openflan.tasks.sources import SourceRow, load_rows, load_twin

OUT = Path(openflan.__file__).parent / "mixture" / "lengths.json"
PROMPTS = 2_000
STRETCHED_ROWS = 240
GRID = (0, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999,
        1)  # fmt: skip

# Task without rows of its own -> folder whose rows have the same columns and read alike.
STAND_INS = {
    "anli_r1": "anli_r3",
    "anli_r2": "anli_r3",
    "mnli_mismatched": "mnli_matched",
    "squad_v2": "squad_v1",
    "para_crawl_enes": "flores_es_en",
    "wmt14_enfr": "flores_fr_en",
    "wmt16_translate_csen": "flores_cs_en",
    "wmt16_translate_deen": "flores_de_en",
    "wmt16_translate_fien": "flores_fi_en",
    "wmt16_translate_roen": "flores_ro_en",
    "wmt16_translate_ruen": "flores_ru_en",
    "wmt16_translate_tren": "flores_tr_en",
    "fix_punct": "flores_es_en",
    "true_case": "flores_es_en",
    "word_segment": "flores_es_en",
}

# Texts whose length is set: field -> mean bytes and the spread of the logarithm. Means are the datasets' papers'
# words (tokens) times their bytes a word; spreads are guesses from alike datasets.
STRETCHED: dict[str, tuple[dict[str, tuple[float, float]], str]] = {
    "cnn_dailymail": (
        {"article": (4_030, 0.5)},
        "the rows at hand are cut at about 2,000 characters; articles have 781 words on average (See et al. 2017)",
    ),
    "multi_news": (
        {"document": (11_000, 0.85), "main_article": (3_900, 0.7)},
        "articles at hand are cut at about 2,000 characters; 2,103 words in 2.8 of them on average (Fabbri 2019)",
    ),
    "newsroom": ({"text": (3_950, 0.75), "summary": (160, 0.6)}, "659 and 27 words on average (Grusky et al. 2018)"),
    "wiki_lingua_english_en": ({"source": (2_100, 0.7), "target": (215, 0.6)}, "391 and 39 (Ladhak et al. 2020)"),
    "samsum": ({"dialogue": (500, 0.75), "summary": (110, 0.55)}, "94 and 20 words (Gliwa et al. 2019)"),
    "quac": (
        {"context": (2_350, 0.4), "question": (35, 0.4), "answer": (85, 0.6)},
        "sections of 397 words, questions of 6.5, answers of 15 (Choi et al. 2018)",
    ),
    "piqa": ({"goal": (40, 0.5), "sol1": (110, 0.8), "sol2": (110, 0.8)}, "solutions of 21 words (Bisk et al. 2020)"),
    "qnli": ({"question": (60, 0.4), "sentence": (170, 0.5)}, "questions and sentences of SQuAD"),
    "trec": ({"text": (50, 0.4)}, "questions of ten words"),
    "e2e_nlg": ({}, "twin"),
    "story_cloze": ({}, "twin: sentences of nine words as in the original"),
    "definite_pronoun_resolution": ({"sentence": (80, 0.35)}, "sentences of 15 words"),
    "opinion_abstracts_rotten_tomatoes": ({}, "ten reviews of 21 words (Wang and Ling 2016)"),
    "opinion_abstracts_idebate": ({}, "seven arguments of 23 words (Wang and Ling 2016)"),
}
_LISTS = {  # field -> entries, mean bytes of one
    "opinion_abstracts_rotten_tomatoes": (10, 125),
    "opinion_abstracts_idebate": (7, 130),
}


def lengths_of(rank: np.ndarray, mean: float, spread: float) -> np.ndarray:
    """Bytes at ranks between 0 and 1 of a log-normal distribution with that mean."""
    middle = math.log(mean) - spread**2 / 2
    return np.exp(middle + spread * np.array([NormalDist().inv_cdf(one) for one in rank]))


def to_length(text: str, size: int) -> str:
    """A text repeated and cut to about a number of bytes, at a space where there is one."""
    text = text.removesuffix("...").strip()
    repeated = " ".join([text] * (size // (len(text.encode()) + 1) + 1))
    cut = repeated.encode()[: max(size, 8)].decode(errors="ignore")
    return cut.rsplit(" ", 1)[0] or cut


def stretched(name: str, rows: Sequence[SourceRow]) -> list[SourceRow]:
    """Rows with the texts of some fields at published lengths."""
    fields, _ = STRETCHED[name]
    copies = [replace(rows[k % len(rows)], index=k) for k in range(max(STRETCHED_ROWS, len(rows)))]
    changed: list[dict[str, Any]] = [dict(row.fields) for row in copies]
    chance = np.random.default_rng(0)
    for field, (mean, spread) in fields.items():
        ranks = chance.permutation((np.arange(len(copies)) + 0.5) / len(copies))
        for row, size in zip(changed, lengths_of(ranks, mean, spread), strict=True):
            row[field] = to_length(row[field], int(size))
    for row in changed:
        if "articles" in row:
            words, parts = row["document"].split(" "), len(row["articles"])
            row["articles"] = [" ".join(words[part::parts]) for part in range(parts)]
    if name in _LISTS:
        entries, mean = _LISTS[name]
        for row in changed:
            for field, value in row.items():
                texts = value if isinstance(value, list) else value.splitlines() if "\n" in str(value) else None
                if texts and all(isinstance(text, str) for text in texts):
                    sizes = lengths_of(chance.uniform(0.02, 0.98, entries), mean, 0.4)
                    longer = [to_length(texts[k % len(texts)], int(size)) for k, size in enumerate(sizes)]
                    row[field] = longer if isinstance(value, list) else "\n".join(longer)
    return [replace(row, fields=fields) for row, fields in zip(copies, changed, strict=True)]


def rows_of(entry: Entry, data: Path) -> tuple[str, str, list[SourceRow]]:
    """Where a task's rows come from, a remark, and the rows."""
    name = entry.spec.name
    place = STAND_INS.get(name, name)
    file = data / place / "train.jsonl.gz"
    if file.is_file():
        whole = entry.spec.model_copy(
            update={
                "splits": {"train": "train"},
                "source": entry.spec.source.model_copy(
                    update={"hub": None, "by_hand": None, "shuffle": None, "files": {"train": str(file.absolute())}}
                ),
            }
        )
        rows = load_rows(replace(entry, spec=whole), "train")
        if name in STRETCHED:
            return "rows", STRETCHED[name][1], stretched(name, rows)
        few = f"of {len(rows)} rows only" if len(rows) < 100 else ""
        return ("rows", few, rows) if place == name else ("stand-in", f"rows of {place}", rows)
    return "twin", STRETCHED[name][1], stretched(name, load_twin(entry))


def curve(texts: Sequence[str], encoding: Any) -> dict[str, Any]:
    sizes = np.array([len(text.encode()) for text in texts])
    tokens = sum(len(encoding.encode(text)) for text in texts)
    return {
        "bytes": [round(float(value)) for value in np.quantile(sizes, GRID)],
        "mean": round(float(sizes.mean()), 1),
        "bytes_per_token": round(float(sizes.sum() / tokens), 3),
    }


def measure(entry: Entry, data: Path, encoding: Any) -> dict[str, Any]:
    origin, note, rows = rows_of(entry, data)
    shown = ExampleMaker(entry, rows, PromptsPart())
    hidden = ExampleMaker(entry, rows, PromptsPart(options="hidden"))
    order = TaskOrder(entry.spec.name, len(rows), seed=0).at(np.arange(PROMPTS))
    draws = list(zip(order.row.tolist(), order.ticket.tolist(), strict=True))
    prompts = [shown.example(row, ticket).prompt for row, ticket in draws]
    bare = [hidden.example(row, ticket).prompt for row, ticket in draws]
    saved = sum(len(one.input.encode()) - len(other.input.encode()) for one, other in zip(prompts, bare, strict=True))
    return {
        "from": origin,
        **({"note": note} if note else {}),
        "rows": len(rows),
        "options_bytes": round(saved / len(prompts), 1),
        "input": curve([prompt.input for prompt in prompts], encoding),
        "target": curve([prompt.target for prompt in prompts], encoding),
    }


def written(record: dict[str, Any], tasks: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """JSON with a line a task."""
    lines = [f" {json.dumps(name)}: {json.dumps(task, ensure_ascii=False)}" for name, task in tasks]
    head = "".join(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in record.items())
    return "{\n" + head + '"tasks": {\n' + ",\n".join(lines) + "\n}\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with <task>/<split>.jsonl.gz")
    parser.add_argument("--out", type=Path, default=OUT)
    wanted = parser.parse_args()
    try:
        from bpe_openai import get_encoding
    except ImportError:
        parser.exit(2, "measure_lengths: the reference tokenizer is not installed; pip install bpe-openai\n")
    encoding = get_encoding("cl100k_base")
    entries = open_catalog(collections=["catalog"]).entries
    tasks = {}
    for name in sorted(entries):
        if entries[name].spec.evaluation_only:
            continue
        tasks[name] = measure(entries[name], wanted.data, encoding)
        print(name, tasks[name]["from"], tasks[name]["input"]["mean"], tasks[name]["target"]["mean"], flush=True)
    record = {
        "what": "Lengths of prompts in UTF-8 bytes, by task of the catalog; made by benchmarks/measure_lengths.py",
        "tokenizer": "cl100k_base",
        "prompts": PROMPTS,
        "grid": GRID,
    }
    wanted.out.write_text(written(record, tasks.items()), encoding="utf-8")


if __name__ == "__main__":
    main()
