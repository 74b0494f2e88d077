"""`openflan starter`: the embedded default's own verbs: read its prose, check it, pretrain a base on it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openflan.errors import UserError

if TYPE_CHECKING:
    from openflan.training.pretrain import Pretraining

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
    from openflan.starter.prose import document

    for index in range(start, start + count):
        _echo(f"[{index}] {document(seed, index)}\n")


@app.command()
def check(
    documents: Annotated[int, typer.Option(help="How many documents to search.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of the prose.")] = 0,
    start: Annotated[int, typer.Option(help="Index of the first document.")] = 0,
) -> None:
    """Search the prose for evaluation rows; exit code 1 if there are any."""
    from openflan.starter.freshness import check_freshness, evaluation_texts
    from openflan.starter.prose import document

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
    from openflan.starter.prose import document
    from openflan.starter.vocabulary import build_tokenizer
    from openflan.starter.world import all_words, world

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

    from openflan.starter.shards import write_shards

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
    hidden: Annotated[int, typer.Option(help="Width of the model.")] = 128,
    layers: Annotated[int, typer.Option(help="Blocks of the model.")] = 4,
    heads: Annotated[int, typer.Option(help="Attention heads of a block.")] = 4,
    length: Annotated[int, typer.Option(help="Tokens in a row.")] = 192,
    rows: Annotated[int, typer.Option(help="Rows in a step.")] = 20,
    learning_rate: Annotated[float, typer.Option(help="Of embeddings and norms (AdamW).")] = 3e-3,
    muon_rate: Annotated[float, typer.Option(help="Of the blocks' matrices (Muon).")] = 4e-3,
    warmup_tokens: Annotated[int, typer.Option(help="Tokens over which the rates rise.")] = 500_000,
    decay_share: Annotated[float, typer.Option(help="Last share of the tokens, over which the rate falls.")] = 0.2,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="A model to go on from, with its tokenizer; sizes are then its own.")
    ] = None,
    first_document: Annotated[int, typer.Option(help="Index of the first document of the prose.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of prose and weights.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads; 0 leaves it to torch.")] = 0,
) -> None:
    """Pretrain a base model on the prose; killed and called again, it goes on from its last checkpoint."""
    import multiprocessing
    import time

    import torch
    from transformers import AutoTokenizer

    from openflan.models.load import pick_precision
    from openflan.recipe import PromptsPart
    from openflan.training import pretrain as pretraining

    if hidden % heads:
        raise UserError(f"--hidden {hidden} is not a multiple of --heads {heads}", how="choose another number of heads")
    if threads:
        torch.set_num_threads(threads)
    words = tokenizer_folder or start_from or work / "tokenizer"
    if words == work / "tokenizer" and not (words / "tokenizer.json").exists():
        tokenizer(out=words, seed=seed)
    if not (words / "tokenizer.json").exists():
        raise UserError("no tokenizer there", where=str(words), how="give a folder with a tokenizer.json")
    known = AutoTokenizer.from_pretrained(words)
    writer = multiprocessing.get_context("spawn").Process(
        target=_write, args=(work / "shards", seed, words, tokens + 1, length, first_document), daemon=True
    )
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
    started = time.monotonic()

    def ship(current: Any, done: int) -> None:
        known.save_pretrained(out)
        pretraining.save_model(current, out)
        asked = PromptsPart(separator="", max_input_tokens=256, max_target_tokens=64)  # in prose, answers just follow
        (out / "openflan.json").write_text(json.dumps({"prompts": asked.model_dump(mode="json")}, indent=1) + "\n")
        shutil.copyfile(work / "loss.jsonl", out / "loss.jsonl")
        lines = [json.loads(line) for line in (out / "loss.jsonl").read_text().splitlines()]
        card = _card(plan, model, done, lines, length=length)
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
    writer.terminate()
    _echo(f"{tokens} tokens in {time.monotonic() - started:.0f} s; the model is in {out}")


def _probe(known: Any) -> Any:
    """A function that measures a model on the probes."""
    from openflan.starter.probes import PROBES, probe_items
    from openflan.training.pretrain import rank_continuations

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


def _card(plan: "Pretraining", model: Any, done: int, lines: list[dict[str, float]], *, length: int) -> dict[str, Any]:
    """What `pretraining.json` says."""
    from dataclasses import asdict

    probed = [line for line in lines if "probe_yes_no" in line]
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens_seen": done,
        "row_length": length,
        "loss": lines[-1]["loss"] if lines else None,
        "probes": {k: v for k, v in probed[-1].items() if k.startswith("probe_")} if probed else {},
        "probed_at_tokens": probed[-1]["tokens"] if probed else None,
        "settings": asdict(plan),
    }
