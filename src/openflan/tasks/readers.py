"""Files of rows, one reader a kind: JSON lines, JSON, tables of cells, workbooks, Parquet, Arrow; plain or compressed.

Invariant: a file gives the same rows in the same order, each as it is written or an error that names the line.
Cost: 2,000 JSON lines in about 6 ms. Rejected: `datasets.load_dataset("json")` for local files, which reports a broken
line without its number and guesses one column type from all rows.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from openflan.errors import UserError
from openflan.tasks.columns import Column, from_text
from openflan.tasks.delimited import TableForm, form_of, read_cells
from openflan.tasks.opened import COMPRESSED, encoding_of, open_bytes, open_text, stem_of
from openflan.tasks.workbooks import check_names, plain, read_sheet

__all__ = ["ENDINGS", "KINDS", "is_rows", "is_table", "read_rows"]

_TEXTS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_BINARY = (".parquet", ".arrow", ".feather", ".xlsx")

KINDS = f"{', '.join((*_TEXTS, *_BINARY))}, {'/'.join(COMPRESSED)} of the first five, or a folder by save_to_disk"
"""What a file of rows may be, in words."""

_FIRST = (".jsonl", ".jsonl.gz", ".csv", *_BINARY[:2])
_PACKED = [kind + packed for kind in _TEXTS for packed in ("", *COMPRESSED)]

ENDINGS = (*_FIRST, *(ending for ending in _PACKED if ending not in _FIRST), *_BINARY[2:], "")
"""What a file of rows may end with; a folder that `Dataset.save_to_disk` wrote has no ending."""


def is_rows(path: Path) -> bool:
    """Whether something with rows lies at a path: a file, or a folder that `Dataset.save_to_disk` wrote."""
    return path.is_file() or (path / "state.json").is_file()


def is_table(path: Path) -> bool:
    """Whether a file holds cells between separators, all of them texts."""
    return stem_of(path).endswith((".csv", ".tsv"))


def read_rows(
    path: Path,
    columns: Mapping[str, Column],
    *,
    encoding: str | None = None,
    separator: str | None = None,
    decimal: str = ".",
    sheet: str | None = None,
    faults: list[UserError] | None = None,
) -> Iterator[dict[str, Any]]:
    """The rows of a file, one by one.

    Args:
        columns: the types that cells of a table are turned into; texts where a column is not among them.
        encoding: byte encoding of a text file, where it is not UTF-8 and has no mark.
        separator: what stands between the cells of a table, where more than one fits.
        decimal: what stands before the decimals of a table's numbers.
        sheet: name of a workbook's sheet; None for the first, `*` for all, each row with its sheet's name.
        faults: lines of JSON or cells that can't be read are passed over and what is wrong put here; None: it is
            raised.

    Raises:
        UserError: the file is of an unknown kind, or damaged, or a row can't be read as it is written; a text file's
            line is named.
    """
    name = stem_of(path)
    if name.endswith((".jsonl", ".ndjson")):
        return _read_json_lines(path, encoding, faults)
    if name.endswith(".json"):
        return _read_json(path, encoding)
    if is_table(path):
        return _read_table(path, columns, form_of(path, separator=separator, encoding=encoding), decimal, faults)
    if name.endswith(".parquet"):
        return _read_parquet(path)
    if name.endswith(".xlsx"):
        return read_sheet(path, sheet)
    if name.endswith((".arrow", ".feather")) or path.is_dir():
        return _read_arrow(path)
    raise UserError("an unknown kind of file", where=str(path), how=f"use {KINDS}")


def _read_table(
    path: Path,
    columns: Mapping[str, Column],
    form: TableForm,
    decimal: str,
    faults: list[UserError] | None,
) -> Iterator[dict[str, Any]]:
    for row in read_cells(path, form, faults):
        yield {
            name: from_text(columns[name], text, decimal=decimal) if name in columns else text
            for name, text in row.items()
        }


def _read_json_lines(
    path: Path, encoding: str | None, faults: list[UserError] | None = None
) -> Iterator[dict[str, Any]]:
    for number, line in _json_lines(path, encoding):
        if line.isspace() or not line:
            continue
        try:
            row = _parse_json(line)
        except UnicodeDecodeError:
            with open_text(path) as text:
                text.read()  # names the line and the likely encodings
            raise
        except json.JSONDecodeError as error:
            where = f"{path}, line {number}"
            _tell(UserError(f"malformed JSON: {error.msg}", where=where, how="mend or delete that line"), faults)
            continue
        if isinstance(row, dict):
            yield row
        else:
            _tell(UserError("not a JSON object", where=f"{path}, line {number}", how="write one {...} a line"), faults)


def _tell(fault: UserError, faults: list[UserError] | None) -> None:
    """Raise what is wrong with a line, or keep it where it may be passed over."""
    if faults is None:
        raise fault from None
    faults.append(fault)


def _json_lines(path: Path, encoding: str | None) -> Iterator[tuple[int, bytes | str]]:
    """Numbered lines: bytes of UTF-8, which orjson reads fastest, or text."""
    if encoding is None and encoding_of(path) == "utf-8":
        with open_bytes(path) as file:
            yield from enumerate(file, start=1)
    else:
        with open_text(path, encoding) as text:
            yield from enumerate(text, start=1)


def _parse_json(text: bytes | str) -> Any:
    """A JSON value; what orjson is too strict for (NaN, integers of over 64 bits) as Python's own reader has it."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text if isinstance(text, str) else text.decode("utf-8"))


def _read_json(path: Path, encoding: str | None) -> Iterator[dict[str, Any]]:
    """A JSON file: a list of objects, or one object a line."""
    with open_text(path, encoding) as file:
        text = file.read()
    try:
        rows = _parse_json(text)
    except json.JSONDecodeError as error:
        if text.lstrip().startswith("{") and error.msg == "Extra data":
            yield from _read_json_lines(path, encoding)
            return
        where = f"{path}, line {error.lineno}"
        raise UserError(f"malformed JSON: {error.msg}", where=where, how="mend that line") from None
    how = "write [{...}, {...}], or one {...} a line"
    if not isinstance(rows, list):
        raise UserError("not a list of JSON objects", where=str(path), how=how)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise UserError("not a JSON object", where=f"{path}, row {number}", how=how)
        yield row


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        check_names(file.schema_arrow.names, str(path))
        for batch in file.iter_batches():
            yield from _plain_rows(batch.to_pylist(), str(file.schema_arrow))
    except (pa.ArrowInvalid, OSError):
        raise UserError("a damaged parquet file, or none", where=str(path), how="write or copy it again") from None


def _read_arrow(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    from datasets import Dataset, load_from_disk

    try:
        if path.is_file() and path.open("rb").read(6) == b"ARROW1":  # a file with a footer, which feather is
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            check_names(table.column_names, str(path))
            yield from _plain_rows(
                (row for batch in table.to_batches() for row in batch.to_pylist()), str(table.schema)
            )
            return
        dataset = load_from_disk(str(path)) if path.is_dir() else Dataset.from_file(str(path))
        yield from _plain_rows(dataset, str(dataset.data.schema))
    except UserError:
        raise
    except Exception as error:  # pyarrow and datasets raise many kinds for a broken file
        raise UserError("a damaged Arrow file, or none", where=str(path), how="write or copy it again") from error


def _plain_rows(rows: Iterable[dict[str, Any]], schema: str) -> Iterator[dict[str, Any]]:
    """Rows with dates, times and decimals as the texts that they are written as."""
    if any(word in schema for word in ("date", "time", "decimal")):
        for row in rows:
            yield {name: plain(value) for name, value in row.items()}
    else:
        yield from rows
