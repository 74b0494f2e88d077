"""`openflan tasks audit`: what a tokenizer does where prompt and answer meet."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

import openflan
from openflan.cli.options import DataOption, FoldersOption, JsonOption, named

__all__ = ["audit"]


def audit(
    tokenizer: Annotated[str, typer.Option("--tokenizer", help="A model folder, a hub id or `starter`.")],
    words: Annotated[list[str] | None, typer.Argument(help="Tasks or clusters; the whole catalog if left out.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows a task.")] = 5,
    separator: Annotated[str, typer.Option("--separator", help="What stands between prompt and answer.")] = "\n",
    data: DataOption = None,
    folder: FoldersOption = None,
    json_: JsonOption = False,
) -> None:
    """Tell where tokenising prompt and answer together would differ from tokenising them apart, as openflan does."""
    with named(tasks="tasks audit"):
        audits = openflan.audit_tokenizer(
            tokenizer, words or [], rows=rows, separator=separator, folders=folder or [], data=data
        )
    if json_:
        record = {"tokenizer": tokenizer, "tasks": [asdict(one) for one in audits]}
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        return
    for one in audits:
        line = f"{one.task:<32} {one.differ:>5} of {one.pairs:>5} differ"
        if one.differ:
            line += f"   apart {' '.join(one.apart)!r}, together {' '.join(one.together)!r}"
        sys.stdout.write(line + (f"   {one.empty} answers without a token" if one.empty else "") + "\n")
    differ, pairs = sum(one.differ for one in audits), sum(one.pairs for one in audits)
    sys.stdout.write(
        f"{differ:,} of {pairs:,} prompts with an option would be other tokens if tokenised together; openflan does it"
        " apart, so its own numbers do not depend on it\n"
    )
