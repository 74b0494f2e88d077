"""A token store of random tokens, laid out as `openflan mix` lays one out, where a benchmark needs no texts.

Lengths are those of real prompts with short answers: log-normal, most between 30 and 150 tokens.
"""

import json
from pathlib import Path

import numpy as np

__all__ = ["write_store"]

_PIECE = 16_384


def write_store(
    folder: Path, examples: int, *, capacity: int, words: int, longest: int = 190, median: float = 67
) -> None:
    """Write pieces, lengths and one seed's order.

    Args:
        capacity: tokens of an optimizer step.
        words: ids are drawn below this.
        longest: tokens of the longest example.
        median: tokens of an example in the middle.
    """
    import pyarrow as pa

    random = np.random.default_rng(0)
    (folder / "order").mkdir(parents=True)
    lengths = np.clip(random.lognormal(np.log(median), 0.6, size=examples), 8, longest).astype(np.int32)
    names = []
    for start in range(0, examples, _PIECE):
        sizes = lengths[start : start + _PIECE]
        ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        ids = pa.ListArray.from_arrays(pa.array(ends), pa.array(random.integers(2, words, ends[-1], dtype=np.int32)))
        targets = pa.array((sizes - np.minimum(sizes - 1, 6)).astype(np.int32))
        table = pa.table({"input_ids": ids, "target_start": targets, "task": pa.array(["made"] * len(sizes))})
        names.append(f"piece-{start // _PIECE:05d}.arrow")
        with pa.OSFile(str(folder / names[-1]), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    np.save(folder / "lengths.npy", lengths)
    order = random.permutation(examples)
    filled = np.cumsum(lengths[order])
    first = [0]
    while first[-1] < examples:  # whole examples until a step is full
        done = filled[first[-1] - 1] if first[-1] else 0
        first.append(int(np.searchsorted(filled, done + capacity, side="right")))
        if first[-1] == first[-2]:
            first[-1] += 1
    np.savez(folder / "order" / "seed-0.npz", prompt=order, first=np.array([*first[:-1], examples]))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
