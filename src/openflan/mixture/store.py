"""The token store: the prompts of a mixture, rendered and tokenised once, on disk.

`prompts/` is an ordinary `datasets` folder (`datasets.load_from_disk` opens it): token ids, where the target
starts, task, row, template. `order/seed-<n>.npz` says which prompts each optimizer step holds; `ledger.json` what
was drawn. A prompt that is drawn twice is stored once, and all seeds share the store.

Invariant: the store is a pure function of recipe, rows and tokenizer. Cost: about 10,000 prompts a second.
Rejected: rendering while training, which nobody can look at and which pays the cost once a seed.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.errors import UserError
from openflan.mixture.holdout import HoldOut
from openflan.mixture.order import StreamOrder
from openflan.mixture.packing import pack
from openflan.mixture.rates import draws_per_round
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.render import TaskRenderer
from openflan.recipe import Recipe
from openflan.stage import write_atomically
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow, load_rows

__all__ = ["TokenStore", "write_store"]

_CHUNK = 1_024

Report = Callable[[int, int], None]
"""Told how many tokens of how many are drawn."""


class _Task:
    """Rows of one task and which templates fit each."""

    def __init__(self, entry: Entry, recipe: Recipe, data: Path | None) -> None:
        self.entry = entry
        self.renderer = TaskRenderer(entry, options=recipe.prompts.options)
        self.rows: list[SourceRow] = load_rows(entry, "train", data=data, limit=recipe.mixture.rows_per_task)
        self._conditional = any(template.when is not None for template in entry.spec.templates)
        self._everything = list(range(len(entry.spec.templates)))

    def template(self, row: int, ticket: int) -> int:
        """The template that a draw's ticket chooses among those that fit the row."""
        fitting = self.renderer.applicable(self.rows[row]) if self._conditional else self._everything
        if not fitting:
            raise UserError(
                "no template fits: every 'when' fails",
                where=f"{self.entry.path}, row {self.rows[row].index + 1}",
                how="add a template without 'when', or drop such rows",
            )
        return fitting[ticket % len(fitting)]


class _Prompts:
    """Distinct prompts in the order of their first draw."""

    def __init__(self, tasks: Sequence[_Task], encoder: TextEncoder) -> None:
        self._tasks = tasks
        self._encoder = encoder
        self._number: dict[tuple[int, int, int], int] = {}
        self.input_ids: list[list[int]] = []
        self.target_start: list[int] = []
        self.keys: list[tuple[int, int, int]] = []

    def numbers(self, keys: Sequence[tuple[int, int, int]]) -> list[int]:
        """Prompt numbers of (task, row, template) keys; new ones are rendered and tokenised."""
        fresh = [key for key in dict.fromkeys(keys) if key not in self._number]
        prompts = [self._tasks[t].renderer.render(self._tasks[t].rows[r], template) for t, r, template in fresh]
        inputs = self._encoder.inputs([prompt.input for prompt in prompts])
        targets = self._encoder.targets([prompt.target for prompt in prompts])
        for key, source, target in zip(fresh, inputs, targets, strict=True):
            self._number[key] = len(self.keys)
            self.keys.append(key)
            self.input_ids.append(source + target)
            self.target_start.append(len(source))
        return [self._number[key] for key in keys]


def write_store(
    folder: Path, recipe: Recipe, division: HoldOut, encoder: TextEncoder, *, data: Path | None, report: Report
) -> None:
    """Draw, render, tokenise and pack what every seed needs, and write it.

    Raises:
        UserError: rows or templates of a task are at fault.
    """
    tasks = [_Task(entry, recipe, data) for entry in division.tuned]
    rows = {task.entry.spec.name: len(task.rows) for task in tasks}
    draws = draws_per_round(rows, maximum=recipe.mixture.maximum)
    prompts = _Prompts(tasks, encoder)
    capacity = recipe.training.tokens_per_batch
    wanted = recipe.training.steps * capacity
    drawn: dict[str, Counter[str]] = {}
    (folder / "order").mkdir(parents=True, exist_ok=True)
    for turn, seed in enumerate(recipe.seeds):
        order = StreamOrder(draws, rows, seed=seed)
        stream: list[int] = []
        tokens = 0
        bins: list[list[int]] = []
        while len(bins) < recipe.training.steps:
            goal = wanted if not bins else tokens + capacity * (recipe.training.steps - len(bins) + 1)
            while tokens < goal:
                at = order.at(np.arange(len(stream), len(stream) + _CHUNK))
                keys = [
                    (int(t), int(r), tasks[t].template(int(r), int(ticket)))
                    for t, r, ticket in zip(at.task, at.row, at.ticket, strict=True)
                ]
                numbers = prompts.numbers(keys)
                stream += numbers
                tokens += sum(len(prompts.input_ids[number]) for number in numbers)
                report(turn * wanted + min(tokens, wanted), wanted * len(recipe.seeds))
            bins = list(pack((len(prompts.input_ids[number]) for number in stream), capacity))
        steps = [[stream[position] for position in held] for held in bins[: recipe.training.steps]]
        drawn[str(seed)] = Counter(tasks[prompts.keys[n][0]].entry.spec.name for step in steps for n in step)
        np.savez(
            folder / "order" / f"seed-{seed}.npz",
            prompt=np.concatenate([np.array(step, dtype=np.int64) for step in steps]),
            first=np.cumsum([0, *map(len, steps)]),
        )
    _save_prompts(folder / "prompts", prompts, tasks)
    ledger = _ledger(recipe, tasks, draws, drawn, division, encoder)
    write_atomically(folder / "ledger.json", json.dumps(ledger, indent=1, ensure_ascii=False))


def _save_prompts(folder: Path, prompts: _Prompts, tasks: Sequence[_Task]) -> None:
    from datasets import Dataset, Features, List, Value
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    columns = {
        "input_ids": prompts.input_ids,
        "target_start": prompts.target_start,
        "task": [tasks[t].entry.spec.name for t, _, _ in prompts.keys],
        "row": [tasks[t].rows[r].index for t, r, _ in prompts.keys],
        "template": [template for _, _, template in prompts.keys],
    }
    features = Features(
        {
            "input_ids": List(Value("int32")),
            "target_start": Value("int32"),
            "task": Value("string"),
            "row": Value("int64"),
            "template": Value("int16"),
        }
    )
    Dataset.from_dict(columns, features=features).save_to_disk(str(folder))


def _ledger(
    recipe: Recipe,
    tasks: Sequence[_Task],
    draws: dict[str, int],
    drawn: dict[str, Counter[str]],
    division: HoldOut,
    encoder: TextEncoder,
) -> dict[str, Any]:
    """What went in: rows, rates and draws by task, and everything the store's content depends on."""
    total = sum(draws.values())
    return {
        "encoder": encoder.fingerprint,
        "held_out_clusters": list(division.clusters),
        "steps": recipe.training.steps,
        "tokens_per_batch": recipe.training.tokens_per_batch,
        "tasks": {
            task.entry.spec.name: {
                "cluster": task.entry.spec.cluster,
                "spec": task.entry.spec.fingerprint,
                "rows": len(task.rows),
                "rate": draws[task.entry.spec.name] / total,
                "drawn": {seed: counts[task.entry.spec.name] for seed, counts in drawn.items()},
            }
            for task in tasks
        },
    }


@dataclass(frozen=True, kw_only=True)
class TokenStore:
    """A written store, memory-mapped."""

    token_ids: NDArray[np.int32]
    """All prompts' tokens, end to end."""
    first: NDArray[np.int64]
    """Where each prompt's tokens start; one more entry than prompts."""
    target_start: NDArray[np.int32]
    """How many tokens of each prompt are input."""
    tasks: list[str]
    """Task of each prompt."""
    folder: Path

    @classmethod
    def open(cls, folder: Path) -> "TokenStore":
        """Open the store that `write_store` left in a folder."""
        from datasets import load_from_disk

        table = load_from_disk(str(folder / "prompts")).data.table.combine_chunks()
        lists = table.column("input_ids").combine_chunks()
        return cls(
            token_ids=lists.values.to_numpy(zero_copy_only=False),
            first=lists.offsets.to_numpy().astype(np.int64),
            target_start=table.column("target_start").to_numpy(),
            tasks=table.column("task").to_pylist(),
            folder=folder,
        )

    def steps(self, seed: int) -> list[NDArray[np.int64]]:
        """Prompt numbers that each optimizer step of a seed holds."""
        with np.load(self.folder / "order" / f"seed-{seed}.npz") as order:
            return np.split(order["prompt"], order["first"][1:-1])

    def tokens(self, number: int) -> NDArray[np.int32]:
        """Token ids of a prompt, input and target."""
        return self.token_ids[self.first[number] : self.first[number + 1]]
