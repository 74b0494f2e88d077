"""`openflan tasks holdout`: what leaves tuning when clusters are held out, and why."""

import json
import sys
from typing import Annotated, Any

import typer

import openflan
from openflan.cli.options import FoldersOption, JsonOption, named

__all__ = ["holdout"]


def holdout(
    clusters: Annotated[list[str], typer.Argument(help="Clusters to hold out, of the paper's or the code's view.")],
    use: Annotated[str, typer.Option("--use", help="Tasks, clusters or collections, by commas.")] = "catalog",
    no_kin: Annotated[bool, typer.Option("--no-kin", help="Keep the clusters that are close kin.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep-lineage", help="Keep tasks that share text with held-out ones.")
    ] = False,
    fidelity: Annotated[str, typer.Option("--fidelity", help="paper, or code-v1: count as the code does.")] = "paper",
    maximum: Annotated[int, typer.Option("--maximum", min=1, help="Rows beyond this add nothing to a rate.")] = 3_000,
    folder: FoldersOption = None,
    json_: JsonOption = False,
) -> None:
    """Show which tasks leave tuning with a cluster: by the paper's rule, or because they share its text."""
    with named(fidelity="--fidelity", tasks="--use"):
        tasks = openflan.Tasks(folder or [], fidelity=openflan.as_fidelity(fidelity))
        chosen = tasks.select(*use.split(","))
    division = openflan.hold_out(
        chosen, clusters, kin="none" if no_kin else "paper", lineage="keep" if keep else "drop"
    )
    dropped = {one.entry.spec.name for one in division.condemned}
    counts = [openflan.official_rows(entry.spec, "train", errata=tasks.errata) for entry in division.tuned]
    record: dict[str, Any] = {
        "hold_out": clusters,
        "clusters": list(division.clusters),
        "held_out": [
            {
                "task": entry.spec.name,
                "cluster": entry.spec.cluster,
                "rule": "asked for" if {entry.spec.cluster, entry.spec.code_cluster} & set(clusters) else "kin",
            }
            for entry in division.held_out
        ],
        "lineage": [
            {
                "task": one.entry.spec.name,
                "because_of": one.by.spec.name,
                "corpus": one.descent.corpus,
                "path": [one.entry.spec.name, *one.descent.left],
                "other_path": [one.by.spec.name, *one.descent.right],
            }
            for one in division.reasons
            if one.by is not None and one.descent is not None and one.entry.spec.name in dropped
        ],
        "tuned": [entry.spec.name for entry in division.tuned],
        "total_rate": sum(min(count, maximum) for count in counts if count is not None),
        "unknown_sizes": sum(count is None for count in counts),
    }
    if json_:
        sys.stdout.write(json.dumps(record) + "\n")
        return
    for reason, title in (("asked for", "Held out"), ("kin", "Held out with it, as close kin")):
        names = [one["task"] for one in record["held_out"] if one["rule"] == reason]
        if names:
            sys.stdout.write(f"{title}: {', '.join(names)}\n")
    for one in record["lineage"]:
        sys.stdout.write(
            f"Dropped, for it shares text: {' <- '.join(one['path'])} -> {' -> '.join(one['other_path'][-2::-1])}\n"
        )
    sys.stdout.write(f"Tuned on: {len(record['tuned'])} tasks, total rate {record['total_rate']:,}\n")
    if record["unknown_sizes"]:
        sys.stdout.write(f"(official sizes of {record['unknown_sizes']} of them are not known)\n")
