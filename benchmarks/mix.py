"""How fast a mixture is made, beside the bare tokenizer and beside TRL's dataset preparation.

On the same rows (public datasets in large files), on two cores, in processes of their own, turn about:

    (a) `openflan mix`'s work, files of rows to packed token store, over what `tokenizers` alone reaches in encoding the
        first of the very prompts that are made, rendered before, with its own threads; goal 0.70. Both are told in
        prompts a second: too long a text is encoded whole by both, but kept whole by the tokenizer alone
    (b) the same over TRL's preparation, prompt and completion rows to packed rows; goal 5
    (c) two processes over one; goal 1.7
    (d) peak memory, of the caller and one worker, at many examples over that at some 100 thousand; goal at most 1.2
    (e) the leak check: training rows against held-out rows; goal 3 minutes and 3 GB for a million against 50 thousand

The last line printed is JSON; its `ratio` is (a) over 0.70.

    python benchmarks/mix.py --data DIR [--quick]        DIR holds large/<name>.jsonl.gz
"""

import argparse
import gzip
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
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

    found = {}
    for name, part in TASKS.items():
        path = (data / "large" / f"{name}.jsonl.gz").absolute()
        spec = {"name": name, "cluster": "misc", "source": {"files": {"train": str(path)}}, **part}
        said = TaskSpec.model_validate_json(json.dumps({**spec, "splits": {"train": "train"}}))
        found[name] = Entry(spec=said, path=data / f"{name}.yaml", collection="mine")
    return found


def mixture(folder: Path, data: Path, *, steps: int, workers: int) -> dict[str, Any]:
    """Make a mixture; seconds, examples and tokens made."""
    from openflan.mixture.build import Mixing, build_mixture
    from openflan.mixture.holdout import HoldOut
    from openflan.mixture.ledger import read_ledger
    from openflan.mixture.workers import MixWork
    from openflan.models.load import find_model, load_tokenizer
    from openflan.prompts.encoding import EncoderRules
    from openflan.recipes.parts import ModelPart
    from openflan.recipes.recipe import Recipe

    recipe = Recipe.model_validate(
        {
            "name": "bench",
            "mixture": {"rows_per_task": 1_000_000, "maximum": 1_000_000, "faulty_rows": "skip"},
            "training": {"steps": steps, "tokens_per_batch": CAPACITY},
        }
    )
    source = find_model(ModelPart(), Path("starter"))
    tasks = entries(data)
    work = MixWork(
        mixture=recipe.mixture,
        entries=tasks,
        data=None,
        encoder=EncoderRules.of(load_tokenizer(source), recipe.prompts),
    )
    division = HoldOut(clusters=(), tuned=tuple(tasks.values()), held_out=())
    mixing = Mixing(recipe=recipe, division=division, measured=(), work=work, key="", tokenizer="")
    folder.mkdir(parents=True)
    began = time.perf_counter()
    build_mixture(folder, mixing, siblings=(), workers=workers, engine="local", report=lambda _d, _t: None)
    seconds = time.perf_counter() - began
    ledger = read_ledger(folder).tasks
    lengths = np.load(folder / "lengths.npy")
    with np.load(folder / "order" / "seed-0.npz") as order:
        used = int(order["first"][-1])
        fill = float(lengths[order["prompt"]].sum() / (steps * CAPACITY))
    return {
        "seconds": seconds,
        "examples": used,
        "made": len(lengths),
        "tokens": int(lengths.sum()),
        "tokens_per_second": lengths.sum() / seconds,
        "fill": fill,
        "cut": sum(sum(task.cut.values()) for task in ledger.values()),
        "peak_mb": peak(),
    }


def texts(data: Path, count: int) -> tuple[list[str], list[str]]:
    """Inputs and targets of the mixture's first prompts, of each task as many as its share says."""
    from openflan.mixture.order import TaskOrder
    from openflan.prompts.examples import ExampleMaker, ExampleRules
    from openflan.recipes.parts import PromptsPart
    from openflan.tasks.sources import load_rows

    inputs, targets = [], []
    held = {name: (entry, load_rows(entry, "train")) for name, entry in entries(data).items()}
    total = sum(len(rows) for _, rows in held.values())
    for name, (entry, rows) in held.items():
        maker = ExampleMaker(entry, rows, PromptsPart(), ExampleRules(skip_faulty=True), count=lambda _texts: [])
        taken = TaskOrder(name, len(rows), seed=0).at(np.arange(count * len(rows) // total, dtype=np.int64))
        for one in maker.examples(taken.row, taken.ticket, pool=np.arange(0)):
            if one is not None:
                inputs.append(one.prompt.input + "\n")
                targets.append(one.prompt.target)
    return inputs, targets


def bare(data: Path, count: int) -> dict[str, Any]:
    """The tokenizer alone, with all its threads, on rendered texts that lie in memory."""
    from openflan.models.load import find_model, load_tokenizer
    from openflan.recipes.parts import ModelPart

    backend = load_tokenizer(find_model(ModelPart(), Path("starter"))).backend_tokenizer
    inputs, targets = texts(data, count)
    backend.encode_batch(inputs[:100], add_special_tokens=False)
    tokens, began = 0, time.perf_counter()
    for held in (inputs, targets):
        for start in range(0, len(held), 1_000):
            batch = backend.encode_batch(held[start : start + 1_000], add_special_tokens=False)
            tokens += sum(len(one.ids) for one in batch)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "examples": len(inputs), "tokens": tokens, "tokens_per_second": tokens / seconds}


def trl(data: Path, count: int) -> dict[str, Any]:
    """TRL from prompt and completion rows to packed rows, with two processes."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, LlamaConfig
    from trl import SFTConfig, SFTTrainer

    from openflan.models.load import find_model, load_tokenizer
    from openflan.recipes.parts import ModelPart

    tokenizer = load_tokenizer(find_model(ModelPart(), Path("starter")))
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
    return {"seconds": seconds, "examples": len(inputs), "tokens": tokens, "tokens_per_second": tokens / seconds}


def leakage(data: Path, train: int, held: int) -> dict[str, Any]:
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
    began = time.perf_counter()
    found = check_leakage(training, items, mode="rows")
    return {
        "seconds": time.perf_counter() - began,
        "training_rows": sum(len(some) for _, some in training),
        "held_out_rows": sum(len(some) for _, some in items),
        "dirty": sum(counts["ngram"] for counts in found.items.values()),
        "peak_mb": peak(),
        "rows_alone_mb": before,
    }


def peak() -> float:
    """Largest resident size in MB, of this process and of its largest child."""
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round((own + children) / 1_024, 1)


def turn(name: str, data: Path, **numbers: int) -> dict[str, Any]:
    """One piece of work in a process of its own."""
    threads = "true" if name in ("bare", "trl") else "false"  # our processes have a thread each
    os.environ["TOKENIZERS_PARALLELISM"] = threads
    command = [sys.executable, __file__, "--data", str(data), "--turn", json.dumps({"name": name, **numbers})]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(f"{name} {numbers}: {facts['seconds']:.1f} s\n")
    return facts


def one_turn(said: dict[str, Any], data: Path) -> dict[str, Any]:
    name = said.pop("name")
    if name == "mix":
        with tempfile.TemporaryDirectory() as folder:
            return mixture(Path(folder) / "mixture", data, **said)
    return {"bare": bare, "trl": trl, "leakage": leakage}[name](data, **said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.turn:
        print(json.dumps(one_turn(json.loads(wanted.turn), wanted.data)))
        return
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    quick = wanted.quick
    rounds, steps, some = (1, 3_000, 30_000) if quick else (3, 4_000, 100_000)
    turns: dict[str, list[dict[str, Any]]] = {"two": [], "bare": [], "one": [], "trl": []}
    for _ in range(rounds):
        turns["two"].append(turn("mix", wanted.data, steps=steps, workers=2))
        turns["bare"].append(turn("bare", wanted.data, count=some))
        turns["one"].append(turn("mix", wanted.data, steps=steps, workers=1))
        turns["trl"].append(turn("trl", wanted.data, count=some))
    small = turn("mix", wanted.data, steps=1_300, workers=2)
    large = turns["two"][0] if quick else turn("mix", wanted.data, steps=30_500, workers=2)
    leak = turn("leakage", wanted.data, train=100_000 if quick else 1_000_000, held=10_000 if quick else 50_000)
    rate = {name: statistics.median(one["tokens_per_second"] for one in held) for name, held in turns.items()}
    examples = {
        name: statistics.median(one.get("made", one["examples"]) / one["seconds"] for one in held)
        for name, held in turns.items()
    }
    record = {
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "versions": {name: version(name) for name in ("openflan", "tokenizers", "trl", "datasets", "numpy")},
        "cores": os.cpu_count(),
        "tokens_per_second": {name: round(value) for name, value in rate.items()},
        "examples_per_second": {name: round(value) for name, value in examples.items()},
        "a_over_bare_tokenizer": round(examples["two"] / examples["bare"], 3),
        "b_over_trl": round(examples["two"] / examples["trl"], 2),
        "c_two_processes_over_one": round(examples["two"] / examples["one"], 2),
        "d_memory": {
            "examples": [small["examples"], large["examples"]],
            "peak_mb": [small["peak_mb"], large["peak_mb"]],
            "ratio": round(large["peak_mb"] / small["peak_mb"], 2),
        },
        "e_leakage": leak,
        "fill": round(turns["two"][0]["fill"], 4),
        "turns": turns,
        "ratio": round(examples["two"] / examples["bare"] / 0.70, 2),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-mix{'-quick' if quick else ''}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    del record["turns"]
    print(json.dumps(record))


if __name__ == "__main__":
    main()
