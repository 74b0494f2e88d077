"""The prose as token shards: uint16 rows of one length, each starting at the start of a document.

A row holds whole documents, each ended by the end token, and the last one cut at the row's end: no padding, and
no story whose beginning is in another row. Invariant: a shard depends on (seed, sizes, its first document) alone, so
shards can be written in any order and a folder half written goes on where it stopped.
Cost: about 250,000 tokens a second and core.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openflan.stage import whole_file
from openflan_starter.prose import document

__all__ = ["DOCUMENTS_PER_SHARD", "shard_rows", "write_prose", "write_shards"]

DOCUMENTS_PER_SHARD = 40_000


def _rows(seed: int, first: int, tokenizer: Any, length: int, documents: int) -> list[list[int]]:
    rows: list[list[int]] = []
    row: list[int] = []
    batch = 1_000
    for start in range(first, first + documents, batch):
        stop = min(start + batch, first + documents)
        texts = [document(seed, index) for index in range(start, stop)]
        for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]:
            row += [*ids, tokenizer.eos_token_id]
            if len(row) >= length:
                rows.append(row[:length])
                row = []
    return rows


def write_shards(
    folder: Path,
    *,
    seed: int,
    tokenizer: Any,
    tokens: int,
    length: int,
    documents: int = DOCUMENTS_PER_SHARD,
    first: int = 0,
) -> int:
    """Write the shards that are missing until there are at least so many tokens; returns how many there are.

    Args:
        documents: of a shard.
        first: the document that the first shard starts with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total, shard = 0, 0
    while total < tokens:
        path = folder / f"{shard:05d}.npy"
        if not path.exists():
            rows = np.array(_rows(seed, first + shard * documents, tokenizer, length, documents), dtype=np.uint16)
            with whole_file(path) as partial, partial.open("wb") as handle:
                np.save(handle, rows)
        total += int(np.load(path, mmap_mode="r").size)
        shard += 1
    return total


def write_prose(folder: Path, *, tokenizer: Path, seed: int, tokens: int, length: int, first: int = 0) -> int:
    """Write the prose as shards until there are at least so many tokens; returns how many there are.

    Args:
        tokenizer: its folder.
        length: tokens of a row.
        first: index of the first document.
    """
    there = sum(int(np.load(path, mmap_mode="r").size) for path in folder.glob("*.npy"))
    if there >= tokens:
        return there
    from transformers import AutoTokenizer  # takes seconds

    known = AutoTokenizer.from_pretrained(tokenizer)
    return write_shards(folder, seed=seed, tokenizer=known, tokens=tokens, length=length, first=first)


def shard_rows(folder: Path, *, wait: float = 0.0) -> Callable[[int], NDArray[np.uint16]]:
    """Row `i` over all shards in the folder, in the order of their names.

    Args:
        wait: seconds to wait for a shard that is still being written; 0 raises at once.
    """
    shards: list[NDArray[np.uint16]] = []

    def row(index: int) -> NDArray[np.uint16]:
        passed = 0
        for number in range(10_000):
            if number == len(shards):
                path = folder / f"{number:05d}.npy"
                deadline = time.monotonic() + wait
                while not path.exists():
                    if time.monotonic() >= deadline:
                        raise FileNotFoundError(f"{path}: the shards hold only {passed} rows")
                    time.sleep(0.5)
                shards.append(np.load(path, mmap_mode="r"))
            if index < passed + len(shards[number]):
                tokens: NDArray[np.uint16] = shards[number][index - passed]
                return tokens
            passed += len(shards[number])
        raise AssertionError("more than 10,000 shards")

    return row
