"""Adapters: LoRA and soft prompts, tuned in place of the model's own weights, through peft.

peft makes, saves and reads them, so that any peft user can take them up. The model itself is called as ever: a LoRA
layer sits where a linear layer was, and a soft prompt is a run of token ids past the vocabulary that only the input
embedding knows. So scoring by tries, batching and generation need to know of neither.

    ids  [V … V+k-1]  prompt …   ─►  SoftPromptEmbedding  ─►  k learnt vectors, then the words' own

Invariant: logits equal those of `peft.PeftModel`'s own forward, merged or not, and what can't be merged so is refused
before it is tuned. Rejected: untying a tied head, which in some families (T5) changes what the model computes; calling
peft's forward, which builds masks and positions itself and so can't score a trie; new rows in the vocabulary, which
would also become answers.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
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
        UserError: the model lacks one of the layers named, or one can't be tuned so that it can be merged again.
    """
    import peft

    from openflan.models.lora import shorten

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
            fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),
        )
        where = "model.adapter.targets"
        if part.targets != "all-linear":
            _check_names(model, part.targets, where)
        try:
            with _heard() as warned:
                wrapped = peft.get_peft_model(model, settings)
        except ValueError as error:
            first = (str(error).splitlines() or ["no such layers"])[0][:200]
            raise UserError(first, where=where, how="name linear layers, or all-linear") from error
        shorten(wrapped.base_model.model)
        _check_mergeable(wrapped.base_model.model, where)
        _pass_on(warned)
        return Adapter(model=wrapped.base_model.model, save=_saver(wrapped))
    settings = peft.PromptTuningConfig(
        task_type=_task(model), num_virtual_tokens=part.tokens, num_transformer_submodules=1
    )
    own: Any = model.get_input_embeddings()
    with _heard() as warned:
        wrapped = peft.get_peft_model(model, settings)
    _pass_on(warned)
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
        UserError: the adapter does not fit the model, or can't be merged into it without changing more than it tuned.
    """
    import peft

    try:
        kind = peft.PeftConfig.from_pretrained(str(folder)).peft_type
        if kind == peft.PeftType.LORA:
            with _heard() as warned:
                wrapped = peft.PeftModel.from_pretrained(model, folder)
            if lacking := [text for text in map(_first_line, warned) if "missing adapter keys" in text]:
                raise ValueError(lacking[0])
            _check_mergeable(wrapped.base_model.model, str(folder / "adapter_config.json"))
            _pass_on(warned)
            merged = wrapped.merge_and_unload()
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


def _check_names(model: Any, targets: Sequence[str], where: str) -> None:
    """See to it that every target is there: peft asks for one of them only."""
    names = [name for name, _ in model.named_modules()]
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            raise UserError(f"the model has no layer {target!r}", where=where, how="name linear layers, or all-linear")


def _check_mergeable(model: Any, where: str) -> None:
    """See to it that a LoRA merged into the weights computes what it did beside them.

    Not so where a layer shares its weights with another (a tied head), which the merge would change too, nor where a
    family does more to a layer's output than peft does to the update's (Gemma's scaled embeddings). One layer of each
    class is tried with a random update.

    Raises:
        UserError: it would not.
    """
    from peft.tuners.lora import LoraLayer

    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name.rpartition(".")[0].replace(".base_layer", ""))
    tried: set[type] = set()
    for path, layer in model.named_modules():
        if not isinstance(layer, LoraLayer):
            continue
        base: Any = layer.get_base_layer()
        name = path.replace(".base_layer", "")  # experts hold one around the other
        for parameter in base.parameters():
            if others := [other for other in owners[id(parameter)] if other != name]:
                what = f"{name} shares its weights with {others[0]} (they are tied), so merging would change both"
                raise UserError(what, where=where, how=f"leave {name.rpartition('.')[2]} out")
        plain = isinstance(base, nn.Linear | nn.Embedding | nn.Conv1d) or type(base).__name__ == "Conv1D"
        if plain and type(base) not in tried and not _merges(layer, base):
            what = f"an update of {name} ({type(base).__name__}) is not the same once it is merged"
            raise UserError(what, where=where, how=f"leave {name.rpartition('.')[2]} out")
        tried.add(type(base))


def _merges(layer: Any, base: Any) -> bool:
    """Whether a random update of a layer computes the same beside its weights and in them; all is put back."""
    weight: Tensor = base.weight
    updates = [p for name, p in layer.named_parameters() if "lora_" in name]
    before = [parameter.detach().clone() for parameter in (weight, *updates)]
    was_training = layer.training
    layer.eval()
    devices = [weight.device] if weight.device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices):
        for parameter in updates:
            parameter.normal_(0, 0.1)
        if isinstance(base, nn.Embedding):
            inputs = torch.arange(min(4, weight.shape[0]), device=weight.device)
        elif isinstance(base, nn.Conv1d):
            inputs = torch.randn(2, base.in_channels, 8, device=weight.device)
        else:
            inputs = torch.randn(4, layer.in_features, device=weight.device)
        try:
            beside = layer(inputs)
            layer.merge()
            within = layer(inputs)
        finally:
            layer.merged_adapters.clear()
            for parameter, value in zip((weight, *updates), before, strict=True):
                parameter.copy_(value)
            layer.train(was_training)
    return torch.allclose(beside, within, rtol=1e-4, atol=1e-4)


@contextmanager
def _heard() -> Iterator[list[warnings.WarningMessage]]:
    """What peft warns of, but for what transformers renamed; to be passed on."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield warned
    warned[:] = [one for one in warned if not issubclass(one.category, FutureWarning | DeprecationWarning)]


def _pass_on(warned: Sequence[warnings.WarningMessage]) -> None:
    for one in warned:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _first_line(warning: warnings.WarningMessage) -> str:
    return (str(warning.message).splitlines() or [""])[0][:200]


def _task(model: Any) -> str:
    return "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
