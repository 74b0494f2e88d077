"""`openflan tasks`: which tasks there are and how they read."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openflan.cli import tasks_audit, tasks_check, tasks_holdout, tasks_import, tasks_new
from openflan.cli.options import DataOption, FoldersOption, JsonOption, fidelity_errata

if TYPE_CHECKING:
    from openflan.prompts.render import Prompt
    from openflan.tasks.catalog import Entry
    from openflan.tasks.spec import TaskSpec

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Look at the tasks, check them, make your own.", rich_markup_mode=None)
app.command("audit")(tasks_audit.audit)
app.command("check")(tasks_check.check)
app.command("holdout")(tasks_holdout.holdout)
app.command("new")(tasks_new.new)
app.command("import")(tasks_import.import_)

_WIDE = 140
"""Columns of a table that is not read on a terminal."""

FidelityOption = Annotated[str, typer.Option("--fidelity", help="paper, or code-v1: as the authors' code does.")]


@app.command("list")
def list_(
    words: Annotated[list[str] | None, typer.Argument(help="Tasks, clusters or collections; all if left out.")] = None,
    clusters: Annotated[bool, typer.Option("--clusters", help="Only the clusters.")] = False,
    folder: FoldersOption = None,
    json_: JsonOption = False,
) -> None:
    """List tasks by cluster."""
    from openflan.tasks.catalog import COLLECTIONS, open_catalog
    from openflan.tasks.clusters import CLUSTERS, SUBCLUSTERS

    entries = open_catalog(folder or []).select(words or [*COLLECTIONS, "mine"], where="tasks list")
    if clusters:
        counts = {name: sum(name in entry.spec.called for entry in entries) for name in (*CLUSTERS, *SUBCLUSTERS)}
        if json_:
            sys.stdout.write(json.dumps({name: counts[name] for name in CLUSTERS}) + "\n")
            return
        for name, count in counts.items():
            indent = "  " if name in SUBCLUSTERS else ""
            what = {**CLUSTERS, **SUBCLUSTERS}[name]
            sys.stdout.write(f"{indent + name:<40} {count:>3} tasks  {what}\n")
        return
    if json_:
        records = [{"collection": e.collection, **e.spec.model_dump(mode="json")} for e in entries]
        sys.stdout.write(json.dumps(records, ensure_ascii=False) + "\n")
        return
    _print_table(entries)


def _print_table(entries: "list[Entry]") -> None:
    from rich.console import Console
    from rich.table import Table

    from openflan.tasks.clusters import CLUSTERS
    from openflan.tasks.splits import official_rows

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("task", "train rows", "templates", "kind", "metrics", "licence", "source"):
        right = name in ("train rows", "templates")
        table.add_column(name, justify="right" if right else "left", no_wrap=name in ("task", "train rows"))
    for cluster in CLUSTERS:
        members = sorted((e for e in entries if e.spec.cluster == cluster), key=lambda e: e.spec.subcluster or "")
        if members:
            table.add_row(f"[bold]{cluster}[/bold]")
        for entry in members:
            spec = entry.spec
            rows = official_rows(spec, "train")
            inverted = sum(template.inverted for template in spec.templates)
            table.add_row(
                f"  {spec.name}",
                f"{rows:,}{_unverified(spec, 'size')}"
                if rows is not None
                else "evaluation only"
                if spec.evaluation_only
                else "",
                f"{len(spec.templates)}" + (f" ({inverted} inv.)" if inverted else ""),
                spec.subcluster or spec.kind,
                ", ".join(spec.metrics),
                spec.licence + _unverified(spec, "licence"),
                _source(spec) + _unverified(spec, "files"),
            )
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table, highlight=False)


def _unverified(spec: "TaskSpec", what: str) -> str:
    """What to say after a value that nobody has seen a record of."""
    return " (unverified)" if what in spec.unverified else ""


def _source(spec: "TaskSpec") -> str:
    source = spec.source
    if source.hub:
        part = source.config or (source.patterns(next(iter(source.files)))[0] if source.files else "")
        return f"{source.hub} {part}".rstrip() + (" (by hand)" if source.by_hand else "")
    return f"starter world: {source.starter}" if source.starter else "your files" if source.local_files else "by hand"


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A task.")],
    row: Annotated[int, typer.Option("--row", min=0, help="Which row.")] = 0,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "train",
    hub: Annotated[bool, typer.Option("--hub", help="A row of the real dataset, downloaded.")] = False,
    fidelity: FidelityOption = "paper",
    data: DataOption = None,
    folder: FoldersOption = None,
    json_: JsonOption = False,
) -> None:
    """Render a row under every template: of the task's twin, or of real data with --data or --hub."""
    from openflan.errors import UserError, did_you_mean
    from openflan.prompts.showing import show_row
    from openflan.tasks.catalog import open_catalog
    from openflan.tasks.sources import find_data

    errata = fidelity_errata(fidelity)
    entries = open_catalog(folder or [], errata=errata).entries
    if name not in entries:
        raise UserError(f"no task '{name}'", how=did_you_mean(name, entries) or "see `openflan tasks list`")
    if split not in ("train", "validation", "test"):
        raise UserError(f"no split '{split}'", where="--split", how="train, validation or test")
    spec = entries[name].spec
    shown = show_row(entries[name], row, role=split, data=find_data(data), hub=hub)  # type: ignore[arg-type]
    baseline = shown.baseline
    if json_:
        record = {
            "task": name,
            "row": shown.row.index,
            "twin": shown.twin,
            "errata": _active(spec, errata),
            "prompts": [_record(spec, prompt) for prompt in shown.prompts],
            "baseline": None if baseline is None else {"input": baseline.input, "target": baseline.target},
        }
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        return
    _print_facts(spec, errata)
    kind = "the twin's" if shown.twin else split
    sys.stdout.write(f"Row {shown.row.index + 1} of {kind} rows under every template that fits it:\n")
    for prompt in shown.prompts:
        inverted = ", inverted" if spec.templates[prompt.number].inverted else ""
        sys.stdout.write(f"\n--- template {prompt.number + 1}{inverted} ---\n{prompt.input}\n  => {prompt.target}\n")
    if baseline is not None:
        sys.stdout.write(f"\n--- baseline, for untuned models ---\n{baseline.input}\n  => {baseline.target}\n")


def _record(spec: "TaskSpec", prompt: "Prompt") -> dict[str, Any]:
    return {
        "template": prompt.number + 1,
        "inverted": spec.templates[prompt.number].inverted,
        "input": prompt.input,
        "target": prompt.target,
    }


def _active(spec: "TaskSpec", errata: frozenset[str]) -> list[str]:
    """The errata that are on and change this task's rows."""
    from openflan.tasks.errata import errata_of

    return [name for name in errata_of(spec) if name in errata]


def _print_facts(spec: "TaskSpec", errata: frozenset[str]) -> None:
    """What a spec says, a line each."""
    from openflan.tasks.errata import ERRATA, errata_of

    facts = {
        "cluster": spec.cluster + (f" / {spec.subcluster}" if spec.subcluster else ""),
        "kind": f"{spec.kind}; {', '.join(spec.metrics)}",
        "source": _source(spec) + (f" @ {spec.source.revision}" if spec.source.revision else ""),
        "by hand": spec.source.by_hand or "",
        "splits": "; ".join(f"{role}: {text}" for role, text in spec.splits.items()),
        "licence": spec.licence
        + {True: ", commercial use allowed", False: ", no commercial use", None: ""}[spec.commercial_use],
        "lineage": ", ".join(spec.lineage),
        "unverified": ", ".join(spec.unverified),
        "notes": spec.notes,
        "errata": "; ".join(
            f"{name} ({'on: ' + ERRATA[name].what if name in errata else 'off'})" for name in errata_of(spec)
        ),
    }
    sys.stdout.write(f"{spec.name}: {spec.description}\n")
    sys.stdout.writelines(f"  {key:<10} {text}\n" for key, text in facts.items() if text)
    sys.stdout.write("\n")
