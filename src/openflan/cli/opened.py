"""A model a user names on the command line, ready to be asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from openflan.errors import UserError, strict_error
from openflan.models.limits import positions_of
from openflan.models.load import find_model, load_model, load_rules, pick_device
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import ModelPart, PromptsPart

__all__ = ["OpenedModel", "open_model"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedModel:
    """A model, its encoder and the text format it was tuned with."""

    model: Any
    encoder: TextEncoder
    prompts: PromptsPart


def open_model(name: str, *, changes: Mapping[str, Any] | None = None) -> OpenedModel:
    """Open a run folder (its first tuned model), a model folder, a hub id or `starter`.

    A model is asked in the format that its `openflan.json` names (tuned models and the starter base have one),
    another in the default one.

    Args:
        changes: settings of the format that the user wants otherwise, as a recipe's `prompts` names them.

    Raises:
        UserError: there is no such model, a run folder has no tuned model yet, or a setting is not allowed.
    """
    folder = Path(name).expanduser()
    if (folder / "run.json").is_file():
        tuned = sorted(folder.glob("training/seed-*/model"))
        if not tuned:
            raise UserError("no tuned model yet", where=name, how="finish it with `openflan run`")
        folder = tuned[0]
    source = find_model(ModelPart(path=name), folder)
    card = source.folder / "openflan.json" if source.folder else None
    # a hub model's positions are known once it is here; of a folder, the tokenizer is checked before weights are read
    model = load_model(source, device=pick_device()) if source.folder is None else None
    if card is not None and card.is_file():
        said = json.loads(card.read_text(encoding="utf-8"))["prompts"]
    else:
        positions = (source.positions if model is None else positions_of(model)) or 1280
        target = min(256, positions // 4)
        said = {"max_input_tokens": min(1024, positions - target), "max_target_tokens": target}
    try:
        prompts = PromptsPart.model_validate_json(json.dumps({**said, **(changes or {})}))
    except ValidationError as error:
        raise strict_error(error, "prompts", PromptsPart) from None
    rules = load_rules(source, prompts)
    model = load_model(source, device=pick_device()) if model is None else model
    return OpenedModel(model=model, encoder=TextEncoder(rules, prompts), prompts=prompts)
