"""`openflan ask`: say in plain words what you want of a tuned model."""

import json
import sys
from math import exp
from pathlib import Path
from typing import Annotated

import typer

from openflan.cli.options import JsonOption
from openflan.errors import UserError

__all__ = ["ask"]


def ask(
    instruction: Annotated[str, typer.Argument(help="What you want, in plain words.")],
    model: Annotated[str, typer.Option("--model", help="A run folder, a model folder or a hub id.")] = "starter",
    options: Annotated[
        str | None, typer.Option("--options", help="Answers to choose from, separated by commas.")
    ] = None,
    input_: Annotated[Path | None, typer.Option("--input", help="A text file the instruction is about.")] = None,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help="Longest answer.")] = 64,
    json_: JsonOption = False,
) -> None:
    """Answer an instruction; with options, rank them and show their probabilities."""
    from openflan.cli.opened import open_model
    from openflan.evaluation.generation import generate
    from openflan.evaluation.ranking import Question, rank_options
    from openflan.prompts.options import options_block

    choices = [choice.strip() for choice in options.split(",") if choice.strip()] if options else []
    if options is not None and len(set(choices)) < 2:
        raise UserError("needs two different options or more", where="--options", how="e.g. --options yes,no")
    parts = [instruction.strip()]
    if not parts[0]:
        raise UserError("the instruction is empty", how='e.g. openflan ask --model RUN "Name a colour."')
    if input_ is not None:
        if not input_.is_file():
            raise UserError("no such file", where=f"--input {input_}", how="check the path")
        parts.append(input_.read_text(encoding="utf-8").strip())
    if choices:
        parts.append(options_block(choices))
    opened = open_model(model)
    prompt = opened.encoder.inputs(["\n\n".join(parts)])[0]
    if not choices:
        answer = generate(
            opened.model,
            opened.encoder,
            [prompt],
            max_new_tokens=max_new_tokens,
            batch_tokens=len(prompt) + max_new_tokens,
        )[0]
        sys.stdout.write((json.dumps({"answer": answer}) if json_ else answer) + "\n")
        return
    tokens = opened.encoder.targets(choices, end=False)
    question = Question(prompt=prompt, options=tokens, texts=choices)
    scores = rank_options(opened.model, [question], batch_tokens=len(prompt) * 2)[0].logprob
    top = max(scores)
    weights = [exp(score - top) for score in scores]
    ranked = sorted(zip(choices, weights, scores, strict=True), key=lambda item: -item[1])
    if json_:
        records = [{"option": o, "probability": w / sum(weights), "logprob": s} for o, w, s in ranked]
        sys.stdout.write(json.dumps({"answer": ranked[0][0], "options": records}) + "\n")
        return
    width = max(map(len, choices))
    for option, weight, _ in ranked:
        sys.stdout.write(f"{option:<{width}}  {weight / sum(weights):6.1%}\n")
