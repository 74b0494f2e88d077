"""`openflan starter`: the embedded default's own verbs: read its prose, check it, pretrain a base on it."""

from pathlib import Path
from typing import Annotated

import typer

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
    report = check_freshness(texts, evaluation_texts())
    for hit in report.hits[:20]:
        at = hit.row
        _echo(f"{at.task} {at.split} row {at.row + 1} is in document {start + hit.document}: {at.text}")
    _echo(f"{len(report.hits)} hits of {report.texts} evaluation rows in {report.documents} documents")
    if report.hits:
        raise typer.Exit(1)


@app.command()
def tokenizer(
    out: Annotated[Path, typer.Option(help="Folder of the tokenizer.")],
    seed: Annotated[int, typer.Option(help="Seed of the prose.")] = 0,
    documents: Annotated[int, typer.Option(help="How many documents to learn from.")] = 40_000,
) -> None:
    """Learn the base model's tokenizer from the prose."""
    from openflan_starter.base_model import learn_tokenizer

    _echo(f"{learn_tokenizer(out, seed=seed, documents=documents)} tokens in {out}")


@app.command()
def shards(
    out: Annotated[Path, typer.Option(help="Folder of the shards.")],
    tokenizer_folder: Annotated[Path, typer.Option("--tokenizer", help="Folder of the tokenizer.")],
    tokens: Annotated[int, typer.Option(help="How many tokens, at least.")] = 60_000_000,
    length: Annotated[int, typer.Option(help="Tokens in a row.")] = 192,
    seed: Annotated[int, typer.Option(help="Seed of the prose.")] = 0,
) -> None:
    """Write the prose as token shards (what `pretrain` reads)."""
    from openflan_starter.shards import write_prose

    written = write_prose(out, tokenizer=tokenizer_folder, seed=seed, tokens=tokens, length=length)
    _echo(f"{written} tokens in {out}")


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
    import torch

    from openflan.models.device import pick_precision
    from openflan_starter.base_model import Sizes, make_base
    from openflan_starter.pretraining import Pretraining

    if threads:
        torch.set_num_threads(threads)
    sizes = {name: size for name, size in (("hidden", hidden), ("layers", layers), ("heads", heads)) if size}
    plan = Pretraining(
        tokens=tokens,
        rows_per_step=rows,
        learning_rate=learning_rate,
        muon_rate=muon_rate,
        warmup_tokens=warmup_tokens,
        decay_share=decay_share,
        bfloat16=pick_precision("auto", torch.device("cpu")) == "bfloat16",
        seed=seed,
    )
    make_base(
        out,
        work,
        plan,
        sizes=Sizes(**sizes) if sizes else None,
        start_from=start_from,
        tokenizer=tokenizer_folder,
        length=length,
        first_document=first_document,
        say=_echo,
    )
