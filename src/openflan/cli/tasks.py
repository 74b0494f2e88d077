"""`openflan tasks`: which tasks there are and how they read."""

import json
import sys
from typing import Annotated, Any

import typer

import openflan
from openflan.cli import tasks_audit, tasks_check, tasks_holdout, tasks_import, tasks_new
from openflan.cli.options import DataOption, FoldersOption, JsonOption, named

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
    tasks = openflan.Tasks(folder or [])
    with named(tasks="tasks list"):
        chosen = tasks.select(*(words or []))
    if clusters:
        meanings = {**tasks.clusters, **tasks.subclusters}
        counts = {name: sum(name in task.spec.called for task in chosen) for name in meanings}
        if json_:
            sys.stdout.write(json.dumps({name: counts[name] for name in tasks.clusters}) + "\n")
            return
        for name, count in counts.items():
            indent = "  " if name in tasks.subclusters else ""
            sys.stdout.write(f"{indent + name:<40} {count:>3} tasks  {meanings[name]}\n")
        return
    if json_:
        records = [
            {"collection": e.collection, **e.spec.model_dump(mode="json"), "compares": e.spec.normal_forms}
            for e in chosen
        ]
        sys.stdout.write(json.dumps(records, ensure_ascii=False) + "\n")
        return
    _print_table(chosen, list(tasks.clusters))


def _print_table(tasks: list["openflan.Task"], clusters: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("task", "train rows", "templates", "kind", "metrics", "licence", "source"):
        right = name in ("train rows", "templates")
        table.add_column(name, justify="right" if right else "left", no_wrap=name in ("task", "train rows"))
    for cluster in clusters:
        members = sorted((t for t in tasks if t.cluster == cluster), key=lambda task: task.spec.subcluster or "")
        if members:
            table.add_row(f"[bold]{cluster}[/bold]")
        for task in members:
            spec, rows = task.spec, task.official_rows
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
    forms = {name: form for task in tasks for name, form in task.spec.normal_forms.items()}
    if forms:
        sys.stdout.write("\nwhat counts when answers are compared\n")
        sys.stdout.writelines(f"  {name:<18} {form}\n" for name, form in sorted(forms.items()))


def _unverified(spec: "openflan.TaskSpec", what: str) -> str:
    """What to say after a value that nobody has seen a record of."""
    return " (unverified)" if what in spec.unverified else ""


def _source(spec: "openflan.TaskSpec") -> str:
    source = spec.source
    if source.hub:
        folder = source.patterns(next(iter(source.files)))[0].partition("/")[0].strip("*") if source.files else ""
        return f"{source.hub} {source.config or folder}".rstrip() + (" (by hand)" if source.by_hand else "")
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
    with named(fidelity="--fidelity", split="--split", row="--row"):
        tasks = openflan.Tasks(folder or [], fidelity=openflan.as_fidelity(fidelity))
        task = tasks[name]
        shown = task.show(row, split=split, data=data or ("hub" if hub else None))  # type: ignore[arg-type]
    spec = task.spec
    baseline = shown.baseline
    if json_:
        record = {
            "task": name,
            "row": shown.row.index,
            "twin": shown.twin,
            "errata": [name for name in task.errata if name in tasks.errata],
            "prompts": [_record(spec, prompt) for prompt in shown.prompts],
            "baseline": None if baseline is None else {"input": baseline.input, "target": baseline.target},
        }
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        return
    _print_facts(task, tasks.errata)
    kind = "the twin's" if shown.twin else split
    sys.stdout.write(f"Row {shown.row.index + 1} of {kind} rows under every template that fits it:\n")
    for prompt in shown.prompts:
        inverted = ", inverted" if spec.templates[prompt.number].inverted else ""
        sys.stdout.write(f"\n--- template {prompt.number + 1}{inverted} ---\n{prompt.input}\n  => {prompt.target}\n")
    if baseline is not None:
        sys.stdout.write(f"\n--- baseline, for untuned models ---\n{baseline.input}\n  => {baseline.target}\n")


def _record(spec: "openflan.TaskSpec", prompt: "openflan.Prompt") -> dict[str, Any]:
    return {
        "template": prompt.number + 1,
        "inverted": spec.templates[prompt.number].inverted,
        "input": prompt.input,
        "target": prompt.target,
    }


def _print_facts(task: "openflan.Task", errata: frozenset[str]) -> None:
    """What a spec says, a line each."""
    spec = task.spec
    facts = {
        "cluster": spec.cluster + (f" / {spec.subcluster}" if spec.subcluster else ""),
        "kind": f"{spec.kind}; {', '.join(spec.metrics)}",
        "compares": "; ".join(f"{name}: {form}" for name, form in spec.normal_forms.items()),
        "source": _source(spec) + (f" @ {spec.source.revision}" if spec.source.revision else ""),
        "by hand": spec.source.by_hand or "",
        "splits": "; ".join(f"{role}: {text}" for role, text in spec.splits.items()),
        "licence": spec.licence
        + {True: ", commercial use allowed", False: ", no commercial use", None: ""}[spec.commercial_use],
        "lineage": ", ".join(spec.lineage),
        "unverified": ", ".join(spec.unverified),
        "notes": spec.notes,
        "errata": "; ".join(
            f"{name} ({'on: ' + what if name in errata else 'off'})" for name, what in task.errata.items()
        ),
    }
    sys.stdout.write(f"{spec.name}: {spec.description}\n")
    sys.stdout.writelines(f"  {key:<10} {text}\n" for key, text in facts.items() if text)
    sys.stdout.write("\n")
