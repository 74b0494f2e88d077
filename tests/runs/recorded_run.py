"""Record what runs told of their time left: `python tests/runs/recorded_run.py` on two idle cores, some minutes.

    starter        the embedded default, shortened: processes of one thread share the work
    three-seeds    the same, of three seeds
    larger-model   a Llama of ten million weights that know nothing: one process of two threads, one stage after another

A record holds every call of `TimeLeft` with the clocks at that moment, so that a test can make it again.

    python tests/runs/recorded_run.py larger-model      one of them
"""

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import openflan
from openflan.runs import pipeline
from openflan.runs.stages import Stage
from openflan.runs.time_left import TimeLeft

SETTINGS: dict[str, dict[str, Any]] = {
    "starter": {"training.steps": 150, "evaluation.rows": 80, "evaluation.seen_rows": 15},
    "three-seeds": {"seeds": [0, 1, 2]},
    "larger-model": {"training.steps": 25, "evaluation.rows": 12, "evaluation.seen_rows": 3},
}


def record_of(name: str) -> Path:
    """Where a record lies."""
    return Path(__file__).parent / f"recorded-{name}.json"


def larger_model(folder: Path) -> Path:
    """A Llama of 43 MB of weights with the starter's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    import openflan_starter

    tokenizer = AutoTokenizer.from_pretrained(openflan_starter.BASE)
    torch.manual_seed(0)
    shape = {"hidden_size": 320, "intermediate_size": 864, "num_hidden_layers": 7, "num_attention_heads": 5}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=512, tie_word_embeddings=True, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Recorded(TimeLeft):
    """Notes every call."""

    calls: list[list[Any]]
    given: dict[str, Any]

    def __init__(self, stages: Any, recipe: Any, costs: Any, prompts: Any, *, cores: int, now: Any) -> None:
        super().__init__(stages, recipe, costs, prompts, cores=cores, now=now)
        Recorded.calls = []
        Recorded.given = {
            "costs": asdict(costs),
            "prompts": asdict(prompts),
            "cores": cores,
            "began": now(),
        }

    def _note(self, what: str, stage: Stage, share: float = 0.0, spent: float | None = None) -> None:
        times = [round(value, 3) for value in self._now()]
        seconds = None if spent is None else round(spent, 3)
        Recorded.calls.append([*times, what, str(stage.kind), stage.model, round(share, 5), seconds])

    def began(self, stage: Stage) -> None:
        """Note it."""
        self._note("began", stage)
        super().began(stage)

    def progress(self, stage: Stage, share: float, *, spent: float | None = None) -> None:
        """Note it."""
        self._note("progress", stage, share, spent)
        super().progress(stage, share, spent=spent)

    def ended(self, stage: Stage) -> None:
        """Note it."""
        self._note("ended", stage)
        super().ended(stage)


def record(name: str) -> None:
    """Run and record."""
    with tempfile.TemporaryDirectory() as folder:
        model = {"model.path": str(larger_model(Path(folder) / "model"))} if name == "larger-model" else {}
        started = time.perf_counter()
        openflan.Run("starter", settings={**SETTINGS[name], **model}, runs=folder).measure()
        ended = time.perf_counter()
    facts = {"settings": SETTINGS[name], **Recorded.given, "started": started, "ended": ended, "calls": Recorded.calls}
    record_of(name).write_text(json.dumps(facts), encoding="utf-8")


def main() -> int:
    """Record what is named, or everything."""
    pipeline.TimeLeft = Recorded  # type: ignore[misc]
    for name in sys.argv[1:] or SETTINGS:
        record(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
