"""`openflan init`: from a folder of tables to tasks, a recipe and a page that says what was guessed."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import DataOption, JsonOption, QuietOption
from openflan.cli.own import print_initialised

__all__ = ["init"]


def init(
    folder: Annotated[Path, typer.Argument(help="A folder with your tables: .csv, .jsonl, .parquet, .xlsx …")],
    model: Annotated[str | None, typer.Option("--model", help="Hub id or folder of the model to tune.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take every guess, and list it.")] = False,
    data: DataOption = None,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Make a task of each table and a recipe for them all; what is there is never written over."""
    asks = not (yes or quiet or json_) and sys.stdin.isatty() and sys.stdout.isatty()
    initialised = openflan.init_folder(folder, model=model, data=data, ask=_ask if asks else None)
    if json_:
        sys.stdout.write(json.dumps(_record(initialised), ensure_ascii=False) + "\n")
    elif not quiet:
        print_initialised(initialised, sys.stdout)


def _ask(guess: "openflan.TableGuess") -> str | None:
    """Ask the table's owner; Enter takes the guess."""
    from rich.console import Console
    from rich.prompt import Prompt

    console = Console()
    console.print(f"\n[bold]{guess.table}[/bold]: {guess.question}", highlight=False)
    if guess.why:
        console.print(f"  [dim]{guess.why}; {guess.confidence:.0%} sure[/dim]", highlight=False)
    if not guess.choices:
        return Prompt.ask("  answer", default=guess.answer, console=console)
    for number, choice in enumerate(guess.choices, start=1):
        console.print(f"  {number}. {choice}", highlight=False)
    default = str(guess.choices.index(guess.answer) + 1) if guess.answer in guess.choices else "1"
    answer = Prompt.ask("  number or your own words", default=default, console=console)
    return guess.choices[int(answer) - 1] if answer.isdecimal() and 0 < int(answer) <= len(guess.choices) else answer


def _record(initialised: "openflan.Initialised") -> dict[str, object]:
    return {
        "folder": str(initialised.folder),
        "recipe": str(initialised.recipe),
        "readme": str(initialised.readme),
        "study": None if initialised.study is None else str(initialised.study),
        "warnings": initialised.warnings,
        "why": initialised.why,
        "tasks": [
            {
                "task": task.entry.spec.name,
                "file": str(task.entry.path),
                "new": task.new,
                "kind": task.kind,
                "cluster": task.entry.spec.cluster,
                "confidence": task.confidence,
                "rows": task.rows,
                "size": task.entry.spec.size,
                "guesses": [
                    {
                        "about": guess.about,
                        "question": guess.question,
                        "answer": guess.answer,
                        "confidence": guess.confidence,
                        "asked": guess.asked,
                        "why": guess.why,
                    }
                    for guess in task.guesses
                ],
                "aside": task.aside,
                "warnings": task.warnings,
            }
            for task in initialised.tasks
        ],
    }
