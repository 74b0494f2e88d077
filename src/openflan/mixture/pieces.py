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
from openflan.mixture.order import DrawnRows, TaskOrder
from openflan.prompts.encoding import Encoded, TextEncoder
from openflan.prompts.examples import ExampleMaker, TrainingExample
from openflan.stage import whole_file

__all__ = [
    "COLUMNS",
    "PieceFacts",
    "StoredPrompt",
    "bounds",
    "draws_of_piece",
    "example_of",
    "pieces_covering",
    "read_facts",
    "write_piece",
]

_FIRST = 256
_LARGEST = 16_384
_BATCH = 512
"""Prompts that are made and tokenised at once; their texts are then let go."""
_EMPTY = Encoded(ids=[], target_start=0, cut=False)

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


def write_piece(path: Path, maker: ExampleMaker, encoder: TextEncoder, *, seed: int, number: int) -> PieceFacts:
    """Render, tokenise and write one piece, whole or not at all.

    Raises:
        UserError: a row can't be rendered and the policy is to fail; task, row and template are named.
    """
    import pyarrow as pa

    draws = draws_of_piece(maker.entry.spec.name, len(maker.rows), seed=seed, number=number)
    pool = np.unique(draws.row)
    batches, cut, skipped = [], 0, 0
    for start in range(0, len(draws.row), _BATCH):
        some = slice(start, start + _BATCH)
        examples = maker.examples(draws.row[some], draws.ticket[some], pool=pool)
        ready = iter(encoder.prompts([one.prompt for one in examples if one is not None]))
        encoded = [_EMPTY if one is None else next(ready) for one in examples]
        cut += sum(one.cut for one in encoded)
        skipped += examples.count(None)
        columns = {
            "input_ids": [one.ids for one in encoded],
            "target_start": [one.target_start for one in encoded],
            "task": [maker.entry.spec.name] * len(examples),
            "row": [maker.rows[row].index for row in draws.row[some].tolist()],
            "template": [one.prompt.template if one else _SKIPPED for one in examples],
            "style": [one.style if one else _SKIPPED for one in examples],
            "exemplars": [list(one.exemplars) if one else [] for one in examples],
            "seed": [seed] * len(examples),
            "draw": np.arange(*bounds(number), dtype=np.int64)[some],
        }
        batches.append(pa.table(columns, schema=_schema()))
    table = pa.concat_tables(batches).combine_chunks()
    facts = PieceFacts(tokens=len(table.column("input_ids").chunk(0).flatten()), cut=cut, skipped=skipped)
    _write(path, table, facts)
    return facts


def _write(path: Path, table: Any, facts: PieceFacts) -> None:
    """Write an Arrow stream with the facts in its schema, then give it its name."""
    import pyarrow as pa

    about = {"tokens": facts.tokens, "cut": facts.cut, "skipped": facts.skipped}
    schema = _schema().with_metadata({"openflan": json.dumps(about)})
    with whole_file(path) as partial, pa.OSFile(str(partial), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        writer.write_table(table.cast(schema))


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
            lists = reader.read_all().column("input_ids").combine_chunks()
            lengths = np.diff(lists.offsets.to_numpy()).astype(np.int32)
    except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError):
        raise UserError("a damaged piece of a token store", where=str(path), how="delete it and mix again") from None
    return PieceFacts(**about), lengths
