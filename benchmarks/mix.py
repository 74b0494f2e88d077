"""How fast a mixture is made, beside TRL's dataset preparation and beside an earlier commit.

On the same rows (public datasets in large files) and tokenizer, on two cores, in processes of their own, turn about:

    speed    files of rows to packed token store, by two processes: this tree, the earlier commit, and TRL from prompt
             and completion rows to packed rows; goals 10 times TRL and 2.5 times the commit
    one      the same by two and by one, and with `tokenizers` alone; goals: two processes 1.7 times one, and one store.
             Beside it the machine's own limit: two that make a whole store each, apart, at once, over one
    memory   peak, of both processes, at two million examples over that at 100 thousand; goal at most 1.2
    leak     the check of a million training rows against 50 thousand held-out rows; goal: no slower than the commit

The earlier commit is checked out beside this tree and runs with this installation: what it depends on is part of what
this tree depends on, in the same versions. Each part adds its turns to the record, so that they can be run one by one.
The last line printed is JSON.

    python benchmarks/mix.py --data DIR --tokenizer DIR [--part speed] [--rounds 1]    DIR holds large/<name>.jsonl.gz
"""

import argparse
import gzip
import hashlib
import json
import multiprocessing
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).absolute().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PARTS = ("speed", "one", "memory", "leak")
VERSIONS = ("openflan", "fastokens", "tokenizers", "trl", "datasets", "numpy")
CAPACITY = 8_192
TASKS: dict[str, dict[str, Any]] = {
    "yelp_sentences": {
        "columns": {"text": "string", "label": {"classes": ["negative", "positive"]}},
        "answer": {"field": "label", "options": ["negative", "positive"]},
        "metrics": ["accuracy"],
        "templates": [
            {"input": "{{text}}\n\nIs this sentence positive or negative?\n\n{{options}}"},
            {"input": "What does the writer feel?\n{{options}}\n\n{{text}}"},
        ],
    },
    "multi30k_train": {
        "columns": {"translation": {"en": "string"}},
        "fields": ["translation"],
        "answer": {"field": "translation.en"},
        "metrics": ["bleu"],
        "templates": [{"input": "{{translation.values() | last}}\n\nSay this in the other language."}],
    },
    "p3_t0_train": {
        "columns": {"inputs_pretokenized": "string", "targets_pretokenized": "string"},
        "answer": {"field": "targets_pretokenized"},
        "metrics": ["rouge"],
        "templates": [{"input": "{{inputs_pretokenized}}"}],
    },
    "aeslc_train": {
        "columns": {"email_body": "string", "subject_line": "string"},
        "answer": {"field": "subject_line"},
        "metrics": ["rouge"],
        "templates": [{"input": "{{email_body}}\n\nGive this message a subject line."}],
    },
}


def entries(data: Path) -> dict[str, Any]:
    """The four large files as tasks."""
    from openflan.tasks.catalog import Entry
    from openflan.tasks.spec import TaskSpec

    by_name = {}
    for name, part in TASKS.items():
        path = (data / "large" / f"{name}.jsonl.gz").absolute()
        spec = {"name": name, "cluster": "misc", "source": {"files": {"train": str(path)}}, **part}
        task = TaskSpec.model_validate_json(json.dumps({**spec, "splits": {"train": "train"}}))
        by_name[name] = Entry(spec=task, path=data / f"{name}.yaml", collection="mine")
    return by_name


def parts_of_recipes() -> tuple[Any, Any]:
    """Recipe and PromptsPart, wherever a commit has them."""
    try:
        from openflan.recipes.parts import PromptsPart
        from openflan.recipes.recipe import Recipe
    except ImportError:
        from openflan.recipe import Recipe
        from openflan.recipe_parts import PromptsPart
    return Recipe, PromptsPart


def mixture(folder: Path, data: Path, tokenizer: Path, *, steps: int, workers: int, plain: int = 0) -> dict[str, Any]:
    """Make a mixture; seconds, examples and tokens made.

    Args:
        plain: 1 hides the faster token engine.
    """
    from transformers import AutoTokenizer

    from openflan.mixture.build import Mixing, build_mixture
    from openflan.mixture.holdout import HoldOut
    from openflan.mixture.workers import MixWork
    from openflan.prompts import encoding

    recipe = parts_of_recipes()[0].model_validate(
        {
            "name": "bench",
            "mixture": {"rows_per_task": 1_000_000, "maximum": 1_000_000, "faulty_rows": "skip"},
            "training": {"steps": steps, "tokens_per_batch": CAPACITY},
        }
    )
    if plain:
        from openflan.prompts.engines import FoundEngine

        encoding.find_engine = lambda _vocabulary: FoundEngine()
    tasks = entries(data)
    rules = encoding.EncoderRules.of(AutoTokenizer.from_pretrained(tokenizer), recipe.prompts)
    work = MixWork(mixture=recipe.mixture, entries=tasks, data=None, encoder=rules)
    division = HoldOut(clusters=(), tuned=tuple(tasks.values()), held_out=())
    mixing = Mixing(recipe=recipe, division=division, measured=(), work=work, key="", tokenizer="")
    folder.mkdir(parents=True)
    began, before = time.perf_counter(), processor_seconds()
    build_mixture(folder, mixing, siblings=(), workers=workers, engine="local", report=lambda _d, _t: None)
    seconds = time.perf_counter() - began
    for process in multiprocessing.active_children():  # what is told of children is told once they have ended
        process.join()
    memory = peak()
    busy = [round(now - then, 2) for then, now in zip(before, processor_seconds(), strict=True)]
    ledger = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    lengths = np.load(folder / "lengths.npy")
    with np.load(folder / "order" / "seed-0.npz") as order:
        used = int(order["first"][-1])
        fill = float(lengths[order["prompt"]].sum() / (steps * CAPACITY))
    return {
        "seconds": seconds,
        "processor_seconds": busy,
        "examples": used,
        "made": len(lengths),
        "tokens": int(lengths.sum()),
        "fill": fill,
        "cut": sum(sum(task["cut"].values()) for task in ledger["tasks"].values()),
        "rows": sum(task["rows"] for task in ledger["tasks"].values()),
        "tokens_by": ledger.get("tokens_by"),
        "store": store_hash(folder),
        "peak_mb": memory,
    }


def store_hash(folder: Path) -> str:
    """Hash of a store's pieces, lengths and order, without the keys in the pieces' names, which differ by version."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".arrow", ".npy", ".npz")):
        name = re.sub(r"-[0-9a-f]{12}(?=\.arrow$)", "", path.name)
        with path.open("rb") as file:
            digest.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def texts(data: Path, count: int) -> tuple[list[str], list[str]]:
    """Inputs and targets of the mixture's first prompts, of each task as many as its share says."""
    from openflan.mixture.order import TaskOrder
    from openflan.prompts.examples import ExampleMaker, ExampleRules
    from openflan.tasks.sources import load_rows

    prompts = parts_of_recipes()[1]()
    inputs, targets = [], []
    loaded = {name: (entry, load_rows(entry, "train")) for name, entry in entries(data).items()}
    total = sum(len(rows) for _, rows in loaded.values())
    for name, (entry, rows) in loaded.items():
        maker = ExampleMaker(entry, rows, prompts, ExampleRules(skip_faulty=True), count=lambda _texts: [])
        order = TaskOrder(name, len(rows), seed=0).at(np.arange(count * len(rows) // total, dtype=np.int64))
        for one in maker.examples(order.row, order.ticket, pool=np.arange(0)):
            if one is not None:
                inputs.append(one.prompt.input + "\n")
                targets.append(one.prompt.target)
    return inputs, targets


def trl(data: Path, tokenizer_folder: Path, *, count: int) -> dict[str, Any]:
    """TRL from prompt and completion rows to packed rows, with two processes."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    inputs, targets = texts(data, count)
    rows = Dataset.from_dict({"prompt": inputs, "completion": targets})
    small = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    model = AutoModelForCausalLM.from_config(small)
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder, packing=True, max_length=1_280, dataset_num_proc=2, report_to="none", bf16=False,
            use_cpu=True,
        )  # fmt: skip
        began = time.perf_counter()
        trainer = SFTTrainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
        seconds = time.perf_counter() - began
    tokens = sum(len(row) for row in trainer.train_dataset["input_ids"])
    return {"seconds": seconds, "examples": len(inputs), "made": len(inputs), "tokens": tokens}


def leakage(data: Path, *, train: int, held: int) -> dict[str, Any]:
    """The leak check of real rows, repeated to the number wanted, against rows of the same files."""
    from openflan.mixture.leakage import check_leakage
    from openflan.tasks.sources import SourceRow

    tasks = entries(data)
    rows: dict[str, list[SourceRow]] = {}
    for name in tasks:
        with gzip.open(data / "large" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            rows[name] = [SourceRow(index=n, fields=json.loads(line)) for n, line in enumerate(file)]
    every = sum(map(len, rows.values()))
    share = held / every
    items = [(tasks[name], some[: int(len(some) * share)]) for name, some in rows.items()]
    training = [(tasks[name], some[int(len(some) * share) :]) for name, some in rows.items()]
    left = sum(len(some) for _, some in training)
    turns = -(-train // left)
    training = [(entry, (some * turns)[: int(len(some) * train / left)]) for entry, some in training]
    before = peak()
    began, busy = time.perf_counter(), time.process_time()
    certificate = check_leakage(training, items, mode="rows")
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - busy,
        "training_rows": sum(len(some) for _, some in training),
        "held_out_rows": sum(len(some) for _, some in items),
        "hit": sum(one["ngram"] if isinstance(one, dict) else one.hits.ngram for one in certificate.items.values()),
        "peak_mb": peak(),
        "rows_alone_mb": before,
    }


def processor_seconds() -> tuple[float, float]:
    """Of this process, and of its children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def peak() -> float:
    """Largest resident size in MB, of this process and of its largest child."""
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round((own + children) / 1_024, 1)


def turn(name: str, arguments: argparse.Namespace, source: Path, **numbers: int) -> dict[str, Any]:
    """One piece of work in a process of its own, with the sources of a checkout; our processes have a thread each."""
    threads = {"TOKENIZERS_PARALLELISM": "true" if name == "trl" else "false"}
    environment = {**os.environ, **threads, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(source / "src")}
    command = [sys.executable, __file__, "--data", str(arguments.data), "--tokenizer", str(arguments.tokenizer)]
    command += ["--turn", json.dumps({"name": name, **numbers})]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(f"{name} {numbers}: {facts['seconds']:.1f} s\n")
    return facts


def apart(arguments: argparse.Namespace, **numbers: int) -> dict[str, Any]:
    """Two that know nothing of each other, each making a whole store at once; how much the two make in a second."""
    with ThreadPoolExecutor(2) as pool:
        facts = list(pool.map(lambda _: turn("mix", arguments, ROOT, **numbers, workers=1), range(2)))
    slower = max(facts, key=lambda one: one["seconds"])
    return {**slower, "made": sum(one["made"] for one in facts)}


def one_turn(numbers: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    name = numbers.pop("name")
    if name == "mix":
        with tempfile.TemporaryDirectory() as folder:
            return mixture(Path(folder) / "mixture", arguments.data, arguments.tokenizer, **numbers)
    return leakage(arguments.data, **numbers) if name == "leak" else trl(arguments.data, arguments.tokenizer, **numbers)


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The sources of a commit, beside this tree as long as they are needed."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / commit
        subprocess.run(["git", "worktree", "add", "-q", "--detach", str(place), commit], cwd=ROOT, check=True)
        try:
            yield place
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(place)], cwd=ROOT, check=True)


def run_part(part: str, arguments: argparse.Namespace, old: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The turns of one part, each with the side that it belongs to."""
    steps, some = (300, 5_000) if arguments.quick else (3_000, 100_000)
    small, large = (100, 300) if arguments.quick else (860, 17_300)
    train, held = (20_000, 2_000) if arguments.quick else (1_000_000, 50_000)
    for number in range(arguments.rounds):
        if part == "speed":
            yield "ours", turn("mix", arguments, ROOT, steps=steps, workers=2)
            yield "commit", turn("mix", arguments, old, steps=steps, workers=2)
            yield "trl", turn("trl", arguments, ROOT, count=some)
        elif part == "one":
            yield "two", turn("mix", arguments, ROOT, steps=steps, workers=2)
            yield "one", turn("mix", arguments, ROOT, steps=steps, workers=1)
            yield "apart", apart(arguments, steps=steps)
            if number == 0:
                yield "plain", turn("mix", arguments, ROOT, steps=steps, workers=1, plain=1)
        elif part == "leak":
            yield "leak", turn("leak", arguments, ROOT, train=train, held=held)
            yield "leak_commit", turn("leak", arguments, old, train=train, held=held)
        elif part == "memory":
            yield "small", turn("mix", arguments, ROOT, steps=small, workers=2)
            yield "large", turn("mix", arguments, ROOT, steps=large, workers=2)
            yield "large_one", turn("mix", arguments, ROOT, steps=large, workers=1)


def summary(turns: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians and ratios of what there is."""
    rate = {side: statistics.median(one["made"] / one["seconds"] for one in results) for side, results in turns.items()
            if "made" in results[0]}  # fmt: skip
    seconds = {side: statistics.median(one["seconds"] for one in results) for side, results in turns.items()}

    def ratio(values: dict[str, float], above: str, below: str) -> float | None:
        return round(values[above] / values[below], 2) if {above, below} <= values.keys() else None

    stores = {side: sorted({one["store"] for one in turns[side]}) for side in ("ours", "two", "one", "plain", "commit")
              if side in turns}  # fmt: skip
    peaks = {
        side: statistics.median(one["peak_mb"] for one in turns[side]) for side in ("small", "large") if side in turns
    }
    return {
        "examples_per_second": {side: round(value) for side, value in rate.items()},
        "turns_each": {side: len(results) for side, results in turns.items()},
        "over_trl": ratio(rate, "ours", "trl"),
        "over_commit": ratio(rate, "ours", "commit"),
        "two_processes_over_one": ratio(rate, "two", "one"),
        "two_apart_over_one": ratio(rate, "apart", "one"),
        "two_processes_over_one_at_two_million": ratio(rate, "large", "large_one"),
        "memory": {
            "examples": {side: turns[side][0]["examples"] for side in peaks},
            "peak_mb": peaks,
            "ratio": ratio(peaks, "large", "small"),
        },
        "leak_check_seconds": {side: round(seconds[side], 1) for side in ("leak", "leak_commit") if side in seconds},
        "leak_check_processor_seconds": {
            side: round(statistics.median(one["processor_seconds"] for one in turns[side]), 1)
            for side in ("leak", "leak_commit")
            if side in turns
        },
        "stores": stores,
        "one_store": len(stores) > 1 and len({hash_ for hashes in stores.values() for hash_ in hashes}) == 1,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of a fast tokenizer")
    parser.add_argument("--against", default="848ef03", help="the earlier commit")
    parser.add_argument("--part", choices=PARTS, help="one part alone, added to the day's record")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--name", default="mix", help="of the record; turns of another machine are another record's")
    parser.add_argument("--quick", action="store_true", help="few rows: whether it runs, no figures")
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.data, arguments.tokenizer = arguments.data.absolute(), arguments.tokenizer.absolute()
    if arguments.turn:
        print(json.dumps(one_turn(json.loads(arguments.turn), arguments)))
        return
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{arguments.name}{'-quick' if arguments.quick else ''}.json"
    turns: dict[str, list[dict[str, Any]]] = {}
    if arguments.part and path.is_file():
        turns = json.loads(path.read_text(encoding="utf-8"))["turns"]
    with checkout(arguments.against) as old:
        for part in [arguments.part] if arguments.part else PARTS:
            for side, facts in run_part(part, arguments, old):
                turns.setdefault(side, []).append(facts)
                record = {
                    "what": __doc__.splitlines()[0] if __doc__ else "",
                    "versions": {name: version(name) for name in VERSIONS},
                    "against": arguments.against,
                    "tokenizer": arguments.tokenizer.name,
                    "cores": os.cpu_count(),
                    **summary(turns),
                    "turns": turns,
                }
                path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    del record["turns"]
    print(json.dumps(record))


if __name__ == "__main__":
    main()
