"""The base model from nothing: tokenizer, prose as shards, pretraining, and the folder that ships.

    out/   config.json  model.safetensors  tokenizer.json …  openflan.json  loss.jsonl  pretraining.json
    work/  tokenizer/  shards/  checkpoints/  loss.jsonl

A second process writes shards while the first trains on those there are. A base may go on from another one; its record
then names both parts. Invariant: killed at any moment and called again, it ends with the same model.
Cost: the shipped base's 92 million tokens took about three hours on two cores.
"""

import copy
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from openflan import ranks
from openflan.errors import UserError
from openflan.models.load import find_model, load_model
from openflan.prompts.encoding import EncoderRules
from openflan.prompts.text_format import TextFormat, write_text_format
from openflan.recipes.parts import ModelPart, PromptsPart
from openflan.stage import write_atomically
from openflan_starter.pretraining import Pretraining, new_model, pretrain
from openflan_starter.probes import measure_probes, probe_items
from openflan_starter.prose import document
from openflan_starter.shards import shard_rows, write_prose
from openflan_starter.vocabulary import build_tokenizer
from openflan_starter.world import all_words, world

__all__ = ["Sizes", "learn_tokenizer", "make_base", "old_model"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How large a new model is."""

    hidden: int = 128
    layers: int = 4
    heads: int = 4

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            what = f"--hidden {self.hidden} is not a multiple of --heads {self.heads}"
            raise UserError(what, how="choose another number of heads")


def learn_tokenizer(folder: Path, *, seed: int, documents: int = 40_000) -> int:
    """Learn the tokenizer from the prose; returns its number of tokens."""
    texts = (document(seed, index) for index in range(documents))
    return build_tokenizer(texts, folder, always=all_words(world()))


def old_model(folder: Path) -> Any:
    """A model to go on from, its weights in float32.

    Raises:
        UserError: there is no model.
    """
    if not (folder / "config.json").is_file():
        raise UserError("no model there", where=str(folder), how="give a folder that `openflan starter pretrain` made")
    source = find_model(ModelPart(path=str(folder.resolve())), folder)
    return load_model(source, device=torch.device("cpu"))


def make_base(
    out: Path,
    work: Path,
    plan: Pretraining,
    *,
    sizes: Sizes | None = None,
    start_from: Path | None = None,
    tokenizer: Path | None = None,
    length: int = 192,
    first_document: int = 0,
    say: Callable[[str], None] = lambda _text: None,
) -> None:
    """Pretrain a base model on the prose; killed and called again, it goes on from its last checkpoint.

    Args:
        out: the model's folder, written at every checkpoint.
        work: folder of shards, checkpoints and log.
        sizes: of a new model.
        start_from: a model to go on from, with its tokenizer and its sizes.
        tokenizer: folder of one to use; without it, and nothing to go on from, it is learnt from the prose.
        length: tokens in a row.
        first_document: index of the first document of the prose.
        say: told each line of the log, and what happened.

    Raises:
        UserError: no tokenizer or model in its folder, sizes beside a model that has them, or work of other settings.
    """
    if start_from is not None and sizes is not None:
        what = "--from takes the sizes of the model that it goes on from"
        raise UserError(what, how="leave --hidden, --layers and --heads out")
    ranks.begin()
    words = tokenizer or start_from or work / "tokenizer"
    if ranks.is_first() and words == work / "tokenizer" and not (words / "tokenizer.json").exists():
        learn_tokenizer(words, seed=plan.seed)
    ranks.wait()
    if not (words / "tokenizer.json").exists():
        raise UserError("no tokenizer there", where=str(words), how="give a folder with a tokenizer.json")
    known = AutoTokenizer.from_pretrained(words)
    model = old_model(start_from) if start_from is not None else _new(known, sizes or Sizes(), plan.seed)
    needed = plan.steps(length) * plan.rows_per_step * length
    prose = {"tokenizer": words, "seed": plan.seed, "tokens": needed, "length": length, "first": first_document}
    writer = multiprocessing.get_context("spawn").Process(
        target=write_prose, args=(work / "shards",), kwargs=prose, daemon=True
    )
    if ranks.is_first():
        writer.start()
    record = _Record.of(start_from)
    items = probe_items(0, 150)
    started = time.monotonic()

    def ship(current: Any, done: int) -> None:
        known.save_pretrained(out)
        _save_weights(current, out)
        prompts = PromptsPart(separator="", max_input_tokens=256, max_target_tokens=64)  # in prose, answers just follow
        rules = EncoderRules.of(known, prompts)
        write_text_format(out, TextFormat(prompts=prompts, frame=rules.frame, tokenizer=rules.tokenizer))
        part = {"first_document": first_document, "row_length": length, "tokens_seen": done, "settings": asdict(plan)}
        lines = [json.loads(line) for line in (work / "loss.jsonl").read_text().splitlines()]
        record.with_part(part, lines).write(out, parameters=sum(p.numel() for p in current.parameters()))

    pretrain(
        model,
        shard_rows(work / "shards", wait=600),
        plan,
        work=work,
        probe=lambda current: measure_probes(current, known, items),
        on_checkpoint=ship,
        on_line=lambda line: say(json.dumps(line)),
        say=say,
    )
    if ranks.is_first():
        writer.terminate()
        say(f"{plan.tokens} tokens in {time.monotonic() - started:.0f} s; the model is in {out}")


def _new(tokenizer: Any, sizes: Sizes, seed: int) -> Any:
    return new_model(
        vocabulary=len(tokenizer),
        hidden=sizes.hidden,
        layers=sizes.layers,
        heads=sizes.heads,
        seed=seed,
        eos=tokenizer.eos_token_id,
        bos=tokenizer.bos_token_id,
        pad=tokenizer.pad_token_id,
    )


def _save_weights(model: Any, folder: Path) -> None:
    """The weights in bf16 safetensors and the configuration, each file swapped in whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        copy.deepcopy(model).to(torch.bfloat16).save_pretrained(temporary)
        for path in sorted(Path(temporary).iterdir()):
            path.chmod(0o644)
            path.replace(folder / path.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Record:
    """The pretraining that a base has behind it: `pretraining.json` and `loss.jsonl`."""

    tokens: int = 0
    parts: tuple[dict[str, Any], ...] = ()
    lines: tuple[dict[str, float], ...] = ()

    @classmethod
    def of(cls, base: Path | None) -> "_Record":
        """What the base's own record says; nothing where it has none."""
        if base is None or not (base / "pretraining.json").is_file():
            return cls()
        card = json.loads((base / "pretraining.json").read_text())
        log = base / "loss.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
        return cls(tokens=card["tokens_seen"], parts=tuple(card["parts"]), lines=tuple(lines))

    def with_part(self, part: dict[str, Any], lines: list[dict[str, float]]) -> "_Record":
        """With a further part, whose log counts its own tokens."""
        later = ({**line, "tokens": line["tokens"] + self.tokens} for line in lines)
        return _Record(tokens=self.tokens + part["tokens_seen"], parts=(*self.parts, part), lines=(*self.lines, *later))

    def write(self, folder: Path, *, parameters: int) -> None:
        """Write both files."""
        probed = next((line for line in reversed(self.lines) if "probe_yes_no" in line), None)
        card = {
            "parameters": parameters,
            "tokens_seen": self.tokens,
            "loss": self.lines[-1]["loss"] if self.lines else None,
            "probes": {name: value for name, value in (probed or {}).items() if name.startswith("probe_")},
            "probed_at_tokens": None if probed is None else probed["tokens"],
            "parts": list(self.parts),
        }
        write_atomically(folder / "loss.jsonl", "".join(json.dumps(line) + "\n" for line in self.lines))
        write_atomically(folder / "pretraining.json", json.dumps(card, indent=2) + "\n")
