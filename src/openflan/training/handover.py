"""What leaves a training: a model folder in Hugging Face layout, with a card that says what went into it.

    model/  config.json  model.safetensors  tokenizer.json …  README.md       all weights tuned, or an adapter merged
    model/  adapter_config.json  adapter_model.safetensors …  README.md       an adapter, as peft reads it
            openflan.json, in both: the text format that the model was tuned in

Invariant: the card's figures are the mixture's own ledger and certificate, nothing is told from memory.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import openflan
from openflan.errors import UserError
from openflan.mixture.certificate import read_certificate
from openflan.mixture.ledger import LedgerTask, read_ledger
from openflan.models.adapters import Adapter, add_adapter, soft_prompt
from openflan.models.limits import check_vocabulary
from openflan.models.load import ModelSource, load_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.text_format import write_text_format
from openflan.recipes.parts import PromptsPart
from openflan.recipes.recipe import Recipe
from openflan.stage import new_folder, write_atomically

__all__ = ["Provenance", "copy_model", "make_trainable", "merge_model", "save_model"]

_PIECES = "tokenizer.model"
"""A vocabulary as SentencePiece keeps it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What a tuned model was made from."""

    recipe: Recipe
    source: ModelSource
    mixture: Path
    errata: Sequence[str]
    seed: int


def make_trainable(model: Any, source: ModelSource, recipe: Recipe, encoder: TextEncoder, *, seed: int) -> Adapter:
    """The model as the recipe tunes it: all its weights, or an adapter.

    Raises:
        UserError: the adapter does not fit the model, or the tokenizer has more words than it.
    """
    check_vocabulary(model, encoder)
    part = recipe.model.adapter
    if part is None:
        return Adapter(model=model, save=model.save_pretrained)
    base = str(source.folder.resolve()) if source.folder is not None else source.name
    return add_adapter(model, part, seed=seed, base=base, words=lambda text: encoder.targets([text], end=False)[0])


def save_model(
    folder: Path, tuned: Adapter, encoder: TextEncoder, provenance: Provenance, *, weights: Mapping[str, Any] | None
) -> None:
    """Write a tuned model, its tokenizer, its text format and its card.

    Args:
        weights: put together from several processes, where they hold parts of them.
    """
    if weights is None or provenance.recipe.model.adapter is not None:
        tuned.save(folder)
    else:
        tuned.model.save_pretrained(folder, state_dict=weights)
    load_tokenizer(provenance.source).save_pretrained(folder)
    pieces = (provenance.source.folder or provenance.source.stored(_PIECES)) / _PIECES
    if pieces.is_file():  # other programs (llama.cpp) read the vocabulary from it
        shutil.copy2(pieces, folder / _PIECES)
    write_text_format(folder, encoder.format.model_copy(update={"ends": True}))
    write_atomically(folder / "README.md", _card(provenance, halves=encoder.frame.after != ()))


def copy_model(model: Path, target: Path) -> None:
    """Write a tuned model's folder as it is.

    Raises:
        UserError: the target exists or can't be written.
    """
    with new_folder(target, option="--to") as partial:
        shutil.copytree(model, partial, dirs_exist_ok=True)


def merge_model(model: Path, source: ModelSource, target: Path) -> None:
    """Write a tuned model's folder as one that needs neither peft nor its base; a whole model is copied.

    Raises:
        UserError: the target exists, or the model has a soft prompt, which is no weight of a plain model.
    """
    if source.adapter is None:
        copy_model(model, target)
        return
    whole = load_model(source, device=torch.device("cpu"))
    if soft_prompt(whole):
        how = "export it without --merge: peft puts it before every input"
        raise UserError("a soft prompt is no weight of a plain model", where=str(model), how=how)
    with new_folder(target, option="--to") as partial:
        for path in model.iterdir():
            if not path.name.startswith("adapter_"):
                shutil.copy2(path, partial / path.name)
        whole.save_pretrained(partial)
        card = (partial / "README.md").read_text(encoding="utf-8")
        write_atomically(partial / "README.md", card.replace("library_name: peft", "library_name: transformers"))


def _card(provenance: Provenance, *, halves: bool) -> str:
    recipe, adapter = provenance.recipe, provenance.recipe.model.adapter
    ledger = read_ledger(provenance.mixture)
    clusters: dict[str, list[tuple[str, LedgerTask]]] = {}
    for name, task in ledger.tasks.items():
        clusters.setdefault(task.cluster, []).append((name, task))
    held_out = ", ".join(ledger.held_out_clusters) or "none"
    lines = [
        "---",
        *([f"base_model: {recipe.model.path}"] if provenance.source.folder is None else []),
        f"library_name: {'transformers' if adapter is None else 'peft'}",
        f"pipeline_tag: {'text2text-generation' if halves else 'text-generation'}",
        "tags: [openflan, instruction-tuning, flan]",
        "---",
        "",
        f"# {recipe.name}",
        "",
        f"`{recipe.model.path}` tuned on {len(ledger.tasks)} instruction tasks of {len(clusters)} clusters with"
        f" openflan {openflan.__version__}: {recipe.training.steps:,} steps of {recipe.training.tokens_per_batch:,}"
        f" tokens, seed {provenance.seed}, {_tuned_part(recipe)}.",
        "",
        f"**Held out of tuning:** {held_out}.",
        "",
        f"**Leak check:** {read_certificate(provenance.mixture).verdict}",
        "",
        f"**Errata of the released FLAN code that are on:** {', '.join(provenance.errata) or 'none'}.",
        "",
        "**Text format:** "
        + _asked(recipe.prompts, halves=halves)
        + " (`openflan.json` has all of it; `openflan ask` keeps to it).",
        "",
        "## Mixture",
        "",
        "| cluster | task | rows | examples seen | rate | licence |",
        "|---|---|---|---|---|---|",
    ]
    for cluster, tasks in sorted(clusters.items()):
        lines += [
            f"| {cluster} | {name} | {task.rows:,} | {task.drawn[provenance.seed]:,} | {task.rate:.4f} |"
            f" {task.licence or 'unknown'} |"
            for name, task in tasks
        ]
    barred = sorted(name for name, task in ledger.tasks.items() if task.commercial_use is not True)
    lines += [
        "",
        "## Licences",
        "",
        "All tasks' data may be used commercially, as far as their licences are known."
        if not barred
        else f"Commercial use is not known to be allowed for the data of: {', '.join(barred)}.",
        "",
        "## Recipe",
        "",
        "```yaml",
        recipe.to_yaml().rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _asked(part: PromptsPart, *, halves: bool) -> str:
    if part.chat:
        return "an instruction is a user's turn in the chat template, as that read when the mixture was made"
    return (
        "an instruction goes to the encoder" if halves else f"an instruction, then {part.separator!r}, then the answer"
    )


def _tuned_part(recipe: Recipe) -> str:
    part = recipe.model.adapter
    if part is None:
        return "all weights"
    return f"LoRA of rank {part.rank}" if part.kind == "lora" else f"a soft prompt of {part.tokens} vectors"
