"""The verdict table on a terminal."""

import sys
from pathlib import Path
from typing import Any

__all__ = ["print_verdict"]


def print_verdict(results: dict[str, Any], folder: Path) -> None:
    """Print held-out and seen clusters, untuned against tuned, and where the report is."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 110)
    for role, title in (("held_out", "Held out: never tuned on"), ("seen", "Seen: fresh rows of tuned clusters")):
        records = results["verdict"][role]
        if not records:
            continue
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for name in ("cluster", "untuned", "tuned", "gain", "95 % interval", "chance", "majority", "rows"):
            table.add_column(name, justify="left" if name == "cluster" else "right")
        for record in records:
            low, high = record["gain_ci95"]
            table.add_row(
                record["cluster"].replace("_", " "),
                *(f"{record[key]:.3f}" for key in ("base", "tuned")),
                f"{record['gain']:+.3f}",
                f"{low:+.3f} to {high:+.3f}",
                *(f"{record[key]:.3f}" for key in ("chance", "majority")),
                str(record["n_rows"]),
            )
        console.print(table)
        console.print()
    console.print(results["verdict"]["sentence"], style="bold", highlight=False)
    console.print(f"results  {folder / 'results.json'}", highlight=False, soft_wrap=True)
    console.print(f"report   {folder / 'report.html'}", highlight=False, soft_wrap=True)
