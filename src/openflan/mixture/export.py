"""Give a mixture to other trainers: rows of text with where they come from and under which licence.

Prompts are made again from their provenance, in the order in which training reads them, so what is exported is what
openflan would train on, whatever the tokenizer. Rows are written as they are made.

Invariant: export, then read back: the same inputs and targets. Cost: that of rendering. Rejected: decoding the stored
tokens, which loses what truncation cut and what a tokenizer does not give back.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from openflan.errors import UserError
from openflan.mixture.pieces import example_of
from openflan.mixture.store import TokenStore
from openflan.mixture.workers import MixWork, PieceMaker
from openflan.stage import ReportDone

__all__ = ["FORMATS", "Format", "export_mixture", "exported_rows"]

Format = Literal["prompts", "messages", "jsonl", "parquet"]

FORMATS: dict[str, str] = {
    "prompts": "JSON lines of prompt and completion",
    "messages": "JSON lines of chat messages",
    "jsonl": "JSON lines of input, target, answer options and all provenance",
    "parquet": "the same as one Parquet file",
}
"""What each format is."""

_ROWS_AT_ONCE = 1_024


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What an export wrote."""

    path: Path
    rows: int
    left_out: int
    """Rows that the licence filter left out."""


def exported_rows(
    store: TokenStore, work: MixWork, *, seed: int, only: Literal["all", "commercial"] = "all"
) -> Iterator[dict[str, Any] | None]:
    """A seed's training examples in the order of its steps; None for each that the licence filter leaves out."""
    pieces = PieceMaker(work)
    for step, numbers in enumerate(store.steps(seed), start=1):
        for number in numbers.tolist():
            stored = store.prompt(number)
            spec = work.entries[stored.task].spec
            if only == "commercial" and spec.commercial_use is not True:
                yield None
                continue
            maker = pieces.examples_of(stored.task)
            example, _ = example_of(maker, seed=seed, draw=stored.draw)
            assert example is not None  # an empty prompt is in no step
            prompt = example.prompt
            yield {
                "input": prompt.input,
                "target": prompt.target,
                "options": list(prompt.answer.options),
                "task": stored.task,
                "cluster": spec.cluster,
                "row": stored.row,
                "template": stored.template,
                "style": stored.style,
                "exemplars": list(stored.exemplars),
                "seed": seed,
                "step": step,
                "licence": spec.licence,
                "commercial_use": spec.commercial_use,
            }


def export_mixture(
    path: Path,
    store: TokenStore,
    work: MixWork,
    *,
    seed: int,
    format: Format,
    only: Literal["all", "commercial"] = "all",
    report: ReportDone = lambda _done, _total: None,
) -> Exported:
    """Write a seed's training examples to a file, whole or not at all.

    Raises:
        UserError: no row is left, or the file is already there.
    """
    if path.exists():
        raise UserError("is already there", where=str(path), how="choose another --out, or delete it")
    total = int(sum(map(len, store.steps(seed))))
    part = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = left_out = 0
    try:
        with _Writer(part, format) as write:
            for number, row in enumerate(exported_rows(store, work, seed=seed, only=only), start=1):
                if row is None:
                    left_out += 1
                else:
                    write(row)
                    rows += 1
                if number % _ROWS_AT_ONCE == 0:
                    report(number, total)
        if not rows:
            how = "see `openflan tasks list` for the licences, or export without --only"
            raise UserError("no example's licence allows commercial use", where="--only commercial", how=how)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return Exported(path=path, rows=rows, left_out=left_out)


class _Writer:
    """Writes rows to a file in one of the formats."""

    def __init__(self, path: Path, format: Format) -> None:
        self._path = path
        self._format = format
        self._rows: list[dict[str, Any]] = []
        self._parquet: Any = None

    def __enter__(self) -> Callable[[dict[str, Any]], None]:
        if self._format == "parquet":
            return self._row
        self._file = self._path.open("w", encoding="utf-8")
        return self._line

    def __exit__(self, *_: object) -> None:
        if self._format == "parquet":
            self._flush()
            if self._parquet is not None:
                self._parquet.close()
        else:
            self._file.close()

    def _line(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(_shaped(row, self._format), ensure_ascii=False) + "\n")

    def _row(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) == _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._rows:
            return
        strings, numbers = pa.list_(pa.string()), pa.list_(pa.int64())
        kinds = {"options": strings, "exemplars": numbers, "commercial_use": pa.bool_()}
        kinds |= dict.fromkeys(("row", "template", "style", "seed", "step"), pa.int64())
        schema = pa.schema([(name, kinds.get(name, pa.string())) for name in self._rows[0]])
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(self._path, schema)
        self._parquet.write_table(pa.Table.from_pylist(self._rows, schema=schema))
        self._rows = []


def _shaped(row: dict[str, Any], format: Format) -> dict[str, Any]:
    """A row as a format wants it: what trainers read first, provenance after."""
    about = {name: value for name, value in row.items() if name not in ("input", "target", "options")}
    if format == "prompts":
        return {"prompt": row["input"], "completion": row["target"], **about}
    if format == "messages":
        turns = [{"role": "user", "content": row["input"]}, {"role": "assistant", "content": row["target"]}]
        return {"messages": turns, **about}
    return row
