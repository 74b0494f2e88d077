"""Where every token came from, and where every row went.

`replay` makes the prompts of one optimizer step again from the rows and holds them against the stored tokens; `trace`
lists the steps that saw a row. Both need only the store, the recipe and the rows, for order is arithmetic.

Invariant: what replay shows is what training read, or it says that it is not. Cost: replay renders one step; trace
reads the provenance columns of one task. Rejected: a log of what each step held, as large as the store.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from openflan.errors import UserError, did_you_mean
from openflan.mixture.pieces import example_of
from openflan.mixture.store import TokenStore
from openflan.mixture.workers import MixWork, PieceMaker

__all__ = ["Replayed", "Seen", "replay", "trace"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """One prompt of a step, made again."""

    number: int
    """Its number in the token store."""
    position: int
    """Its position in the training stream."""
    task: str
    row: int
    epoch: int
    """How often the row had been drawn before."""
    template: int
    style: int
    exemplars: tuple[int, ...]
    input: str
    target: str
    tokens: int
    same: bool
    """Whether the tokens made again are the stored ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One time that a row was trained on."""

    step: int
    """From 1, as in `metrics.jsonl`."""
    number: int
    template: int
    as_exemplar: bool
    """Whether it stood among another row's solved examples."""


def replay(store: TokenStore, work: MixWork, *, seed: int, step: int) -> Iterator[Replayed]:
    """The prompts that an optimizer step (from 1) held, in their order.

    Raises:
        UserError: there is no such step or seed.
    """
    numbers, positions = _step(store, seed, step)
    pieces = PieceMaker(work)
    for number, position in zip(numbers, positions, strict=True):
        stored = store.prompt(number)
        maker = pieces.examples_of(stored.task)
        example, epoch = example_of(maker, seed=seed, draw=stored.draw)
        assert example is not None  # an empty prompt is in no step
        encoded = pieces.encoder.prompts([example.prompt])[0]
        yield Replayed(
            number=number,
            position=position,
            task=stored.task,
            row=example.prompt.row,
            epoch=epoch,
            template=example.prompt.number,
            style=example.style,
            exemplars=example.exemplars,
            input=example.prompt.input,
            target=example.prompt.target,
            tokens=len(encoded.ids),
            same=tuple(encoded.ids) == stored.input_ids,
        )


def _step(store: TokenStore, seed: int, step: int) -> tuple[list[int], list[int]]:
    path = store.folder / "order" / f"seed-{seed}.npz"
    if not path.is_file():
        seeds = sorted(p.stem.removeprefix("seed-") for p in path.parent.glob("seed-*.npz"))
        raise UserError(f"no seed {seed}", where=str(store.folder), how=f"there is {', '.join(seeds)}")
    with np.load(path) as order:
        first = order["first"]
        if not 1 <= step < len(first):
            raise UserError(f"no step {step}", where=str(store.folder), how=f"steps are 1 to {len(first) - 1}")
        span = slice(int(first[step - 1]), int(first[step]))
        return order["prompt"][span].tolist(), order["position"][span].tolist()


def trace(store: TokenStore, *, seed: int, task: str, row: int) -> list[Seen]:
    """Every step of a seed that saw a row of a task's training split, as the question or as a solved example.

    Raises:
        UserError: there is no such task or seed in the store.
    """
    _step(store, seed, 1)
    sightings: dict[int, tuple[int, bool]] = {}
    names = set()
    for piece, start in zip(store.pieces, store.starts.tolist(), strict=False):
        names.add(piece.column("task")[0].as_py())
        if piece.column("task")[0].as_py() != task or piece.column("seed")[0].as_py() != seed:
            continue
        rows, templates = piece.column("row").to_numpy(), piece.column("template").to_numpy()
        as_question = set(np.flatnonzero(rows == row).tolist())
        as_exemplar = {n for n, numbers in enumerate(piece.column("exemplars").to_pylist()) if row in numbers}
        for place in as_question | as_exemplar:
            sightings[start + place] = (int(templates[place]), place not in as_question)
    if task not in names:
        how = did_you_mean(task, names) or f"there are {', '.join(sorted(names))}"
        raise UserError(f"no task '{task}' in the mixture", where=str(store.folder), how=how)
    return [
        Seen(step=step, number=number, template=sightings[number][0], as_exemplar=sightings[number][1])
        for step, numbers in enumerate(store.steps(seed), start=1)
        for number in numbers.tolist()
        if number in sightings
    ]
