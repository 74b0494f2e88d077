"""`openflan ask`: say in plain words what you want of a tuned model."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

import openflan
from openflan.cli.options import JsonOption
from openflan.errors import UserError

__all__ = ["ask"]


def ask(
    instruction: Annotated[str, typer.Argument(help="What you want, in plain words.")],
    model: Annotated[str, typer.Option("--model", help="A run or model folder, a GGUF file or a hub id.")] = "starter",
    options: Annotated[
        str | None, typer.Option("--options", help="Answers to choose from, separated by commas.")
    ] = None,
    input_: Annotated[Path | None, typer.Option("--input", help="A text file the instruction is about.")] = None,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help="Longest answer.")] = 64,
    json_: JsonOption = False,
) -> None:
    """Answer an instruction; with options, rank them and show their probabilities."""
    choices = [choice.strip() for choice in options.split(",") if choice.strip()] if options else []
    if options is not None and len(set(choices)) < 2:
        raise UserError("needs two different options or more", where="--options", how="e.g. --options yes,no")
    if not instruction.strip():
        raise UserError("the instruction is empty", how='e.g. openflan ask --model RUN "Name a colour."')
    if input_ is not None and not input_.is_file():
        raise UserError("no such file", where=f"--input {input_}", how="check the path")
    text = "" if input_ is None else input_.read_text(encoding="utf-8")
    opened = openflan.Model(model)
    if not choices:
        answer = opened.answer(instruction, text=text, max_new_tokens=max_new_tokens)
        sys.stdout.write((json.dumps({"answer": answer}) if json_ else answer) + "\n")
        return
    ranked = opened.rank(instruction, choices, text=text)
    lines = list(zip(ranked.options, ranked.probabilities, ranked.logprobs, strict=True))
    if json_:
        records = [{"option": o, "probability": p, "logprob": s} for o, p, s in lines]
        sys.stdout.write(json.dumps({"answer": ranked.best, "options": records}) + "\n")
        return
    width = max(map(len, choices))
    for option, probability, _ in lines:
        sys.stdout.write(f"{option:<{width}}  {probability:6.1%}\n")
