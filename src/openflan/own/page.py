"""The page beside a folder's tasks: what was seen, what was guessed and how surely, what to look at.

A later call adds a part for what is new. Invariant: a page that openflan did not write is left alone, and ours goes
into a file beside it. Rejected: comments in the task files alone, which nobody reads side by side.
"""

from collections.abc import Sequence
from pathlib import Path

from openflan.own.making import OwnTask

__all__ = ["page_of", "written_page"]

_MARK = "<!-- written by openflan init -->"
_NAMES = ("README.md", "README-openflan.md")


def page_of(folder: Path) -> Path:
    """Where the page is, or will be."""
    mine, other = (folder / name for name in _NAMES)
    return mine if not mine.exists() or _is_ours(mine) else other


def written_page(page: Path, tasks: Sequence[OwnTask], warnings: Sequence[str], why: Sequence[str]) -> str:
    """The page's text: what stands there already, then what is new."""
    new = [task for task in tasks if task.new]
    old = page.read_text(encoding="utf-8").rstrip() + "\n\n" if page.exists() else ""
    start = "## Added\n" if old else f"{_MARK}\n# Your tables as tasks\n"
    lines = [start, "| task | kind | sure | cluster | rows | train / validation / test |", "|---|---|---|---|---|---|"]
    for task in new:
        spec = task.entry.spec
        sizes = " / ".join(f"{spec.size.get(role, 0):,}" for role in ("train", "validation", "test"))
        cluster = spec.subcluster or spec.cluster
        sure = f"{task.confidence:.0%}"
        cells = (spec.name, task.kind, sure, cluster, f"{task.rows:,}", sizes)
        lines.append("| " + " | ".join(cell.replace("_", " ") if cell != spec.name else cell for cell in cells) + " |")
    for task in new:
        lines += ["", f"## {task.entry.spec.name}", "", *_part(task)]
    if warnings:
        lines += ["", "## What became no task", "", *(f"- {line}" for line in warnings)]
    if why:
        lines += ["", "## What is tuned on, and what is held out", "", *why]
    if not old:
        lines += ["", "## What to do next", "", *_NEXT]
    return old + "\n".join(lines).rstrip() + "\n"


_NEXT = (
    "1. Read the questions above that nobody was sure of, and mend the task files where a guess is wrong.",
    "2. `openflan tasks show NAME --folder tasks` shows a row under every template; put them into your own words.",
    "3. `openflan tasks check --folder tasks` renders every template on every row.",
    "4. `openflan run .` tunes and measures; `recipe.yaml` says how. `openflan plan .` tells what that takes.",
    "5. `openflan study rows --recipe .` draws what more rows would bring. Where there is a `holdout.yaml`, it is a"
    " study that holds out each kind of your tasks in turn: `openflan study holdout.yaml`.",
    "6. The model that you put to work should be tuned on everything: `openflan run . --set tasks.hold_out=[]`.",
)


def _part(task: OwnTask) -> list[str]:
    """What is to be said of one task."""
    spec = task.entry.spec
    apart = spec.source.apart
    lines = [f"`tasks/{spec.name}.yaml`" + (f", {task.form}" if task.form else "") + ". Guessed:", ""]
    for guess in task.guesses:
        source = (
            "said by you" if guess.asked else f"{guess.confidence:.0%} sure" + (f": {guess.why}" if guess.why else "")
        )
        lines.append(f"- {guess.question} **{guess.answer}** ({source})")
    if apart is not None:
        columns = ", ".join(f"`{name}`" for name in apart.columns)
        even = f"; `{apart.even}` has like shares in each" if apart.even else ""
        run = f", and no {apart.run} words on end of them," if apart.run else ""
        source = f"as `{apart.said.column}` says; " if apart.said else ""
        lines += ["", f"Splits: {source}no text of {columns}{run} stands in two{even}; seed {apart.seed}."]
    if task.warnings:
        lines += ["", "Look at:", "", *(f"- {line}" for line in task.warnings)]
    if task.aside:
        lines += ["", "Not read:", "", *(f"- {line}" for line in task.aside)]
    return lines


def _is_ours(path: Path) -> bool:
    return path.read_text(encoding="utf-8", errors="replace").startswith(_MARK)
