"""Files of rows: JSON lines, CSV, Parquet and Arrow, one reader a kind.

JSON lines and CSV are read line by line with our own loop because an error must name the file and the line.

Invariant: a file gives the same rows in the same order. Cost: 2,000 JSON lines in about 6 ms.
Rejected: `datasets.load_dataset("json")` for local files, which reports a broken line without its number and
guesses one column type from all rows.
"""

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from openflan.errors import UserError
from openflan.tasks.columns import Column, from_text

__all__ = ["ENDINGS", "is_rows", "read_rows"]

ENDINGS = (".jsonl", ".jsonl.gz", ".csv", ".parquet", ".arrow", "")
"""What a file of rows may end with; a folder that `Dataset.save_to_disk` wrote has no ending."""


def is_rows(path: Path) -> bool:
    """Whether something with rows lies at a path: a file, or a folder that `Dataset.save_to_disk` wrote."""
    return path.is_file() or (path / "state.json").is_file()


def read_rows(path: Path, columns: Mapping[str, Column]) -> Iterator[dict[str, Any]]:
    """The rows of a file, one by one.

    Args:
        columns: the types that CSV cells are turned into; texts where a column is not among them.

    Raises:
        UserError: the file is of an unknown kind, or damaged; a text file's line is named.
    """
    name = path.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        return _read_json_lines(path)
    if name.endswith(".csv"):
        return _read_csv(path, columns)
    if name.endswith(".parquet"):
        return _read_parquet(path)
    if name.endswith(".arrow") or path.is_dir():
        return _read_arrow(path)
    how = "use .jsonl, .jsonl.gz, .csv, .parquet, .arrow or a folder that save_to_disk wrote"
    raise UserError("an unknown kind of file", where=str(path), how=how)


def _read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        with path.open("rb") as raw, io.BufferedReader(_unpacked(raw, path)) as file:
            for number, line in enumerate(file, start=1):
                text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if text.isspace() or not text:
                    continue
                row = _parse_json(text)
                if not isinstance(row, dict):
                    raise UserError("not a JSON object", where=f"{path}, line {number}", how="write one {...} a line")
                yield row
    except json.JSONDecodeError as error:
        where = f"{path}, line {number}"
        raise UserError(f"malformed JSON: {error.msg}", where=where, how="mend or delete that line") from None
    except UnicodeDecodeError:
        raise UserError("not UTF-8", where=f"{path}, line {number}", how="save the file as UTF-8") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise UserError("a damaged gzip file", where=str(path), how="copy or compress it again") from None


def _unpacked(raw: Any, path: Path) -> Any:
    return gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw


def _parse_json(text: bytes) -> Any:
    """A JSON value; what orjson is too strict for (NaN, integers of over 64 bits) as Python's own reader has it."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text.decode("utf-8"))


def _read_csv(path: Path, columns: Mapping[str, Column]) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        try:
            for row in reader:
                yield {
                    name: from_text(columns[name], text) if name in columns and text is not None else text
                    for name, text in row.items()
                }
        except csv.Error as error:
            where = f"{path}, line {reader.reader.line_num}"
            raise UserError(f"malformed CSV: {error}", where=where, how="mend that line, or use .jsonl") from None
        except UnicodeDecodeError:
            raise UserError("not UTF-8", where=str(path), how="save the file as UTF-8") from None


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError):
        raise UserError("a damaged parquet file, or none", where=str(path), how="write or copy it again") from None


def _read_arrow(path: Path) -> Iterator[dict[str, Any]]:
    from datasets import Dataset, load_from_disk

    try:
        dataset = load_from_disk(str(path)) if path.is_dir() else Dataset.from_file(str(path))
        yield from dataset
    except Exception as error:  # pyarrow and datasets raise many kinds for a broken file
        raise UserError("a damaged Arrow file, or none", where=str(path), how="write or copy it again") from error
