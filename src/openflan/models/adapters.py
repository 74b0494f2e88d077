"""Adapters: LoRA and soft prompts, tuned in place of the model's own weights, through peft.

peft makes, saves and reads them, so that any peft user can take them up. The model itself is called as ever: a LoRA
layer sits where a linear layer was, and a soft prompt is a run of token ids past the vocabulary that only the input
embedding knows. So scoring by tries, batching and generation need to know of neither.

    ids  [V … V+k-1]  prompt …   ─►  SoftPromptEmbedding  ─►  k learnt vectors, then the words' own

Invariant: logits equal those of `peft.PeftModel`'s own forward. Rejected: calling that forward, which builds masks
and positions itself and so can't score a trie; new rows in the vocabulary, which would also become answers.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from openflan.errors import UserError
from openflan.models.head import unwrapped
from openflan.recipes.parts import LoraPart, SoftPromptPart

__all__ = ["Adapter", "SoftPromptEmbedding", "add_adapter", "attach_adapter", "soft_prompt"]


class SoftPromptEmbedding(nn.Module):
    """Input embeddings with learnt vectors for ids past the vocabulary.

    Args:
        words: the model's own embedding of V ids.
        vectors: (k, width), for ids V to V+k-1.
    """

    def __init__(self, words: nn.Module, vectors: nn.Parameter) -> None:
        super().__init__()
        self.words = words
        self.vectors = vectors

    @property
    def weight(self) -> Any:
        """The words' vectors, which many models share with their head."""
        return self.words.weight

    @property
    def num_embeddings(self) -> int:
        """Ids that are words."""
        return int(self.weight.shape[0])

    @property
    def ids(self) -> list[int]:
        """The soft prompt as ids to put before an input."""
        return list(range(self.num_embeddings, self.num_embeddings + len(self.vectors)))

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors of ids, (…) to (…, width)."""
        soft = ids >= self.num_embeddings
        plain: Tensor = self.words(ids.masked_fill(soft, 0))
        learnt = self.vectors[(ids - self.num_embeddings).clamp(min=0)].to(plain.dtype)
        return torch.where(soft.unsqueeze(-1), learnt, plain)


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapter:
    """An adapter on a model that is being tuned."""

    model: Any
    """The model with the adapter in it; nothing else of it is trainable."""
    save: Callable[[Path], None]
    """Writes adapter_config.json and adapter_model.safetensors."""


def soft_prompt(model: Any) -> list[int]:
    """Ids to put before every input of a model: its soft prompt's, or none."""
    words = unwrapped(model).get_input_embeddings()
    return words.ids if isinstance(words, SoftPromptEmbedding) else []


def add_adapter(
    model: Any, part: LoraPart | SoftPromptPart, *, seed: int, base: str, words: Callable[[str], list[int]]
) -> Adapter:
    """Put a fresh adapter on a model, in place.

    Args:
        seed: of its first weights.
        base: where the model came from, as peft is to find it again.
        words: token ids of a text, for a soft prompt that starts from one.

    Raises:
        UserError: the model has none of the layers named.
    """
    import peft

    torch.manual_seed(seed)
    model.config._name_or_path = base
    model.name_or_path = base
    if isinstance(part, LoraPart):
        settings = peft.LoraConfig(
            task_type=_task(model),
            r=part.rank,
            lora_alpha=part.alpha,
            lora_dropout=part.dropout,
            target_modules=part.targets if part.targets == "all-linear" else list(part.targets),
        )
        try:
            with _hushed():
                wrapped = peft.get_peft_model(model, settings)
        except ValueError as error:
            first = (str(error).splitlines() or ["no such layers"])[0][:200]
            raise UserError(first, where="model.adapter.targets", how="name linear layers, or all-linear") from error
        return Adapter(model=wrapped.base_model.model, save=_saver(wrapped))
    settings = peft.PromptTuningConfig(
        task_type=_task(model), num_virtual_tokens=part.tokens, num_transformer_submodules=1
    )
    own: Any = model.get_input_embeddings()
    with _hushed():
        wrapped = peft.get_peft_model(model, settings)
    table: Any = wrapped.prompt_encoder[wrapped.active_adapter].embedding
    rows = own.weight.shape[0]
    chosen = words(part.text) if part.text else torch.randint(rows, (part.tokens,)).tolist()
    if not chosen:
        raise UserError("the text has no tokens", where="model.adapter.text", how="write some words")
    chosen = (chosen * part.tokens)[: part.tokens]
    with torch.no_grad():
        table.weight.copy_(own.weight[torch.tensor(chosen, device=own.weight.device)])
    model.set_input_embeddings(SoftPromptEmbedding(own, table.weight))
    return Adapter(model=model, save=_saver(wrapped))


def attach_adapter(model: Any, folder: Path) -> Any:
    """A model with the adapter of a folder: LoRA merged into its weights, a soft prompt in its embedding.

    Raises:
        UserError: the adapter does not fit the model.
    """
    import peft

    try:
        kind = peft.PeftConfig.from_pretrained(str(folder)).peft_type
        if kind == peft.PeftType.LORA:
            with _hushed():
                merged = peft.PeftModel.from_pretrained(model, folder).merge_and_unload()
            for parameter in merged.parameters():
                parameter.requires_grad_(True)
            merged.openflan_merged = True  # its folder holds other weights (evaluation/vllm.py)
            return merged
        if kind == peft.PeftType.PROMPT_TUNING:
            from safetensors.torch import load_file

            vectors = load_file(folder / "adapter_model.safetensors")["prompt_embeddings"]
            own = model.get_input_embeddings()
            if vectors.shape[1] != own.weight.shape[1]:
                raise ValueError(f"vectors of {vectors.shape[1]} for a model of {own.weight.shape[1]}")
            learnt = nn.Parameter(vectors.to(own.weight.device, torch.float32))
            model.set_input_embeddings(SoftPromptEmbedding(own, learnt))
            return model
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"the adapter does not fit its base ({first})", where=str(folder)) from error
    raise UserError(f"an adapter of kind {kind}", where=str(folder), how="LoRA and prompt tuning are known")


def _saver(wrapped: Any) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        # the word embedding is the base's own, so it is never saved
        wrapped.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # peft's empty card

    return save


@contextmanager
def _hushed() -> Iterator[None]:
    """Without peft's remarks on what transformers renamed and on layers that it sets up by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _task(model: Any) -> str:
    return "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
