"""`openflan starter`: the embedded default's own verbs: read its prose, check it, pretrain a base on it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from openflan.errors import UserError

__all__ = ["app"]

app = typer.Typer(help="The starter world: its prose, its freshness check and its base model.", no_args_is_help=True)


def _echo(text: str) -> None:
    typer.echo(text)


@app.command()
def sample(
    count: Annotated[int, typer.Option(help="How many documents.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the prose.")] = 0,
    start: Annotated[int, typer.Option(help="Index of the first document.")] = 0,
) -> None:
    """Print some of the prose that the base model is pretrained on."""
    from openflan_starter.prose import document

    for index in range(start, start + count):
        _echo(f"[{index}] {document(seed, index)}\n")


@app.command()
def check(
    documents: Annotated[int, typer.Option(help="How many documents to search.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of the prose.")] = 0,
    start: Annotated[int, typer.Option(help="Index of the first document.")] = 0,
) -> None:
    """Search the prose for evaluation rows; exit code 1 if there are any."""
    from openflan_starter.freshness import check_freshness, evaluation_texts
    from openflan_starter.prose import document

    texts = (document(seed, index) for index in range(start, start + documents))
    found = check_freshness(texts, evaluation_texts())
    for hit in found.hits[:20]:
        at = hit.found
        _echo(f"{at.task} {at.split} row {at.row + 1} is in document {start + hit.document}: {at.text}")
    _echo(f"{len(found.hits)} hits of {found.texts} evaluation rows in {found.documents} documents")
    if found.hits:
        raise typer.Exit(1)


@app.command()
def tokenizer(
    out: Annotated[Path, typer.Option(help="Folder of the tokenizer.")],
    seed: Annotated[int, typer.Option(help="Seed of the prose.")] = 0,
    documents: Annotated[int, typer.Option(help="How many documents to learn from.")] = 40_000,
) -> None:
    """Learn the base model's tokenizer from the prose."""
    from openflan_starter.prose import document
    from openflan_starter.vocabulary import build_tokenizer
    from openflan_starter.world import all_words, world

    texts = (document(seed, index) for index in range(documents))
    size = build_tokenizer(texts, out, always=all_words(world()))
    _echo(f"{size} tokens in {out}")


@app.command()
def shards(
    out: Annotated[Path, typer.Option(help="Folder of the shards.")],
    tokenizer_folder: Annotated[Path, typer.Option("--tokenizer", help="Folder of the tokenizer.")],
    tokens: Annotated[int, typer.Option(help="How many tokens, at least.")] = 60_000_000,
    length: Annotated[int, typer.Option(help="Tokens in a row.")] = 192,
    seed: Annotated[int, typer.Option(help="Seed of the prose.")] = 0,
) -> None:
    """Write the prose as token shards (what `pretrain` reads)."""
    _echo(f"{_write(out, seed, tokenizer_folder, tokens, length)} tokens in {out}")


def _write(out: Path, seed: int, tokenizer_folder: Path, tokens: int, length: int, first: int = 0) -> int:
    from transformers import AutoTokenizer

    from openflan_starter.shards import write_shards

    known = AutoTokenizer.from_pretrained(tokenizer_folder)
    return write_shards(out, seed=seed, tokenizer=known, tokens=tokens, length=length, first=first)


@app.command()
def pretrain(
    out: Annotated[Path, typer.Option(help="Folder of the finished model.")],
    work: Annotated[Path, typer.Option(help="Folder of shards, checkpoint and log; the run resumes from it.")],
    tokenizer_folder: Annotated[
        Path | None, typer.Option("--tokenizer", help="A tokenizer to use; without one it is learnt from the prose.")
    ] = None,
    tokens: Annotated[int, typer.Option(help="Tokens to train on.")] = 66_000_000,
    hidden: Annotated[int | None, typer.Option(help="Width of the model.", min=1, show_default="128")] = None,
    layers: Annotated[int | None, typer.Option(help="Blocks of the model.", min=1, show_default="4")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads of a block.", min=1, show_default="4")] = None,
    length: Annotated[int, typer.Option(help="Tokens in a row.")] = 192,
    rows: Annotated[int, typer.Option(help="Rows in a step.")] = 20,
    learning_rate: Annotated[float, typer.Option(help="Of embeddings and norms (AdamW).")] = 3e-3,
    muon_rate: Annotated[float, typer.Option(help="Of the blocks' matrices (Muon).")] = 4e-3,
    warmup_tokens: Annotated[int, typer.Option(help="Tokens over which the rates rise.")] = 500_000,
    decay_share: Annotated[float, typer.Option(help="Last share of the tokens, over which the rate falls.")] = 0.2,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="A model to go on from, with its tokenizer and its sizes.")
    ] = None,
    first_document: Annotated[int, typer.Option(help="Index of the first document of the prose.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of prose and weights.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads; 0 leaves it to torch.")] = 0,
) -> None:
    """Pretrain a base model on the prose; killed and called again, it goes on from its last checkpoint.

    Several processes share the rows of each step: torchrun --nproc_per_node 2 -m openflan starter pretrain …
    """
    import multiprocessing
    import time

    import torch
    from transformers import AutoTokenizer

    from openflan import ranks
    from openflan.models.load import pick_precision
    from openflan.prompts.text_format import TextFormat, write_text_format
    from openflan.recipes.parts import PromptsPart
    from openflan_starter import pretraining

    if start_from is not None and (hidden, layers, heads) != (None, None, None):
        what = "--from takes the sizes of the model that it goes on from"
        raise UserError(what, how="leave --hidden, --layers and --heads out")
    hidden, layers, heads = hidden or 128, layers or 4, heads or 4
    if hidden % heads:
        raise UserError(f"--hidden {hidden} is not a multiple of --heads {heads}", how="choose another number of heads")
    if threads:
        torch.set_num_threads(threads)
    ranks.begin()
    leads = ranks.is_first()
    words = tokenizer_folder or start_from or work / "tokenizer"
    if leads and words == work / "tokenizer" and not (words / "tokenizer.json").exists():
        tokenizer(out=words, seed=seed)
    ranks.wait()
    if not (words / "tokenizer.json").exists():
        raise UserError("no tokenizer there", where=str(words), how="give a folder with a tokenizer.json")
    known = AutoTokenizer.from_pretrained(words)
    writer = multiprocessing.get_context("spawn").Process(
        target=_write, args=(work / "shards", seed, words, tokens + 1, length, first_document), daemon=True
    )
    if leads:
        writer.start()
    plan = pretraining.Pretraining(
        tokens=tokens,
        rows_per_step=rows,
        learning_rate=learning_rate,
        muon_rate=muon_rate,
        warmup_tokens=warmup_tokens,
        decay_share=decay_share,
        bfloat16=pick_precision("auto", torch.device("cpu")) == "bfloat16",
        seed=seed,
    )
    model = (
        pretraining.old_model(start_from)
        if start_from is not None
        else pretraining.new_model(
            vocabulary=len(known),
            hidden=hidden,
            layers=layers,
            heads=heads,
            seed=seed,
            eos=known.eos_token_id,
            bos=known.bos_token_id,
            pad=known.pad_token_id,
        )
    )
    earlier = _Earlier.of(start_from)
    started = time.monotonic()

    def ship(current: Any, done: int) -> None:
        known.save_pretrained(out)
        pretraining.save_model(current, out)
        asked = PromptsPart(separator="", max_input_tokens=256, max_target_tokens=64)  # in prose, answers just follow
        write_text_format(out, TextFormat(prompts=asked))
        own = [json.loads(line) for line in (work / "loss.jsonl").read_text().splitlines()]
        lines = [*earlier.lines, *({**line, "tokens": line["tokens"] + earlier.tokens} for line in own)]
        (out / "loss.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        part = {"first_document": first_document, "row_length": length, "tokens_seen": done, "settings": asdict(plan)}
        card = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "tokens_seen": earlier.tokens + done,
            "loss": lines[-1]["loss"] if lines else None,
            **_probed(lines),
            "parts": [*earlier.parts, part],
        }
        (out / "pretraining.json").write_text(json.dumps(card, indent=2) + "\n")

    pretraining.pretrain(
        model,
        pretraining.shard_rows(work / "shards", wait=600),
        plan,
        work=work,
        probe=_probe(known),
        on_checkpoint=ship,
        on_line=lambda line: _echo(json.dumps(line)),
    )
    if not leads:
        return
    writer.terminate()
    _echo(f"{tokens} tokens in {time.monotonic() - started:.0f} s; the model is in {out}")


def _probe(known: Any) -> Any:
    """A function that measures a model on the probes."""
    from openflan_starter.pretraining import rank_continuations
    from openflan_starter.probes import PROBES, probe_items

    items = probe_items(0, 150)

    def ids(text: str) -> list[int]:
        found: list[int] = known(text, add_special_tokens=False)["input_ids"]
        return found

    encoded = [(ids(item.prompt), [ids(choice) for choice in item.choices]) for item in items]

    def measure(model: Any) -> Mapping[str, float]:
        chosen = rank_continuations(model, encoded)
        right = [(item.probe, choice == item.right) for item, choice in zip(items, chosen, strict=True)]
        hits = {probe: [ok for name, ok in right if name == probe] for probe in PROBES}
        return {f"probe_{probe}": round(sum(found) / len(found), 3) for probe, found in hits.items()}

    return measure


@dataclass(frozen=True, kw_only=True, slots=True)
class _Earlier:
    """The pretraining that a base has behind it."""

    tokens: int = 0
    parts: tuple[dict[str, Any], ...] = ()
    lines: tuple[dict[str, float], ...] = ()

    @classmethod
    def of(cls, base: Path | None) -> "_Earlier":
        """What the base's own record says; nothing where it has none."""
        if base is None or not (base / "pretraining.json").is_file():
            return cls()
        card = json.loads((base / "pretraining.json").read_text())
        log = base / "loss.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
        return cls(tokens=card["tokens_seen"], parts=tuple(card["parts"]), lines=tuple(lines))


def _probed(lines: list[dict[str, float]]) -> dict[str, Any]:
    """The last probes of the log, and when they were taken."""
    last = next((line for line in reversed(lines) if "probe_yes_no" in line), None)
    if last is None:
        return {"probes": {}, "probed_at_tokens": None}
    return {
        "probes": {name: value for name, value in last.items() if name.startswith("probe_")},
        "probed_at_tokens": last["tokens"],
    }
