"""Load a language model, decoder-only or encoder-decoder, and its tokenizer from a hub id or a folder.

Weights are safetensors or nothing: a pickle checkpoint can run code, so it is refused by name. `starter` is the
folder of the base model that ships with openflan; it goes the same way as any other. A folder that holds an adapter
(LoRA, a soft prompt) is opened with the base that it names, and a GGUF file as the folder that is made of it.

Invariant: what is wrong with a folder is said before anything is written or any library is imported.
Cost: importing transformers takes about 3 s, so it happens inside the functions.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openflan_starter
from openflan.errors import UserError
from openflan.models.limits import DISTANCES_ONLY, positions_in
from openflan.recipes.parts import ModelPart
from openflan.stage import fingerprint_of, hash_file

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from openflan.prompts.encoding import EncoderRules, TextEncoder
    from openflan.prompts.text_format import TextFormat
    from openflan.recipes.parts import PromptsPart

__all__ = [
    "ModelSource",
    "find_model",
    "is_hub_id",
    "load_encoder",
    "load_model",
    "load_rules",
    "load_tokenizer",
    "text_format_of",
]

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSource:
    """A model that can be loaded: a checked folder, or a hub id."""

    name: str
    folder: Path | None
    revision: str | None = None
    trust_remote_code: bool = False
    adapter: Path | None = None
    """Folder of an adapter that is put on it."""

    @property
    def fingerprint(self) -> str:
        """Hash of the weights, configuration and tokenizer; of id and revision on the hub."""
        own = fingerprint_of(["hub", self.name, self.revision]) if self.folder is None else _hash_of(self.folder)
        return own if self.adapter is None else fingerprint_of([own, _hash_of(self.adapter)])

    @property
    def size(self) -> int | None:
        """Bytes of the weights of a local model."""
        return None if self.folder is None else sum(path.stat().st_size for path in self.folder.glob("*.safetensors"))

    @property
    def tokenizer_fingerprint(self) -> str:
        """Hash of what decides token ids, chat templates and where a text ends included."""
        if self.folder is None:
            return self.fingerprint
        words = ("tokenizer*", "special_tokens_map.json", "vocab.*", "merges.txt", "*.model")
        names = (*words, "chat_template*", "generation_config.json")
        files = sorted({path for name in names for path in self.folder.glob(name)})
        return fingerprint_of({path.name: hash_file(path) for path in files})

    @property
    def positions(self) -> int | None:
        """Longest sequence the configuration of a local model allows."""
        return None if self.folder is None else positions_in(self._config)

    @property
    def encoder_decoder(self) -> bool:
        """Whether input and target go through two halves of the model (T5)."""
        if self.folder is not None:
            return bool(self._config.get("is_encoder_decoder", self._config.get("model_type") in DISTANCES_ONLY))
        _quiet()
        from transformers import AutoConfig

        try:
            config = AutoConfig.from_pretrained(
                self.name, revision=self.revision, trust_remote_code=self.trust_remote_code
            )
        except (OSError, ValueError, KeyError) as error:
            raise _unloadable("configuration", self, error) from error
        return bool(config.is_encoder_decoder)

    @property
    def ends(self) -> tuple[int, ...]:
        """Token ids that the model's configurations name as the end of a text; those of classes do not count.

        Raises:
            UserError: a configuration can't be read.
        """
        named = [*self._named("config.json"), *self._named("generation_config.json")]
        return tuple(dict.fromkeys(token for token in named if token >= 0))

    def _named(self, file: str) -> list[int]:
        config = self._read(file)
        stated = [part.get("eos_token_id") for part in (config, config.get("text_config") or {})]
        tokens = [token for value in stated for token in (value if isinstance(value, list) else [value])]
        return [token for token in tokens if isinstance(token, int)]

    def stored(self, file: str) -> Path:
        """The folder where a file of a hub model lies on this machine, which may turn out not to have it."""
        from transformers.utils import cached_file

        _quiet()
        cached = cached_file(
            self.name,
            file,
            revision=self.revision,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        return Path(self.name) if cached is None else Path(cached).parent

    @property
    def _config(self) -> dict[str, Any]:
        return self._read("config.json")

    def _read(self, file: str) -> dict[str, Any]:
        """A configuration of the model; nothing where it has none of that name."""
        path = (self.folder or self.stored(file)) / file
        if not path.is_file():
            return {}
        try:
            config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _unloadable("configuration", self, error) from error
        return config


def is_hub_id(name: str) -> bool:
    """Whether a name that is no path on this machine has the form of a hub id, owner/name."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def find_model(part: ModelPart, folder: Path) -> ModelSource:
    """Check where a model would be loaded from.

    Args:
        folder: `part.path` as a path; where it does not exist and `part.path` looks like `owner/name`, it is a hub id.

    Raises:
        UserError: no such folder, no configuration, no weights, or weights in pickle format.
    """
    trust = part.trust_remote_code
    if part.path == "starter":
        folder = openflan_starter.BASE
    elif folder.is_file() or part.path.lower().endswith(".gguf"):
        return ModelSource(name=part.path, folder=_folder_of_file(part, folder), trust_remote_code=False)
    elif not folder.exists():
        if is_hub_id(part.path):
            return ModelSource(name=part.path, folder=None, revision=part.revision, trust_remote_code=trust)
        raise UserError(
            "no such model folder", where=f"model.path: {part.path}", how="check the path, or give a hub id"
        )
    if (folder / "adapter_config.json").is_file():
        return _with_base(part, folder)
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


def _folder_of_file(part: ModelPart, path: Path) -> Path:
    """The folder that stands for a model in one file."""
    from openflan.models.gguf import SUFFIX, folder_of_gguf, hub_gguf

    where = f"model.path: {part.path}"
    if not path.exists():
        hub_file = hub_gguf(part.path, part.revision)
        if hub_file is None:
            how = "check the path; a file of a hub repository is owner/name:file.gguf"
            raise UserError("no such file", where=where, how=how)
        path = hub_file
    elif path.suffix.lower() != SUFFIX:
        raise UserError("a file, but no GGUF file", where=where, how="name the model's folder")
    return folder_of_gguf(path)


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
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise _unloadable("tokenizer", source, error) from error
    if not tokenizer.is_fast:
        raise UserError("no fast tokenizer (tokenizer.json)", where=source.name, how="convert the tokenizer first")
    return tokenizer


def load_rules(
    source: ModelSource, part: "PromptsPart", *, kept: "TextFormat | None" = None, tokenizer: Any = None
) -> "EncoderRules":
    """How texts become tokens for a model: by the record that was kept of it, else as its files say today.

    Args:
        kept: the record of a mixture or a tuned model; by default the one beside the model, where it has one.
        tokenizer: the model's own, where it is loaded already.

    Raises:
        UserError: the tokenizer can't be loaded, is not a fast tokenizer, or not the one of the record.
    """
    from openflan.prompts.encoding import EncoderRules

    tokenizer = load_tokenizer(source) if tokenizer is None else tokenizer
    record = text_format_of(source) if kept is None else kept
    if record is not None and record.frame is not None and record.prompts.chat == part.chat:
        rules = EncoderRules(
            vocabulary=tokenizer.backend_tokenizer.to_str(), frame=record.frame, part=part, ends=record.ends
        )
        if rules.tokenizer == record.tokenizer:
            return rules
        if record.encoder is not None:
            how = "put back the tokenizer that the model was tuned with"
            raise UserError("the tokenizer is not the one of the text format", where=source.name, how=how)
    return EncoderRules.of(tokenizer, part, two_texts=source.encoder_decoder, ends=source.ends)


def load_encoder(
    source: ModelSource, part: "PromptsPart", *, kept: "TextFormat | None" = None, tokenizer: Any = None
) -> "TextEncoder":
    """The encoder of the same rules, whose vocabulary is read once.

    Args:
        kept: as for `load_rules`.
        tokenizer: the model's own, where it is loaded already; it is the encoder's from then on.

    Raises:
        UserError: as `load_rules`.
    """
    from openflan.prompts.encoding import TextEncoder

    record = text_format_of(source) if kept is None else kept
    if tokenizer is None and source.folder is not None and record is not None:
        encoder = TextEncoder.recorded(source.folder, part, record)
        if encoder is not None:
            return encoder
    tokenizer = load_tokenizer(source) if tokenizer is None else tokenizer
    rules = load_rules(source, part, kept=kept, tokenizer=tokenizer)
    return TextEncoder(rules, backend=tokenizer.backend_tokenizer)


def text_format_of(source: ModelSource) -> "TextFormat | None":
    """The text format that a model was tuned in, an adapter's before its base's; None where there is no record.

    Raises:
        UserError: a record is damaged or of another version.
    """
    from openflan.prompts.text_format import read_text_format

    places = [source.adapter, source.folder or source.stored("openflan.json")]
    records = (read_text_format(place) for place in places if place is not None)
    return next((record for record in records if record is not None), None)


def load_model(source: ModelSource, *, device: "torch.device") -> "PreTrainedModel":
    """The model in float32, in evaluation mode, on a device.

    Raises:
        UserError: it can't be loaded, is no language model that writes text, lacks some of its weights, or is
            of a family that can't be asked rightly.
    """
    _quiet()
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    model: PreTrainedModel
    kind: Any = AutoModelForSeq2SeqLM if source.encoder_decoder else AutoModelForCausalLM
    try:
        model, loading = kind.from_pretrained(
            source.folder or source.name,
            revision=source.revision,
            trust_remote_code=source.trust_remote_code,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unloadable("model", source, error) from error
    if missing := sorted(loading["missing_keys"]):
        raise UserError(
            f"{len(missing)} weights of the model are missing, the first is {missing[0]}",
            where=source.name,
            how="check that config.json and the weights belong together",
        )
    from openflan.models.family import family_of

    if source.adapter is not None:
        from openflan.models.adapters import attach_adapter

        model = attach_adapter(model, source.adapter)
    model = model.to(device).eval()
    family_of(model, folder=None if source.adapter is not None else source.folder)
    return model


def _with_base(part: ModelPart, folder: Path) -> ModelSource:
    """An adapter's folder and the base that it names."""
    where = str(folder / "adapter_config.json")
    try:
        name = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (json.JSONDecodeError, KeyError, TypeError):
        name = None
    if not isinstance(name, str) or not name:
        raise UserError("an adapter that names no base", where=where, how="set base_model_name_or_path in it")
    if not (folder / "adapter_model.safetensors").is_file():
        raise UserError("an adapter without weights", where=str(folder), how="put adapter_model.safetensors there")
    beside = folder / name
    base = beside if beside.exists() else Path(name).expanduser()
    if base.exists() and (base / "adapter_config.json").is_file():
        how = "merge that one first: openflan export model --merge"
        raise UserError(f"an adapter on an adapter ({name})", where=where, how=how)
    try:
        source = find_model(part.model_copy(update={"path": name, "adapter": None}), base)
    except UserError as error:
        how = "put the base there, or name its place in base_model_name_or_path"
        raise UserError(f"an adapter without its base ({name}: {error.what})", where=where, how=how) from error
    return replace(source, name=part.path, adapter=folder)


def _hash_of(folder: Path) -> str:
    files = [p for p in sorted(folder.iterdir()) if p.suffix in (".json", ".safetensors", ".model", ".txt", ".jinja")]
    return fingerprint_of({p.name: hash_file(p) for p in files})


def _quiet() -> None:
    """Keep transformers' own progress bars and advice out of our output."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _unloadable(what: str, source: ModelSource, error: Exception) -> UserError:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE and not Path(source.name).exists():
        how = "download it once without HF_HUB_OFFLINE (the studio sets it), or check model.path"
        return UserError("is not in the cache, and the hub is not asked", where=source.name, how=how)
    first = (str(error).splitlines() or [type(error).__name__])[0][:300]
    return UserError(f"the {what} could not be loaded ({first})", where=source.name, how="check model.path")
