"""What packing costs: time, memory and fill at many examples.

The stream of a mixture of two hundred tasks is packed into steps of 8,192 tokens, with lengths as real prompts have
them (log-normal, median 90, cut at 1,280). Only lengths are held, no tokens. Goals: fill of 98 %, and 100 million
examples in under 3 GB.

    python benchmarks/packing.py [--quick]

The last line printed is JSON; its `ratio` is 3 GB over the peak.
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from openflan.mixture.order import StreamOrder
from openflan.mixture.packing import pack_steps

RESULTS = Path(__file__).parent / "results"
TASKS, CAPACITY, CHUNK = 200, 8_192, 1 << 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    wanted = 2_000_000 if quick else 100_000_000
    random = np.random.default_rng(0)
    draws = {f"task {number}": int(random.integers(200, 3_001)) for number in range(TASKS)}
    order = StreamOrder(draws, seed=0)
    sizes = [
        np.clip(random.lognormal(4.5, 0.9, size=int(count) + 1), 4, 1_280).astype(np.int32)
        for count in order.draws_needed(wanted)
    ]
    first = np.cumsum([0, *map(len, sizes)])
    flat = np.concatenate(sizes)
    del sizes
    steps = int(0.99 * flat.mean() * wanted / CAPACITY)

    def lengths() -> Iterator[int]:
        for start in range(0, wanted, CHUNK):
            drawn = order.at(np.arange(start, min(start + CHUNK, wanted), dtype=np.int64))
            yield from flat[first[drawn.task] + drawn.draw].tolist()

    began = time.perf_counter()
    packed = pack_steps(lengths(), CAPACITY, steps=steps)
    seconds = time.perf_counter() - began
    assert packed is not None
    prompt = np.empty(len(packed.position), dtype=np.int64)  # as the store's order file holds them
    tokens = 0
    for start in range(0, len(prompt), CHUNK):
        drawn = order.at(packed.position[start : start + CHUNK])
        prompt[start : start + CHUNK] = first[drawn.task] + drawn.draw
        tokens += int(flat[prompt[start : start + CHUNK]].sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    record = {
        "what": "packing into steps of 8,192 tokens",
        "examples": len(packed.position),
        "steps": steps,
        "seconds": round(seconds, 1),
        "microseconds_an_example": round(seconds / len(prompt) * 1e6, 2),
        "fill": round(tokens / (steps * CAPACITY), 4),
        "peak_mb": round(peak),
        "ratio": round(3_000 / peak, 2),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-packing{'-quick' if quick else ''}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
