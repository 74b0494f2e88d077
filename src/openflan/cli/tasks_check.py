"""`openflan tasks check`: what is wrong with tasks, before anybody trains on them."""

import json
import sys
from typing import Annotated

import typer

import openflan
from openflan.cli.options import DataOption, FoldersOption, JsonOption, named

__all__ = ["check"]


def check(
    words: Annotated[list[str] | None, typer.Argument(help="Tasks or clusters; the whole catalog if left out.")] = None,
    data: DataOption = None,
    folder: FoldersOption = None,
    json_: JsonOption = False,
) -> None:
    """Render every template on every twin and data row and list what is wrong. Exit code 1 if anything is.

    Test rows that share a text with the task's own training rows are remarked on.
    """
    with named(tasks="tasks check"):
        chosen = openflan.Tasks(folder or []).select(*(words or ["mine" if folder else "catalog"]))
    checked = [task.check(data=data) for task in chosen]
    faults = [fault for one in checked for fault in one.faults]
    sound = [task for task, one in zip(chosen, checked, strict=True) if not one.faults]
    own = [rows for task in sound if (rows := openflan.own_rows(task, data=data)) is not None]
    remarks = [(one.task, remark) for one in checked for remark in one.remarks]
    remarks += [(rows.task, rows.sentence) for rows in own if not rows.fresh]
    counts = {
        "tasks": len(checked),
        "templates": sum(one.templates for one in checked),
        "rows": sum(one.rows for one in checked),
        "dropped": sum(one.dropped for one in checked),
        "unlabelled": sum(one.unlabelled for one in checked),
        "faulty": sum(one.faulty for one in checked),
        "prompts": sum(one.prompts for one in checked),
    }
    if json_:
        errors = [{"task": f.task, "where": f.where, "what": f.what} for f in faults]
        notes = [{"task": task, "what": what} for task, what in remarks]
        tests = [{"task": r.task, "rows": r.rows, "stale": r.stale, "uncompared": r.uncompared} for r in own]
        record = {**counts, "errors": errors, "remarks": notes, "test_rows": tests}
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    else:
        sys.stdout.writelines(f"{f.task}: {f.what}  ({f.where})\n" for f in faults)
        sys.stdout.writelines(f"{task}: remark: {what}\n" for task, what in remarks)
        sys.stdout.writelines(f"{path}: {form}\n" for one in checked for path, form in one.forms.items())
        unlabelled = f", {counts['unlabelled']:,} of them without a label" if counts["unlabelled"] else ""
        faulty = f"; {counts['faulty']:,} rows can't be used" if counts["faulty"] else ""
        sys.stdout.write(
            f"{counts['tasks']} tasks, {counts['templates']} templates; {counts['prompts']:,} prompts rendered from"
            f" {counts['rows']:,} rows ({counts['dropped']:,} left out by cleaning{unlabelled}{faulty}):"
            f" {len(faults)} faults\n"
        )
    if faults:
        raise typer.Exit(1)
