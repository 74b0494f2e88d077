"""On how many seeds does the embedded default's claim show? `openflan run starter` with ten of them.

    python benchmarks/starter_seeds.py --runs runs        # 35 minutes on one idle core, half of it on two

Of each seed the record has the held-out clusters' gains over the untuned model, with their 95 % intervals, and whether
the intervals of all of them lie above zero. Results depend on neither load nor cores, so it may run beside other work.

Invariant: the recipe is the ready one, but for its seeds. Rejected: a mean over seeds, which hides the one that fails.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import openflan

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0")
    parser.add_argument("--threads", default="auto")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = [f"seeds={list(range(arguments.seeds))}", f"threads={arguments.threads}"]
    results = openflan.Run("starter", settings=settings, runs=arguments.runs).measure()
    clusters = {one.cluster: one for one in results.verdict.held_out}
    seeds = [
        {
            "seed": seed,
            "gain": {
                name: [round(number, 4) for number in (of_seed.gain, *of_seed.gain_ci95)]
                for name, one in clusters.items()
                for of_seed in one.by_seed
                if of_seed.seed == seed
            },
        }
        for seed in range(arguments.seeds)
    ]
    holds = [all(low > 0 for _, low, _ in seed["gain"].values()) for seed in seeds]  # type: ignore[attr-defined]
    record = {
        "seeds_on_which_every_interval_is_above_zero": f"{sum(holds)} of {len(holds)}",
        "untuned": {name: round(one.base, 4) for name, one in clusters.items()},
        "seeds": seeds,
        "versions": results.versions,
        "machine": results.machine,
    }
    path = arguments.out / f"{datetime.now(UTC):%Y-%m-%d}-starter-seeds.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({"holds": record["seeds_on_which_every_interval_is_above_zero"]}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
