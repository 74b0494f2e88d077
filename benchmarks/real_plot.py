"""The curve of a real base over tuning tokens, as docs/plots/real-curve.svg: form, judgement and accuracy.

    python benchmarks/real_plot.py benchmarks/results/<date>-real-curve.json

Reads the last of the file's runs, with the untuned model's point at no tokens.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

from openflan.report.svg import WIDE, Ink, canvas

TO = Path(__file__).parents[1] / "docs" / "plots" / "real-curve.svg"
_COLOURS = (Ink.TUNED, Ink.LOSS, Ink.THIRD)
_SHOWN = (("form", "probability on the options"), ("auc", "area under the curve"), ("accuracy", "accuracy"))


def main() -> None:
    points: list[dict[str, Any]] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["runs"][-1]["points"]
    tasks = list(points[-1]["accuracy"])
    with canvas(WIDE, 300) as figure:
        for place, (measure, title) in enumerate(_SHOWN):
            axes = figure.add_axes((0.06 + 0.325 * place, 0.18, 0.27, 0.62))
            for task, colour in zip(tasks, _COLOURS, strict=True):
                ends = [point["tokens"] / 1000 for point in points]
                values = [point[measure][task] for point in points]
                axes.plot(ends, values, color=colour, lw=1.6, marker="o", ms=4, label=task)
            axes.set_ylim(0, 1)
            axes.set_title(title, fontsize=13, loc="left", color=Ink.INK)
            axes.set_xlabel("thousand tokens of tuning")
            axes.grid(axis="y", color=Ink.RULE, lw=0.6)
            axes.set_axisbelow(True)
        figure.legend(
            *axes.get_legend_handles_labels(), loc="upper right", ncols=3, frameon=False, labelcolor=Ink.MUTED
        )
        with matplotlib.rc_context({"svg.hashsalt": "real-curve"}):
            figure.savefig(TO, format="svg", metadata={"Date": None})
    print(TO)


if __name__ == "__main__":
    main()
