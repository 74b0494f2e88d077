"""Pieces: a stretch of one task's draws, rendered, tokenised and written as one Arrow file.

The unit of work, of restart and of sharing. A task's draws are cut at fixed places (256, 512, 1,024 … draws, then
every 16,384), and a piece depends on nothing but its task, its rows, the text format and the seed: any process on any
machine makes the same bytes, and every hold-out that draws from the task uses the same piece. Solved examples are rows
of the same piece, so whoever makes it needs no other rows.

Invariant: same inputs, same bytes. Cost: the tokenizer's, plus a fifth. Rejected: cutting the mixed stream, whose
pieces no other hold-out could use; one file a task, which a killed run would begin again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from openflan.errors import UserError
from openflan.hashing import Integers
from openflan.mixture.order import DrawnRows, TaskOrder
from openflan.prompts.encoding import TextEncoder
from openflan.prompts.examples import ExampleMaker, TrainingExample
from openflan.stage import whole_file

__all__ = [
    "COLUMNS",
    "PieceFacts",
    "StoredPrompt",
    "bounds",
    "draws_of_piece",
    "example_of",
    "first_texts",
    "pieces_covering",
    "read_facts",
    "write_piece",
]

_FIRST = 256
_LARGEST = 16_384
_FEW = 64
"""Prompts of a task that stand for all of them where token engines are compared."""
_BATCH = 512
"""Prompts that are made and tokenised at once; their texts are then let go."""

COLUMNS: dict[str, Any] = {
    "input_ids": ("list", "int32"),
    "target_start": "int32",
    "task": "string",
    "row": "int64",
    "template": "int16",
    "style": "int16",
    "exemplars": ("list", "int64"),
    "seed": "int32",
    "draw": "int64",
}
"""Columns of a token store: tokens of input and target, how many are input, and where they come from."""

_SKIPPED = -1
"""Template and style of a draw whose row could not be rendered; its prompt has no tokens and no step holds it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPrompt:
    """One prompt of a token store."""

    input_ids: tuple[int, ...]
    """Tokens of input and target."""
    target_start: int
    """How many of them are input."""
    task: str
    row: int
    """Place in the source split."""
    template: int | Literal["skipped"]
    style: int | Literal["skipped"]
    exemplars: tuple[int, ...]
    """Rows of the solved examples."""
    seed: int
    draw: int
    """Which draw of its task it is."""

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> "StoredPrompt":
        """The prompt in a row of the table, its numbers for a draw that was skipped put into words."""
        words = {name: "skipped" for name in ("template", "style") if columns[name] == _SKIPPED}
        lists = {name: tuple(columns[name]) for name in ("input_ids", "exemplars")}
        return cls(**{**columns, **lists, **words})


@dataclass(frozen=True, kw_only=True, slots=True)
class PieceFacts:
    """What is told of a piece beside its file."""

    tokens: int
    cut: int
    """Prompts that were too long and lost a part."""
    skipped: int
    """Draws whose row could not be rendered, left empty under `mixture.faulty_rows: skip`."""


def bounds(number: int) -> tuple[int, int]:
    """First draw of a task's piece and the one after its last."""
    small = (_LARGEST // _FIRST).bit_length() - 1
    if number <= small:
        edges = [0, *(_FIRST << n for n in range(small + 1))]
        return edges[number], edges[number + 1]
    return _LARGEST * (number - small), _LARGEST * (number - small + 1)


def pieces_covering(draws: int) -> int:
    """How many pieces hold a task's first draws."""
    number = 0
    while draws > (bounds(number - 1)[1] if number else 0):
        number += 1
    return number


def draws_of_piece(task: str, rows: int, *, seed: int, number: int) -> DrawnRows:
    """What the draws of a task's piece take.

    Args:
        rows: usable rows of the task.
    """
    return TaskOrder(task, rows, seed=seed).at(np.arange(*bounds(number), dtype=np.int64))


def example_of(maker: ExampleMaker, *, seed: int, draw: int) -> tuple[TrainingExample | None, int]:
    """One draw's example, and how often its row had been drawn before."""
    number = pieces_covering(draw + 1) - 1
    draws = draws_of_piece(maker.entry.spec.name, len(maker.rows), seed=seed, number=number)
    here = slice(draw - bounds(number)[0], draw - bounds(number)[0] + 1)
    examples = maker.examples(draws.row[here], draws.ticket[here], pool=np.unique(draws.row))
    return examples[0], int(draws.epoch[here][0])


def first_texts(maker: ExampleMaker, separator: str) -> list[str]:
    """Inputs and targets of a task's first draws."""
    draws = draws_of_piece(maker.entry.spec.name, len(maker.rows), seed=0, number=0)
    examples = maker.examples(draws.row[:_FEW], draws.ticket[:_FEW], pool=np.unique(draws.row))
    prompts = [one.prompt for one in examples if one is not None]
    return [prompt.input + separator for prompt in prompts] + [prompt.target for prompt in prompts]


def write_piece(path: Path, maker: ExampleMaker, encoder: TextEncoder, *, seed: int, number: int) -> PieceFacts:
    """Render, tokenise and write one piece, whole or not at all.

    Raises:
        UserError: a row can't be rendered and the policy is to fail; task, row and template are named.
    """
    draws = draws_of_piece(maker.entry.spec.name, len(maker.rows), seed=seed, number=number)
    pool = np.unique(draws.row)
    batches = [
        _batch(maker, encoder, draws.row[start : start + _BATCH], draws.ticket[start : start + _BATCH], pool)
        for start in range(0, len(draws.row), _BATCH)
    ]
    whole = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    facts = PieceFacts(
        tokens=len(whole["input_ids"]), cut=int(whole["cut"].sum()), skipped=int((whole["template"] == _SKIPPED).sum())
    )
    _write(path, _table(whole, task=maker.entry.spec.name, seed=seed, first=bounds(number)[0]), facts)
    return facts


def _batch(
    maker: ExampleMaker,
    encoder: TextEncoder,
    rows: NDArray[np.int64],
    tickets: Integers,
    pool: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    """Some draws rendered and tokenised: columns by name, lists end to end with their sizes in a column beside."""
    examples = maker.examples(rows, tickets, pool=pool)
    rendered = [one for one in examples if one is not None]
    encoded = encoder.encode_prompts([one.prompt for one in rendered])
    there = np.array([one is not None for one in examples])

    def column(values: Any, kind: type[Any], skipped: int = 0) -> NDArray[Any]:
        full = np.full(len(examples), skipped, dtype=kind)
        full[there] = values
        return full

    return {
        "input_ids": encoded.tokens.ids,
        "sizes": column(encoded.tokens.sizes, np.int32),
        "target_start": column(encoded.target_start, np.int32),
        "cut": encoded.cut,
        "row": np.array([maker.rows[row].index for row in rows.tolist()], dtype=np.int64),
        "template": column([one.prompt.number for one in rendered], np.int16, _SKIPPED),
        "style": column([one.style for one in rendered], np.int16, _SKIPPED),
        "exemplars": np.array([row for one in rendered for row in one.exemplars], dtype=np.int64),
        "shots": column([len(one.exemplars) for one in rendered], np.int32),
    }


def _table(columns: Mapping[str, NDArray[Any]], *, task: str, seed: int, first: int) -> Any:
    """The columns of a piece as an Arrow table."""
    import pyarrow as pa

    count = len(columns["row"])
    arrays = {name: _numbers(columns[name]) for name in ("target_start", "row", "template", "style")}
    for name, sizes in (("input_ids", "sizes"), ("exemplars", "shots")):
        starts = np.concatenate([[0], np.cumsum(columns[sizes])]).astype(np.int32)
        arrays[name] = pa.ListArray.from_arrays(_numbers(starts), _numbers(columns[name]))
    word = task.encode()
    ends = np.arange(count + 1, dtype=np.int32) * np.int32(len(word))
    arrays["task"] = pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(word * count))
    arrays["seed"] = _numbers(np.full(count, seed, dtype=np.int32))
    arrays["draw"] = _numbers(np.arange(first, first + count, dtype=np.int64))
    return pa.Table.from_arrays([arrays[name] for name in COLUMNS], schema=_schema())


def _numbers(values: NDArray[Any]) -> Any:
    """An Arrow array; `pa.array`, like `pa.repeat` and `to_numpy`, imports pandas, a quarter of a second a process."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def _write(path: Path, table: Any, facts: PieceFacts) -> None:
    """Write an Arrow stream with the facts in its schema, then give it its name."""
    import pyarrow as pa

    about = {"tokens": facts.tokens, "cut": facts.cut, "skipped": facts.skipped}
    table = table.replace_schema_metadata({"openflan": json.dumps(about)})
    schema = table.schema
    with whole_file(path) as partial, pa.OSFile(str(partial), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        writer.write_table(table)


def _schema() -> Any:
    import pyarrow as pa

    def kind(text: Any) -> Any:
        return pa.list_(kind(text[1])) if isinstance(text, tuple) else getattr(pa, text)()

    return pa.schema([(name, kind(text)) for name, text in COLUMNS.items()])


def read_facts(path: Path) -> tuple[PieceFacts, NDArray[np.int32]]:
    """A piece's facts and the tokens of each of its prompts.

    Raises:
        UserError: the file is damaged.
    """
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_stream(source)
            about = json.loads(reader.schema.metadata[b"openflan"])
            first = reader.read_all().column("input_ids").combine_chunks().offsets
            starts = np.frombuffer(first.buffers()[1], np.int32, count=len(first), offset=4 * first.offset)
            lengths = np.diff(starts)
    except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError):
        raise UserError("a damaged piece of a token store", where=str(path), how="delete it and mix again") from None
    return PieceFacts(**about), lengths
