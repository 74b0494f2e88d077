"""Models from GGUF files: one file of llama.cpp's, read once into a Hugging Face folder that is kept.

    model.gguf ─► gguf: metadata, tensors whole? ─► transformers: dequantised ─► checked ─► <cache>/gguf/<sha256>/

Everything after it works on that folder as on any other. transformers passes over what it does not know in a file (a
bias, a table of stretched rotary frequencies) without a word, so the file's weights are counted against the model's;
and the tokenizer that comes out is held against the file's own metadata: special tokens, whether a text begins with
BOS, and the chat template.

Invariant: a kept folder is whole and its key is the hash of the whole file; weights are float32, so logits are those of
the dequantised weights. Cost: once a file, about a minute for 270 million weights and 262 thousand words, four bytes a
weight on disk; then the hash of the file. Rejected: reading the file at every start; bfloat16, which rounds what
four-bit blocks stand for; tuning on blocks, which have no gradients.
"""

import hashlib
import json
import math
import os
import re
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.stage import commit_folder, read_manifest, user_file_errors

__all__ = ["SUFFIX", "cache_folder", "folder_of_gguf", "hub_gguf", "read_gguf"]

SUFFIX = ".gguf"
_PART = re.compile(r"-\d{5}-of-(\d{5})\.gguf$", re.IGNORECASE)
_FORMAT = 1
"""Of a kept folder; raised where the same file would be read otherwise."""
_SPECIAL = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
"""Special tokens as transformers and as GGUF calls them."""
_FAILURES = (ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError, NotImplementedError, OSError)
"""What transformers and gguf raise over a file that they can't read; struct.error and UnicodeError are among them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """A GGUF file that was opened and found whole."""

    path: Path
    fields: dict[str, Any]
    """Metadata by key."""
    shapes: dict[str, tuple[int, ...]]
    """Of every tensor, by name."""

    @property
    def kind(self) -> str:
        """The architecture, as llama.cpp names it."""
        return str(self.fields.get("general.architecture", ""))


def cache_folder() -> Path:
    """Where openflan keeps what it makes of files that are not its own: `OPENFLAN_CACHE`, by default `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("OPENFLAN_CACHE") or Path(base) / "openflan").expanduser()


def hub_gguf(name: str, revision: str | None) -> Path | None:
    """The GGUF file of a hub repository that a name stands for (`owner/name:file.gguf`), downloaded once; else None.

    Raises:
        UserError: there is no such file, or the hub can't be reached.
    """
    repository, _, file = name.partition(":")
    if not file.lower().endswith(SUFFIX) or repository.count("/") != 1:
        return None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError) as error:
        what = f"the file can't be had from the hub ({_first_line(error)})"
        raise UserError(what, where=f"model.path: {name}", how="check repository, file and revision") from error


def folder_of_gguf(path: Path) -> Path:
    """The kept Hugging Face folder of a GGUF file, made where there is none yet.

    Raises:
        UserError: gguf is not installed, or the file is split, damaged, of an architecture that can't be read, or not
            what its own metadata says.
    """
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise UserError("not a GGUF file", where=str(path), how="check model.path")
    if part := _PART.search(path.name):
        raise _split(path, int(part.group(1)))
    target = cache_folder() / "gguf" / _hash(path)
    key = f"gguf-{_FORMAT}"
    if (read_manifest(target) or {}).get("key") == key:
        return target
    if find_spec("gguf") is None:
        raise UserError("gguf is not installed", where=str(path), how='pip install "openflan[gguf]"')
    from filelock import FileLock

    with user_file_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):  # several processes may ask for it at once
            if (read_manifest(target) or {}).get("key") == key:
                return target
            if sys.stderr.isatty():
                sys.stderr.write(f"reading {path.name} into a Hugging Face folder, once: {target}\n")
            partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
            try:
                partial.chmod(0o755)
                read_gguf(path, partial)
                commit_folder(partial, target, key=key, facts={"file": path.name})
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
    return target


def read_gguf(path: Path, folder: Path) -> None:
    """Write what a GGUF file holds into an empty folder, in Hugging Face layout.

    Raises:
        UserError: as `folder_of_gguf`.
    """
    _convert(_opened(path), folder)


def _special_tokens(fields: dict[str, Any]) -> dict[str, int]:
    """Ids of the special tokens that a file's metadata names, as transformers calls them (bos, eos, unk, pad)."""
    named = {ours: fields.get(f"tokenizer.ggml.{theirs}_token_id") for ours, theirs in _SPECIAL.items()}
    return {name: int(token) for name, token in named.items() if token is not None}


def _opened(path: Path) -> _File:
    """Open a file, all tensors within it."""
    import gguf

    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        shapes = {tensor.name: tuple(int(size) for size in tensor.shape) for tensor in reader.tensors}
    except (*_FAILURES, struct.error) as error:
        how = "it may be cut off: download or write it again"
        raise UserError(f"a damaged GGUF file ({_first_line(error)})", where=str(path), how=how) from error
    if (parts := int(fields.get("split.count") or 1)) > 1:
        raise _split(path, parts)
    return _File(path=path, fields=fields, shapes=shapes)


def _convert(file: _File, folder: Path) -> None:
    """Write the Hugging Face folder of a file.

    Raises:
        UserError: transformers can't read it, or reads something else than what it holds.
    """
    import torch
    import transformers as hf

    _check_kind(file)
    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    named = {"gguf_file": file.path.name}
    place = str(file.path.parent)
    try:
        config = hf.AutoConfig.from_pretrained(place, **named)
        kind = hf.AutoModelForSeq2SeqLM if config.is_encoder_decoder else hf.AutoModelForCausalLM
        plain = hf.GgufConfig(dequantize=True)
        with _without_bars():
            model, loading = kind.from_pretrained(
                place, **named, quantization_config=plain, dtype=torch.float32, output_loading_info=True
            )
            tokenizer = hf.AutoTokenizer.from_pretrained(place, **named)
    except (*_FAILURES, struct.error) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        what = f"transformers can't read this {file.kind} file ({_first_line(error)})"
        raise UserError(what, where=str(file.path)) from error
    if missing := sorted(loading["missing_keys"]):
        raise UserError(f"{len(missing)} weights are missing, the first is {missing[0]}", where=str(file.path))
    _check_weights(file, model)
    vars(model.config).pop("quantization_config", None)
    _name_ends(file, model)
    model.save_pretrained(folder)
    _plain_tokenizer(file, tokenizer).save_pretrained(folder)
    stated = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    none = {f"{name}_token": None for name in _SPECIAL}  # where nothing is said, a class puts in its own
    (folder / "tokenizer_config.json").write_text(json.dumps({**none, **stated}, indent=2), encoding="utf-8")
    if file.fields.get("tokenizer.ggml.model") == "llama":
        (folder / "tokenizer.model").write_bytes(_sentencepiece(file.fields))
    _check_tokenizer(file, hf.AutoTokenizer.from_pretrained(folder), model)


def _check_kind(file: _File) -> None:
    """See to it that the file is a language model whose architecture transformers reads in full."""
    from transformers.integrations.gguf import GGUF_ARCHS
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    where, how = str(file.path), "take the model's Hugging Face folder or hub id in its place"
    if file.fields.get("general.type", "model") != "model":
        raise UserError(f"holds no model but {file.fields['general.type']}", where=where, how="check model.path")
    others = {"general", "tokenizer"}  # keys of transformers' table that are no architectures
    spelt = {name.replace("_", "") for name in GGUF_SUPPORTED_ARCHITECTURES if name not in others} | set(GGUF_ARCHS)
    if file.kind.replace("_", "").replace("-", "") not in spelt:
        what = f"an architecture that transformers can't read from GGUF ({file.kind or 'none is named'})"
        raise UserError(what, where=where, how=how)
    if "tokenizer.ggml.tokens" not in file.fields:
        raise UserError("holds no tokenizer", where=where, how=how)
    stretched = [name for name in file.shapes if name.startswith(("rope_freqs", "rope_factors"))]
    scaling = file.fields.get(f"{file.kind}.rope.scaling.type", "none")
    if stretched or (scaling != "none" and file.kind not in ("gpt-oss", "gpt_oss")):
        what = f"rotary positions are stretched ({stretched[0] if stretched else scaling})"
        raise UserError(f"{what}, which transformers does not read from GGUF", where=where, how=how)


def _check_weights(file: _File, model: Any) -> None:
    """See to it that all weights and caps of the file are in the model: transformers skips what it does not know."""
    for name in ("attn_logit_softcapping", "final_logit_softcapping"):
        stated, configured = file.fields.get(f"{file.kind}.{name}"), getattr(model.config, name, None)
        if stated is not None and (configured is None or not math.isclose(stated, configured, rel_tol=1e-3)):
            what = f"{name} is {stated:g}, and transformers makes it {configured}"
            raise UserError(what, where=str(file.path), how="take the model's Hugging Face folder in its place")
    sizes = {name: math.prod(shape) for name, shape in file.shapes.items()}
    tied = model.get_output_embeddings() is not None and (
        model.get_output_embeddings().weight is model.get_input_embeddings().weight
    )
    there = sum(sizes.values()) - (sizes.get("output.weight", 0) if tied else 0)
    count = sum(parameter.numel() for parameter in model.parameters())
    if there != count:
        what = f"the file holds {there:,} weights and transformers makes {count:,} of them"
        how = "take the model's Hugging Face folder or hub id in its place"
        raise UserError(what, where=str(file.path), how=how)


def _name_ends(file: _File, model: Any) -> None:
    """Put in what transformers leaves out of how to generate: what ends a text, and a turn."""
    special = _special_tokens(file.fields)
    ends = [special.get("eos"), file.fields.get("tokenizer.ggml.eot_token_id")]
    named = list(dict.fromkeys(int(token) for token in ends if token is not None))
    for name in ("bos", "pad"):
        setattr(model.generation_config, f"{name}_token_id", special.get(name))
    model.generation_config.eos_token_id = named if len(named) > 1 else next(iter(named), None)


def _plain_tokenizer(file: _File, tokenizer: Any) -> Any:
    """The tokenizer with what the file says and nothing else.

    Classes of transformers add tokens of their own, past the embeddings, and rules of their own on where BOS goes.
    """
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    fields, special = file.fields, _special_tokens(file.fields)
    words = fields["tokenizer.ggml.tokens"]
    whole = json.loads(tokenizer.backend_tokenizer.to_str())
    whole["added_tokens"] = [token for token in whole["added_tokens"] if token["id"] < len(words)]
    core = Tokenizer.from_str(json.dumps(whole, ensure_ascii=False))
    names = {name: core.id_to_token(token) for name, token in special.items()}
    first, last = ([names["bos"]] if _starts(fields) else []), ([names["eos"]] if _ends(fields) else [])
    core.post_processor = processors.TemplateProcessing(
        single=[*first, "$A", *last],
        pair=[*first, "$A", "$B", *last],
        special_tokens=[(names[name], token) for name, token in special.items() if name in ("bos", "eos")],
    )
    plain = PreTrainedTokenizerFast(
        tokenizer_object=core,
        **{f"{name}_token": word for name, word in names.items()},
        model_max_length=int(fields.get(f"{file.kind}.context_length", 1 << 30)),
    )
    plain.chat_template = fields.get("tokenizer.chat_template")
    return plain


def _starts(fields: dict[str, Any]) -> bool:
    """Whether a text begins with BOS; llama.cpp takes it so of a SentencePiece vocabulary that does not say."""
    flag = fields.get("tokenizer.ggml.add_bos_token", fields.get("tokenizer.ggml.model") == "llama")
    return bool(flag) and "tokenizer.ggml.bos_token_id" in fields


def _ends(fields: dict[str, Any]) -> bool:
    """Whether a text ends with EOS."""
    return bool(fields.get("tokenizer.ggml.add_eos_token", False)) and "tokenizer.ggml.eos_token_id" in fields


def _sentencepiece(fields: dict[str, Any]) -> bytes:
    """The vocabulary as a SentencePiece model, which llama.cpp's converter asks for on the way back."""
    from transformers.utils.sentencepiece_model_pb2_new import ModelProto

    model = ModelProto()
    parts = (fields[f"tokenizer.ggml.{name}"] for name in ("tokens", "scores", "token_type"))
    for piece, score, kind in zip(*parts, strict=True):
        model.pieces.add(piece=piece, score=score, type=kind)
    trained, normal = model.trainer_spec, model.normalizer_spec
    trained.model_type = trained.BPE
    trained.byte_fallback = any(one.type == one.BYTE for one in model.pieces)
    for name, token in _special_tokens(fields).items():
        setattr(trained, f"{name}_id", token)
    normal.name = "identity"
    normal.add_dummy_prefix = bool(fields.get("tokenizer.ggml.add_space_prefix", True))
    normal.remove_extra_whitespaces = False
    written: bytes = model.SerializeToString()
    return written


def _check_tokenizer(file: _File, tokenizer: Any, model: Any) -> None:
    """Hold the tokenizer that was kept against the file's own words about it."""
    fields, differ = file.fields, []
    special = _special_tokens(fields)
    for name, token in special.items():
        if getattr(tokenizer, f"{name}_token_id") != token:
            differ.append(f"{name} is {getattr(tokenizer, f'{name}_token_id')}, not {token}")
    words = len(fields["tokenizer.ggml.tokens"])
    if len(tokenizer) > words or len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        differ.append(f"it has {len(tokenizer):,} words, not {words:,}")
    ids = tokenizer("a").input_ids
    if "bos" in special and (ids[:1] == [special["bos"]]) != _starts(fields):
        differ.append(f"a text begins with{'out' if _starts(fields) else ''} BOS")
    if "eos" in special and (ids[-1:] == [special["eos"]]) != _ends(fields):
        differ.append("a text's end is another")
    if (tokenizer.chat_template or None) != (fields.get("tokenizer.chat_template") or None):
        differ.append("its chat template is another")
    if differ:
        what = f"the tokenizer is not the one that the file describes: {'; '.join(differ)}"
        how = "take the model's Hugging Face folder or hub id in its place"
        raise UserError(what, where=str(file.path), how=how)


def _split(path: Path, parts: int) -> UserError:
    how = "join them first: llama-gguf-split --merge FIRST-PART WHOLE.gguf"
    return UserError(f"one of {parts} parts of a split file", where=str(path), how=how)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep the progress bar that transformers' reader draws out of our output."""
    from transformers import modeling_gguf_pytorch_utils as reader

    bar = reader.tqdm
    reader.tqdm = lambda items, **_: items
    try:
        yield
    finally:
        reader.tqdm = bar
