"""A model a user names on the command line, ready to be asked."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.models.load import find_model, load_model, load_rules, pick_device
from openflan.prompts.encoding import TextEncoder
from openflan.recipe import ModelPart, PromptsPart

__all__ = ["OpenedModel", "open_model"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedModel:
    """A model, its encoder and the text format it was tuned with."""

    model: Any
    encoder: TextEncoder
    prompts: PromptsPart


def open_model(name: str, *, chat: bool = False) -> OpenedModel:
    """Open a run folder (its first tuned model), a model folder, a hub id or `starter`.

    A model is asked in the format that its `openflan.json` names (tuned models and the starter base have one),
    another in the default one.

    Args:
        chat: put inputs into the tokenizer's chat template.

    Raises:
        UserError: there is no such model, or a run folder has no tuned model yet.
    """
    folder = Path(name).expanduser()
    if (folder / "run.json").is_file():
        tuned = sorted(folder.glob("training/seed-*/model"))
        if not tuned:
            raise UserError("no tuned model yet", where=name, how="finish it with `openflan run`")
        folder = tuned[0]
    source = find_model(ModelPart(path=name), folder)
    card = source.folder / "openflan.json" if source.folder else None
    if card is not None and card.is_file():
        prompts = PromptsPart.model_validate_json(json.dumps(json.loads(card.read_text(encoding="utf-8"))["prompts"]))
    else:
        positions = source.positions or 1280
        target = min(256, positions // 4)
        prompts = PromptsPart(max_input_tokens=min(1024, positions - target), max_target_tokens=target)
    prompts = prompts.model_copy(update={"chat": True}) if chat else prompts
    rules = load_rules(source, prompts)
    model = load_model(source, device=pick_device())
    return OpenedModel(model=model, encoder=TextEncoder(rules, prompts), prompts=prompts)
