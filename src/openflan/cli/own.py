"""What was made of a folder of tables, as people read it."""

from typing import TextIO

import openflan

__all__ = ["print_initialised"]


def print_initialised(initialised: "openflan.Initialised", out: TextIO) -> None:
    """Tasks with kind and rows, what nobody was sure of, what concerns the tables, and what is held out and why."""
    for task in initialised.tasks:
        if not task.new:
            out.write(f"{task.entry.path}: was there already\n")
            continue
        kind = task.kind.replace("_", " ")
        cluster = task.entry.spec.code_cluster.replace("_", " ")
        out.write(f"{task.entry.path}: {kind} ({cluster}), {task.confidence:.0%} sure, {task.rows:,} rows\n")
        out.writelines(f"  guessed: {guess}\n" for guess in task.unsure)
        out.writelines(f"  {warning}\n" for warning in task.warnings)
    out.writelines(f"{line}\n" for line in initialised.warnings)
    if initialised.added:
        out.write(f"{initialised.readme}: all that was guessed\n")
    out.write(f"{initialised.recipe}\n")
    out.writelines(f"  {sentence}\n" for sentence in initialised.why)
