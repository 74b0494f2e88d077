"""What a command takes before it works: `--help`, a second `openflan run`, and `openflan eval` up to its first score.

    python benchmarks/start_up.py                          # this tree alone
    python benchmarks/start_up.py --base 848ef03           # and an earlier commit, turn about
    python benchmarks/start_up.py --base 848ef03 --model FOLDER   # a model of your own in place of the made one

`eval` asks a model with a vocabulary of 262,144 words (made here: a small Llama, a byte-level BPE) one question. Its
clock is read when the weights are in memory and when the first answers are ranked; the whole command is timed too. The
earlier commit is checked out into a temporary folder and run by this interpreter: its dependencies are this tree's.
Both sides keep their bytecode, and a first turn of each is not counted.

Invariant: sides differ in the code alone. Rejected: imports timed by themselves, which leaves out what is read, hashed
and parsed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from verdict_time import RESULTS, ROOT, checkout

GOALS = {"help": 0.4, "nothing_to_do": 1.5, "weights_to_first_score": 2.0}
"""Seconds."""

SMALL = {
    "training.steps": 2,
    "training.tokens_per_batch": 1024,
    "evaluation.rows": 4,
    "evaluation.seen_rows": 2,
    "evaluation.bootstrap": 100,
    "evaluation.max_new_tokens": 4,
    "seeds": [0],
}
"""Of the starter recipe: what is left to do a second time is the same."""

_CLOCK = """
import json, sys, time
import openflan.evaluation.ranking as ranking
from transformers import PreTrainedModel
marks = {}
def marked(name, work):
    def call(*args, **more):
        made = work(*args, **more)
        marks.setdefault(name, time.perf_counter())
        return made
    return call
PreTrainedModel.from_pretrained = classmethod(marked("weights", PreTrainedModel.from_pretrained.__func__))
ranking.rank_options = marked("scored", ranking.rank_options)
sys.argv = ["openflan", *sys.argv[1:]]
from openflan.cli.main import main
try:
    main()
finally:
    sys.stdout.write("\\n" + json.dumps(marks["scored"] - marks["weights"]))
"""


def make_model(folder: Path) -> Path:
    """A Llama of two small blocks whose tokenizer knows 262,144 words."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [(one, two) for one in letters for two in letters]
    more = [(one + two, three) for one, two in pairs[: 3 * len(letters)] for three in letters]
    words = dict.fromkeys([*letters, *map("".join, pairs), *map("".join, more)])
    size = 262_144
    merges = [*pairs, *more][: size - len(letters) - 1]
    words = {word: number for number, word in enumerate([*list(words)[: size - 1], "</s>"])}
    core = Tokenizer(models.BPE(vocab=words, merges=[pair for pair in merges if "".join(pair) in words]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>").save_pretrained(folder)
    return folder


class Side:
    """A tree whose commands are timed."""

    def __init__(self, tree: Path, work: Path, model: Path) -> None:
        self._work = work
        settings = [word for key, value in SMALL.items() for word in ("--set", f"{key}={json.dumps(value)}")]
        recipe = tree / "recipes" / "starter.yaml"
        self._run = ["-m", "openflan", "run", str(recipe), *settings, "--out", str(work / "runs"), "--quiet"]
        self._eval = ["eval", "--model", str(model), "--tasks", "rte", "--data", "twins", "--rows", "1", "--quiet"]
        self._eval += ["--validation-rows", "0", "--templates", "1"]
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        more = {"PYTHONPATH": str(tree / "src"), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._env = {**environ, **more}
        self._call(self._run)

    def turn(self) -> dict[str, float]:
        """Seconds of each."""
        help_, _ = self._call(["-m", "openflan", "--help"])
        nothing, _ = self._call(self._run)
        with tempfile.TemporaryDirectory(dir=self._work) as out:
            whole, output = self._call(["-c", _CLOCK, *self._eval, "--out", out])
        first = float(output.splitlines()[-1])
        return {"help": help_, "nothing_to_do": nothing, "eval": whole, "weights_to_first_score": first}

    def _call(self, words: list[str]) -> tuple[float, str]:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *words], env=self._env, cwd=self._work, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(done.stderr[-2_000:])
        return seconds, done.stdout


def main() -> int:
    """Take turns and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="an earlier commit to time beside this tree")
    parser.add_argument("--model", type=Path, help="a model's folder; by default one is made")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--name", default="start-up", help="of the record")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model = arguments.model.resolve() if arguments.model else make_model(folder / "model")
        trees = {"ours": ROOT}
        if arguments.base:
            trees["base"] = stack.enter_context(checkout(arguments.base, folder / "tree"))
        sides = {}
        for name, tree in trees.items():
            (folder / name).mkdir()
            sides[name] = Side(tree, folder / name, model)
        turns: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for number in range(arguments.turns + 1):
            for name, side in sides.items():
                times = side.turn()
                if number:  # in the first one bytecode is written
                    turns[name].append({what: round(seconds, 3) for what, seconds in times.items()})
                sys.stderr.write(f"{name}: {times}\n")
    medians = {
        name: {what: statistics.median(one[what] for one in times) for what in times[0]}
        for name, times in turns.items()
    }
    met = {what: medians["ours"][what] < goal for what, goal in GOALS.items()}
    record: dict[str, Any] = {
        "model": arguments.model.name if arguments.model else "made, 262,144 words",
        "base": arguments.base,
        "median_seconds": medians,
        "goal_seconds": GOALS,
        "met": met,
        "turns": turns,
        "cores": len(os.sched_getaffinity(0)),
    }
    path = arguments.out / f"{datetime.now(UTC):%Y-%m-%d}-{arguments.name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({"medians": medians, "met": met}) + "\n")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
