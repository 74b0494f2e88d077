"""`openflan tasks`: which tasks there are and how they read."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openflan.cli.options import DataOption, JsonOption

if TYPE_CHECKING:
    from openflan.tasks.catalog import Catalog, Entry

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Look at the tasks.", rich_markup_mode=None)

FoldersOption = Annotated[list[Path] | None, typer.Option("--folder", help="A folder of your own task files.")]


def _open(folders: list[Path] | None) -> "Catalog":
    from openflan.tasks.catalog import open_catalog

    return open_catalog(folders or [])


@app.command("list")
def list_(
    words: Annotated[list[str] | None, typer.Argument(help="Tasks, clusters or collections; all if left out.")] = None,
    clusters: Annotated[bool, typer.Option("--clusters", help="Only the clusters.")] = False,
    folder: FoldersOption = None,
    json_: JsonOption = False,
) -> None:
    """List tasks by cluster."""
    from openflan.tasks.clusters import CLUSTERS

    catalog = _open(folder)
    entries = catalog.select(words or list(CLUSTERS), where="tasks list")
    if clusters:
        counts = {name: sum(entry.spec.cluster == name for entry in entries) for name in CLUSTERS}
        if json_:
            sys.stdout.write(json.dumps(counts) + "\n")
            return
        for name, count in counts.items():
            sys.stdout.write(f"{name:<40} {count:>3} tasks  {CLUSTERS[name]}\n")
        return
    if json_:
        records = [{"collection": e.collection, **e.spec.model_dump(mode="json")} for e in entries]
        sys.stdout.write(json.dumps(records) + "\n")
        return
    for cluster in CLUSTERS:
        members = [entry for entry in entries if entry.spec.cluster == cluster]
        if members:
            sys.stdout.write(f"{cluster}\n")
        for entry in members:
            spec = entry.spec
            source = spec.source.hub or (f"starter world: {spec.source.starter}" if spec.source.starter else "files")
            sys.stdout.write(f"  {spec.name:<32} {len(spec.templates):>2} templates  {entry.collection:<8} {source}\n")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A task.")],
    row: Annotated[int, typer.Option("--row", min=0, help="Which row of the split.")] = 0,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "train",
    hub: Annotated[bool, typer.Option("--hub", help="A row of the real dataset, downloaded, not of its twin.")] = False,
    data: DataOption = None,
    folder: FoldersOption = None,
    json_: JsonOption = False,
) -> None:
    """Render a row under every template of a task: of its twin, or of real data with --data or --hub."""
    from openflan.errors import UserError, did_you_mean
    from openflan.prompts.render import TaskRenderer
    from openflan.tasks.sources import load_rows, load_twin

    catalog = _open(folder)
    if name not in catalog.entries:
        raise UserError(f"no task '{name}'", how=did_you_mean(name, catalog.entries) or "see `openflan tasks list`")
    if split not in ("train", "validation", "test"):
        raise UserError(f"no split '{split}'", where="--split", how="train, validation or test")
    entry: Entry = catalog.entries[name]
    twin = data is None and not entry.spec.source.starter and not entry.spec.source.files and not hub
    rows = load_twin(entry) if twin else load_rows(entry, split, data=data, limit=row + 1)  # type: ignore[arg-type]
    if row >= len(rows):
        raise UserError(f"{split} has {len(rows)} rows", where=f"--row {row}", how="choose a smaller one")
    renderer = TaskRenderer(entry)
    fitting = renderer.applicable(rows[row])
    prompts = [renderer.render(rows[row], number) for number in fitting]
    if json_:
        records = [
            {
                "template": p.template + 1,
                "inverted": entry.spec.templates[p.template].inverted,
                "input": p.input,
                "target": p.target,
            }
            for p in prompts
        ]
        sys.stdout.write(json.dumps({"task": name, "row": rows[row].index, "prompts": records}) + "\n")
        return
    spec = entry.spec
    sys.stdout.write(
        f"{spec.name}  ({spec.cluster}, {', '.join(spec.metrics)}, licence {spec.licence})\n{spec.description}\n"
    )
    for prompt in prompts:
        inverted = ", inverted" if spec.templates[prompt.template].inverted else ""
        sys.stdout.write(f"\n--- template {prompt.template + 1}{inverted} ---\n{prompt.input}\n  => {prompt.target}\n")


@app.command("check")
def check(
    words: Annotated[list[str] | None, typer.Argument(help="Tasks or clusters; the whole catalog if left out.")] = None,
    data: DataOption = None,
    folder: FoldersOption = None,
    json_: JsonOption = False,
) -> None:
    """Find what is wrong with tasks: render every template on every twin and data row."""
    from openflan.prompts.lint import check_task

    catalog = _open(folder)
    chosen = catalog.select(words or (["mine"] if folder else ["catalog"]), where="tasks check")
    checked = [check_task(entry, data=data, strict=entry.collection == "catalog") for entry in chosen]
    findings = [finding for one in checked for finding in one.findings]
    if json_:
        record = {
            "tasks": len(checked),
            "templates": sum(one.templates for one in checked),
            "prompts": sum(one.prompts for one in checked),
            "rows": sum(one.rows for one in checked),
            "dropped": sum(one.dropped for one in checked),
            "errors": [{"task": f.task, "where": f.where, "what": f.what} for f in findings],
        }
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    else:
        for f in findings:
            sys.stdout.write(f"{f.task}: {f.what}  ({f.where})\n")
        sys.stdout.write(
            f"{len(checked)} tasks, {sum(one.templates for one in checked)} templates,"
            f" {sum(one.prompts for one in checked):,} prompts rendered: {len(findings)} faults\n"
        )
    if findings:
        raise typer.Exit(1)
