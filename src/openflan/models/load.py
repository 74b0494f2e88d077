"""Load a causal language model and its tokenizer from a hub id or a folder.

Weights are safetensors or nothing: a pickle checkpoint can run code, so it is refused by name. `starter` is the
folder of the base model that ships with openflan; it goes the same way as any other.

Invariant: what is wrong with a folder is said before anything is written or any library is imported.
Cost: importing transformers takes about 3 s, so it happens inside the functions.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import openflan
from openflan.errors import UserError
from openflan.recipe import ModelPart
from openflan.stage import fingerprint_of, hash_file

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["ModelSource", "Precision", "find_model", "load_model", "load_tokenizer", "pick_device", "pick_precision"]

STARTER_BASE = Path(openflan.__file__).parent / "starter" / "base"

Precision = Literal["float32", "bfloat16"]

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSource:
    """A model that can be loaded: a checked folder, or a hub id."""

    name: str
    folder: Path | None
    revision: str | None = None
    trust_remote_code: bool = False

    @property
    def fingerprint(self) -> str:
        """Hash of the weights, configuration and tokenizer; of id and revision on the hub."""
        if self.folder is None:
            return fingerprint_of(["hub", self.name, self.revision])
        files = [p for p in sorted(self.folder.iterdir()) if p.suffix in (".json", ".safetensors", ".model", ".txt")]
        return fingerprint_of({p.name: hash_file(p) for p in files})

    @property
    def tokenizer_fingerprint(self) -> str:
        """Hash of what decides token ids."""
        if self.folder is None:
            return self.fingerprint
        names = ("tokenizer*", "special_tokens_map.json", "vocab.*", "merges.txt", "*.model")
        files = sorted({path for name in names for path in self.folder.glob(name)})
        return fingerprint_of({path.name: hash_file(path) for path in files})

    @property
    def positions(self) -> int | None:
        """Longest sequence the configuration of a local model allows."""
        if self.folder is None:
            return None
        config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        found = config.get("max_position_embeddings", config.get("n_positions"))
        return int(found) if found is not None else None


def find_model(part: ModelPart, folder: Path) -> ModelSource:
    """Check where a model would be loaded from.

    Args:
        folder: `part.path` as a path; where it does not exist and `part.path` looks like `owner/name`, it is a hub id.

    Raises:
        UserError: no such folder, no configuration, no weights, or weights in pickle format.
    """
    trust = part.trust_remote_code
    if part.path == "starter":
        folder = STARTER_BASE
    elif not folder.exists():
        if part.path.count("/") == 1 and not part.path.startswith((".", "/", "~")):
            return ModelSource(name=part.path, folder=None, revision=part.revision, trust_remote_code=trust)
        raise UserError(
            "no such model folder", where=f"model.path: {part.path}", how="check the path, or give a hub id"
        )
    if not (folder / "config.json").is_file():
        raise UserError("no config.json: not a model in Hugging Face layout", where=str(folder), how="check model.path")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
        if pickles:
            raise UserError(
                f"only a pickle checkpoint ({pickles[0]}), which can run code when loaded",
                where=str(folder),
                how="convert it: load it where you trust it and call save_pretrained(), which writes safetensors",
            )
        raise UserError("a model folder without weights", where=str(folder), how="put model.safetensors there")
    return ModelSource(name=part.path, folder=folder, revision=None, trust_remote_code=trust)


def load_tokenizer(source: ModelSource) -> Any:
    """The model's fast tokenizer.

    Raises:
        UserError: it can't be loaded or is not a fast tokenizer.
    """
    _quiet()
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source.folder or source.name, revision=source.revision, trust_remote_code=source.trust_remote_code
        )
    except (OSError, ValueError, KeyError) as error:
        raise _unloadable("tokenizer", source, error) from error
    if not tokenizer.is_fast:
        raise UserError("no fast tokenizer (tokenizer.json)", where=source.name, how="convert the tokenizer first")
    return tokenizer


def load_model(source: ModelSource, *, device: "torch.device") -> "PreTrainedModel":
    """The model in float32, in evaluation mode, on a device.

    Raises:
        UserError: it can't be loaded, is no causal language model, or lacks some of its weights.
    """
    _quiet()
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    model: PreTrainedModel
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            source.folder or source.name,
            revision=source.revision,
            trust_remote_code=source.trust_remote_code,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unloadable("model", source, error) from error
    if missing := sorted(found["missing_keys"]):
        raise UserError(
            f"{len(missing)} weights of the model are missing, the first is {missing[0]}",
            where=source.name,
            how="check that config.json and the weights belong together",
        )
    return model.to(device).eval()


def pick_device() -> "torch.device":
    """The first CUDA device, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_precision(wish: Literal["auto", "float32", "bfloat16"], device: "torch.device") -> Precision:
    """What `auto` means on a device: bfloat16 where the hardware multiplies it, else float32."""
    import torch

    if wish != "auto":
        return wish
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bfloat16" if supported is not None and supported() else "float32"


def _quiet() -> None:
    """Keep transformers' own progress bars and advice out of our output."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _unloadable(what: str, source: ModelSource, error: Exception) -> UserError:
    first = (str(error).splitlines() or [type(error).__name__])[0][:300]
    return UserError(f"the {what} could not be loaded ({first})", where=source.name, how="check model.path")
