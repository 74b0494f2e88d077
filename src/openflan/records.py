"""Records on disk: frozen types, each of a version, with one way to read them and one to write them.

A record is a pydantic model without room for what it does not know. What is read is checked field by field, so that a
damaged file, or one of another version of openflan, ends in one line that says which file and what to do.

Invariant: write, then read back: equal. A file is whole or absent. Rejected: dictionaries, whose keys nobody lists;
reading old versions, for everything that holds records is made again by one command.
"""

import json
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from openflan.errors import UserError
from openflan.stage import write_atomically

__all__ = ["FileRecord", "Record", "read_record", "write_record"]


class Record(BaseModel):
    """Frozen, strict data: no field too many, none of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileRecord(Record):
    """A record that is a file of its own."""

    VERSION: ClassVar[int]
    """Version of the fields, which the file names; to be raised with every change of them."""


AnyFileRecord = TypeVar("AnyFileRecord", bound=FileRecord)


def read_record(path: Path, kind: type[AnyFileRecord], *, what: str, how: str) -> AnyFileRecord:
    """The record in a JSON file.

    Args:
        what: what the file should hold, for the message.
        how: what to do if it does not, for the message.

    Raises:
        UserError: the file is missing, damaged or of another version.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, json.JSONDecodeError):
        raise UserError(f"no {what}", where=str(path), how=how) from None
    version = fields.pop("version", None) if isinstance(fields, dict) else None
    if version != kind.VERSION:
        raise UserError(f"the {what} of another version of openflan", where=str(path), how=how)
    try:
        return kind.model_validate_json(json.dumps(fields))
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"a damaged {what} (at '{place}')", where=str(path), how=how) from None


def write_record(path: Path, record: FileRecord) -> None:
    """Write a record as a JSON file, whole or not at all."""
    fields = {"version": record.VERSION, **record.model_dump(mode="json")}
    write_atomically(path, json.dumps(fields, indent=1, ensure_ascii=False))
