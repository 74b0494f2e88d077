"""`openflan tasks audit`: what a tokenizer does where prompt and answer meet."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from openflan.cli.options import DataOption, FoldersOption, JsonOption

__all__ = ["audit"]


def audit(
    tokenizer: Annotated[str, typer.Option("--tokenizer", help="A model folder, a hub id or `starter`.")],
    words: Annotated[list[str] | None, typer.Argument(help="Tasks or clusters; the whole catalog if left out.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows a task.")] = 5,
    separator: Annotated[str, typer.Option("--separator", help="What stands between prompt and answer.")] = "\n",
    data: DataOption = None,
    folder: FoldersOption = None,
    json_: JsonOption = False,
) -> None:
    """Tell where tokenising prompt and answer together would differ from tokenising them apart, as openflan does."""
    from openflan.evaluation.protocol import ask_prompts
    from openflan.models.load import find_model, load_rules
    from openflan.prompts.boundary import joins
    from openflan.prompts.encoding import TextEncoder
    from openflan.recipes.parts import ModelPart, PromptsPart
    from openflan.tasks.catalog import open_catalog
    from openflan.tasks.sources import find_data

    place = find_data(data or ("twins" if not folder else None))
    chosen = open_catalog(folder or []).select(words or (["mine"] if folder else ["catalog"]), where="tasks audit")
    part = PromptsPart(separator=separator)
    encoder = TextEncoder(load_rules(find_model(ModelPart(path=tokenizer), Path(tokenizer).expanduser()), part), part)
    records: list[dict[str, Any]] = []
    for entry in chosen:
        if not entry.spec.is_classification or "test" not in entry.spec.splits:
            continue
        prompts = ask_prompts(entry, encoder, limit=rows, data=place)
        pairs = [(prompt.input + separator, option) for prompt in prompts for option in prompt.answer.options]
        whose = [prompt.template for prompt in prompts for _ in prompt.answer.options]
        found = joins(encoder, pairs)
        differing = [n for n, join in enumerate(found) if join.differs]
        first = found[differing[0]] if differing else None
        records.append(
            {
                "task": entry.spec.name,
                "pairs": len(found),
                "differ": len(differing),
                "empty": sum(join.empty for join in found),
                "templates": sorted({whose[n] for n in differing}),
                "options": sorted({pairs[n][1] for n in differing})[:10],
                "apart": list(first.apart) if first else [],
                "together": list(first.together) if first else [],
            }
        )
    if json_:
        sys.stdout.write(json.dumps({"tokenizer": tokenizer, "tasks": records}, ensure_ascii=False) + "\n")
        return
    for one in records:
        line = f"{one['task']:<32} {one['differ']:>5} of {one['pairs']:>5} differ"
        if one["differ"]:
            line += f"   apart {' '.join(one['apart'])!r}, together {' '.join(one['together'])!r}"
        sys.stdout.write(line + (f"   {one['empty']} answers without a token" if one["empty"] else "") + "\n")
    total, pairs = sum(one["differ"] for one in records), sum(one["pairs"] for one in records)
    sys.stdout.write(
        f"{total:,} of {pairs:,} prompts with an option would be other tokens if tokenised together; openflan does it"
        " apart, so its own numbers do not depend on it\n"
    )
