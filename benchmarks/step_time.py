"""Does a step cost more in a larger mixture, or later in a longer run? It should not.

Two token stores are written as `openflan mix` lays them out, of 1 thousand and of 10 million examples (lengths as real
prompts have them), and the shipped base model takes the same number of steps from each, turn about, at the start of
the order and at its end. Goal: the medians differ by no more than noise (10 %).

    python benchmarks/step_time.py [--quick]
"""

import argparse
import json
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from made_store import write_store

RESULTS = Path(__file__).parent / "results"
CAPACITY, WORDS = 4_096, 4_000


def stepper_of(folder: Path) -> tuple[Any, Any]:
    """What takes steps from a store, and the store's steps."""

    from openflan.mixture.store import TokenStore
    from openflan.models.device import pick_device, pick_precision
    from openflan.models.load import find_model, load_model
    from openflan.recipes.parts import ModelPart, TrainingPart
    from openflan.training.gradients import InOrder
    from openflan.training.optimizer import make_optimizer
    from openflan.training.peak import Work
    from openflan.training.shape import Shape
    from openflan.training.stepping import Stepper

    store = TokenStore.open(folder)
    part = TrainingPart(tokens_per_batch=CAPACITY)
    model = load_model(find_model(ModelPart(), Path("starter")), device=pick_device()).train()
    shape, reduced = Shape.of(model), pick_precision("auto", model.device) == "bfloat16"
    stepper = Stepper(
        model,
        model.device,
        make_optimizer(model, part.optimizer),
        store,
        part,
        shape=shape,
        gradients=InOrder(model, shape, autocast=reduced),
        seed=0,
        micro_batch_tokens=part.micro_batch_tokens,
        work=Work.of(model),
        peak=1.0,
        say=lambda _text: None,
    )
    return stepper, store.steps(0)


def main() -> int:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 million examples in place of 10")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    many, turns, at_once = (1_000_000 if arguments.quick else 10_000_000), (3 if arguments.quick else 8), 5
    seconds: dict[str, list[float]] = {"small": [], "large, start": [], "large, end": []}
    waited: dict[str, list[float]] = {name: [] for name in seconds}
    with tempfile.TemporaryDirectory() as work:
        for name, examples in (("small", 1_000), ("large", many)):
            write_store(Path(work) / name, examples, capacity=CAPACITY, words=WORDS)
        small, few = stepper_of(Path(work) / "small")
        large, steps = stepper_of(Path(work) / "large")
        last = len(steps) - turns * at_once - 2
        for turn in range(turns + 1):
            for name, stepper, order, first in (
                ("small", small, few, 0),
                ("large, start", large, steps, 0),
                ("large, end", large, steps, last),
            ):
                for place in range(at_once):
                    number = first + turn * at_once + place
                    line = stepper.step(number % (len(order) - 1), order, 1e-4)
                    if turn:  # the first warms up
                        seconds[name].append(line.seconds * CAPACITY / line.tokens)
                        waited[name].append(line.waited)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    record = {
        "benchmark": "step_time",
        "date": datetime.now(UTC).date().isoformat(),
        "examples": {"small": 1_000, "large": many},
        "steps_in_order": {"small": len(few), "large": len(steps)},
        "median_seconds_a_full_step": {name: round(value, 4) for name, value in medians.items()},
        "median_seconds_waited_for_data": {name: round(statistics.median(v), 5) for name, v in waited.items()},
        "large_over_small": round(medians["large, start"] / medians["small"], 3),
        "end_over_start": round(medians["large, end"] / medians["large, start"], 3),
    }
    name = f"{record['date']}-step-time{'-quick' if arguments.quick else ''}.json"
    (arguments.out / name).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(record) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
