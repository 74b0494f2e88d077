"""`openflan`: the verbs together, and how errors look.

What the user can mend is one line and exit code 2; Ctrl-C is exit code 130 and says how to go on; anything else is
our bug and keeps its traceback. Cost: `openflan --help` 0.3 s, for no verb imports torch before it works.
"""

import gc
import os
import sys

import typer

import openflan
from openflan.cli import (
    ask,
    compare,
    evaluate,
    export,
    init,
    mix,
    plan,
    replay,
    report,
    run,
    studio,
    study,
    tasks,
)
from openflan.errors import UserError, interrupts_shown
from openflan_starter import cli as starter

__all__ = ["app", "main"]

_INTERRUPTED = 130
"""What typer makes of Ctrl-C."""
_GARBAGE = 100_000
"""New objects before a search for garbage: importing torch and reading a vocabulary make millions that stay, and at
Python's 700 a tenth of a command's start is spent searching them."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Labelled datasets in, an instruction-following model out, and proof on task clusters it never saw.",
)
app.command("run")(run.run)
app.command("init")(init.init)
app.command("plan")(plan.plan)
app.command("study")(study.study)
app.command("studio")(studio.studio)
app.command("train")(run.train)
app.command("eval")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("rescore")(compare.rescore)
app.command("report")(report.report)
app.command("publish")(export.publish)
app.command("ask")(ask.ask)
app.command("replay")(replay.replay)
app.command("trace")(replay.trace)
app.add_typer(mix.app, name="mix")
app.add_typer(export.app, name="export")
app.add_typer(tasks.app, name="tasks")
app.add_typer(starter.app, name="starter")


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"openflan {openflan.__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks of errors."),
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_version, is_eager=True),
) -> None:
    if debug:
        os.environ["OPENFLAN_DEBUG"] = "1"


def main() -> None:
    """Entry point of the `openflan` command."""
    gc.set_threshold(max(_GARBAGE, gc.get_threshold()[0]))
    try:
        with interrupts_shown():
            app()
    except UserError as error:
        if os.environ.get("OPENFLAN_DEBUG"):
            raise
        sys.stderr.write(f"openflan: {' '.join(str(error).split())}\n")
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and stop.code != _INTERRUPTED:
            raise
        sys.stderr.write("\nopenflan: stopped; the same command goes on from here\n")
        sys.exit(_INTERRUPTED)
