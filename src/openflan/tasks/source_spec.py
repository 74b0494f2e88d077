"""Where a task's rows come from, as its file says it: a hub dataset, the user's own files, or the starter world.

Invariant: exactly one place is named, and every setting that is given applies to it. Rejected: a URL, which says
neither the configuration nor the revision.
"""

import codecs
from typing import Literal, Self

from pydantic import model_validator

from openflan.records import Record
from openflan.tasks.apart import Apart

__all__ = ["Source"]


class Source(Record):
    """Where rows come from: `hub`, `files`, `starter` or, where nobody may pass the data on, only `by_hand`.

    With a recipe's `tasks.data: DIR`, a hub task reads `DIR/<task>/<split>.*` in place of the hub.
    """

    hub: str | None = None
    """`owner/name` of a hub dataset that loads without a script."""
    config: str | None = None
    revision: str | None = None
    """Branch, tag or commit; `refs/convert/parquet`, with `files`, where the main branch is a loading script."""
    stream: bool = False
    """Read only the rows that are used, for sets of many millions."""
    shuffle: int | None = None
    """Seed of a fixed shuffle before slicing, for files that are sorted by label."""
    unroll: str | None = None
    """Named step of openflan.tasks.rows that makes several rows of one before slicing (QuAC's dialogues)."""
    by_hand: str | None = None
    """What a user must do to have the data, where a form or a licence stands before it."""
    files: dict[str, str | tuple[str, ...]] | None = None
    """Split name to a file of rows, relative to the spec's folder. Beside `hub`: split name to Parquet files of the
    repository (`en/train/*.parquet`), or several such patterns of which the first that is there counts."""
    encoding: str | None = None
    """Byte encoding of the text files among them, where it is not UTF-8: `cp1252`."""
    separator: str | None = None
    """What stands between the cells of the tables among them, where more than one would fit: `;`."""
    decimal: Literal[".", ","] = "."
    """What stands before the decimals of numbers in the tables among them."""
    sheet: str | None = None
    """Name of the sheet of a workbook among them, by default the first; `*` for all, whose names are the column
    `sheet` then."""
    starter: str | None = None
    """Name of a row generator of the starter world."""
    apart: Apart | None = None
    """For own files: how rows that share a file are given roles, and kept apart from those of other files. `splits`
    then
    names files without slices, and `size` counts rows by role."""
    empty: tuple[str, ...] = ()
    """Texts in own files that stand for nothing: `NaN`."""
    without: dict[str, tuple[int, ...]] = {}
    """Split to numbers, from 1, of rows of its own file that are left out."""
    faulty: Literal["fail", "leave_out"] = "fail"
    """What to do about rows of own files that can't be read or break the contract."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in ("hub", "files", "starter") if getattr(self, kind)]
        if given == ["hub", "files"]:
            given = ["hub"]
            if self.config is not None:
                raise ValueError("has both config and files; name the files alone")
        if len(given) > 1 or not (given or self.by_hand):
            raise ValueError(f"needs exactly one of hub, files or starter, has {', '.join(given) or 'none'}")
        if self.hub and "/" not in self.hub:
            raise ValueError(f"hub id '{self.hub}' has no owner; write owner/name")
        if self.hub is None and not all(isinstance(file, str) for file in (self.files or {}).values()):
            raise ValueError("files: name one file a split; only a hub's may have alternatives")
        if self.separator is not None and (len(self.separator) != 1 or self.separator in "\"'\r\n"):
            raise ValueError(f"separator is {self.separator!r}; write one character")
        own = {"apart": self.apart, "empty": self.empty, "faulty": self.faulty != "fail", "without": self.without,
               "decimal": self.decimal != ".", "sheet": self.sheet}  # fmt: skip
        if self.local_files is None and (name := next((key for key, value in own.items() if value), None)):
            raise ValueError(f"{name} is for files of your own; remove it")
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                raise ValueError(f"no encoding '{self.encoding}'; write one such as utf-8, cp1252 or utf-16") from None
        return self

    @property
    def local_files(self) -> dict[str, str] | None:
        """The user's own files by split; None where rows come from elsewhere."""
        return None if self.hub or self.files is None else {split: str(file) for split, file in self.files.items()}

    def patterns(self, split: str) -> tuple[str, ...]:
        """Patterns for a split's files in the hub's repository, the best first."""
        named = (self.files or {}).get(split, ())
        return (named,) if isinstance(named, str) else named
