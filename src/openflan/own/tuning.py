"""How a model of some size is tuned on own rows: rate, batch, steps, and how long prompts may be.

Rules of thumb for a first run: small models take large rates and many passes, large ones an adapter and few. A model
whose size is not known (no files here, no number in its name) is tuned as a large one.

Invariant: only what differs from a recipe's own defaults is said. Cost: renders fifty rows a task and tokenises them.
Rejected: a search for the rate, which costs more than the run.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from openflan.models.load import ModelSource, find_model
from openflan.prompts.render import TaskRenderer
from openflan.recipes.recipe import make_recipe
from openflan.study.sizes import parameters_of
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow, load_rows

__all__ = ["OwnTexts", "tuning_of"]

_LOOKED_AT = 50
"""Rows a task whose prompts are measured."""
_CHARACTERS = 4.0
"""A token's, where there is no tokenizer to count with."""
_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([kmb])(?![A-Za-z0-9])", re.IGNORECASE)
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9}
_TINY, _SMALL = 2e7, 1e9
"""Parameters up to which a model is tuned as the embedded base is, and up to which with all its weights."""


@dataclass(frozen=True, kw_only=True)
class OwnTexts:
    """What the own tasks give a model to read and to write."""

    tasks: tuple[Entry, ...]
    model: str
    """Hub id, folder or `starter`."""
    folder: Path
    """Where relative paths start."""

    @cached_property
    def source(self) -> ModelSource:
        """Where the model is."""
        part = make_recipe({"name": "own", "model": {"path": self.model}}, where="--model", folder=self.folder)
        return find_model(part.model, part.find(self.model))

    @cached_property
    def size(self) -> float | None:
        """Parameters of the model; by its name where its files are not here, None where that does not tell."""
        recipe = make_recipe({"name": "own", "model": {"path": self.model}}, where="--model", folder=self.folder)
        count = parameters_of(recipe)
        if count is not None:
            return float(count)
        sizes = _SIZE.findall(self.model.rsplit("/", 1)[-1])
        return float(sizes[-1][0]) * _UNITS[sizes[-1][1].lower()] if sizes else None

    @cached_property
    def rows(self) -> dict[str, list[SourceRow]]:
        """Training rows by task."""
        return {entry.spec.name: load_rows(entry, "train", faulty=set()) for entry in self.tasks}

    @cached_property
    def tests(self) -> dict[str, int]:
        """Test rows by task; 0 where it has none."""
        return {entry.spec.name: self._tests(entry) for entry in self.tasks}

    def _tests(self, entry: Entry) -> int:
        if "test" not in entry.spec.splits:
            return 0
        counted = entry.spec.size.get("test") if entry.spec.source.apart is not None else None
        return len(load_rows(entry, "test", faulty=set())) if counted is None else counted

    @cached_property
    def lengths(self) -> "PromptLengths":
        """How long prompts, targets and answers are."""
        inputs, targets, answers = [], [], []
        for entry in self.tasks:
            renderer = TaskRenderer(entry)
            for row in self.rows[entry.spec.name][:_LOOKED_AT]:
                for number in renderer.applicable(row):
                    prompt = renderer.render(row, number)
                    inputs.append(prompt.input)
                    targets.append(prompt.target)
                    if not entry.spec.is_classification and not entry.spec.templates[number].inverted:
                        answers.append(prompt.target)
        return PromptLengths(inputs=self._count(inputs), targets=self._count(targets), answers=self._count(answers))

    def _count(self, texts: Sequence[str]) -> list[int]:
        folder = self.source.folder
        if folder is None or not (folder / "tokenizer.json").is_file():
            return [math.ceil(len(text) / _CHARACTERS) for text in texts]
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return [len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptLengths:
    """Tokens of some prompts."""

    inputs: list[int]
    targets: list[int]
    answers: list[int]
    """Of targets that are to be written."""

    @property
    def mean(self) -> float:
        """Tokens of an example."""
        return float(np.mean(self.inputs) + np.mean(self.targets))


def tuning_of(own: OwnTexts, *, share: float) -> dict[str, Any]:
    """A recipe's parts that say how the model is tuned and asked.

    Args:
        share: of the examples that are drawn from the own tasks.
    """
    size = own.size
    tiny, whole = size is not None and size <= _TINY, size is not None and size <= _SMALL
    positions = own.source.positions or 4096
    lengths = own.lengths
    longest_target = _fit(lengths.targets, step=32, low=64, high=min(256, positions // 4))
    longest_input = _fit(lengths.inputs, step=64, low=256 if tiny else 384, high=512 if tiny else 1024)
    longest_input = min(longest_input, positions - max(longest_target, 96) - 8)
    batch, passes, fewest, most = (4096, 6, 150, 400) if tiny else (8192, 3, 100, 600)
    tokens = passes * sum(map(len, own.rows.values())) * lengths.mean / share
    steps = min(max(math.ceil(tokens / batch / 10) * 10, fewest), most)
    rate = 2e-3 if tiny else 5e-5 if whole else 2e-4
    separator = {"separator": ""} if own.model == "starter" else {}  # it reads an answer right after the question
    return {
        "model": {"path": own.model, **({} if whole else {"adapter": {"kind": "lora", "rank": 16, "alpha": 32}})},
        "prompts": {**separator, "max_input_tokens": longest_input, "max_target_tokens": longest_target},
        "training": {
            "steps": steps,
            "tokens_per_batch": batch,
            "checkpoint_every": 50,
            "optimizer": {"name": "adamw", "learning_rate": rate, "warmup_steps": 20, "schedule": "cosine"},
        },
        "evaluation": {"max_new_tokens": _fit(lengths.answers, step=8, low=16, high=96), "precision": "auto"},
    }


def _fit(lengths: Sequence[int], *, step: int, low: int, high: int) -> int:
    """A limit in whole steps that 19 texts of 20 fit into, between two bounds."""
    most = float(np.quantile(lengths, 0.95)) if lengths else 0.0
    return min(max(math.ceil(most / step) * step, low), high)
