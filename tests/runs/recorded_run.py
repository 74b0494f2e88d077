"""Record what a run told of its time left: `python tests/runs/recorded_run.py` on two idle cores, some minutes.

The record holds every call of `TimeLeft` with the clocks at that moment, so that a test can make it again.
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

RECORD = Path(__file__).parent / "recorded-run.json"
SETTINGS = {"training.steps": 150, "evaluation.rows": 80, "evaluation.seen_rows": 15}


class Recorded(TimeLeft):
    """Notes every call."""

    calls: list[list[Any]]
    given: dict[str, Any]

    def __init__(self, stages: Any, recipe: Any, costs: Any, prompts: Any, *, cores: int, now: Any) -> None:
        super().__init__(stages, recipe, costs, prompts, cores=cores, now=now)
        Recorded.calls = []
        Recorded.given = {
            "costs": {"tuning": costs.tuning, "asking": costs.asking},
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


def main() -> int:
    """Run and record."""
    pipeline.TimeLeft = Recorded  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        openflan.Run("starter", settings=SETTINGS, runs=folder).measure()
        ended = time.perf_counter()
    record = {"settings": SETTINGS, **Recorded.given, "started": started, "ended": ended, "calls": Recorded.calls}
    RECORD.write_text(json.dumps(record), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
