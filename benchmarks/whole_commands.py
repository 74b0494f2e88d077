"""Both whole commands on the same prompts, turn about: start, loading, tokenising, scoring, results.

The harness runs the tasks that `openflan export tasks` writes. Rejected: its own tasks of these names, whose prompts
are others.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from side_by_side import Facts, Settings

__all__ = ["whole_commands"]


def whole_commands(out: Path, settings: Settings, model: str, names: Sequence[str], *, batch_size: int) -> Facts:
    """Seconds of each side's command, and how many times as fast ours is.

    Args:
        out: folder for what the commands write.
        model: folder or hub id.
        batch_size: the harness's fastest.
    """
    openflan = [sys.executable, "-m", "openflan"]
    rows = ("--rows", str(settings.size), "--data", str(settings.data_folder or "twins"))
    _command([*openflan, "export", "tasks", *names, *rows, "--tokenizer", model, "--to", str(out / "tasks"), "-q"])
    groups = ",".join(f"openflan_{name}" for name in names)
    args = f"pretrained={model},dtype={settings.precision}"
    theirs = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", args, "--tasks", groups]
    theirs += ["--include_path", str(out / "tasks"), "--batch_size", str(batch_size), "--device", "cpu"]
    seconds: dict[str, list[float]] = {"ours": [], "lm_eval": []}
    for repeat in range(settings.repeats):
        place = str(out / f"ours-{repeat}")
        mine = [*openflan, "eval", "--model", model, "--tasks", ",".join(names), *rows, "--validation-rows", "0"]
        mine += ["--precision", settings.precision, "--out", place, "--quiet"]
        seconds["ours"].append(_command(mine))
        seconds["lm_eval"].append(_command(theirs))
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    return {"seconds": seconds, "ratio": round(medians["lm_eval"] / medians["ours"], 3)}


def _command(words: list[str]) -> float:
    began = time.perf_counter()
    quiet = {"TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore", "HF_HUB_OFFLINE": "1", **os.environ}
    subprocess.run(words, check=True, capture_output=True, env=quiet)
    return round(time.perf_counter() - began, 2)
