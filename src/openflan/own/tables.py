"""The tables of a folder, and their rows: a file each, or a file each for training, validation and test.

    reviews.csv                       one table
    tickets_train.csv  tickets_test.csv   one table with two roles, and so tickets/train.csv tickets/test.csv

Invariant: a file that can't be read as it stands is one line, and the others are read. Rejected: looking into folders
below the first, where other people's files lie.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.own.profile import OwnColumn, columns_of
from openflan.own.roles import hidden_answers, role_names, said_roles
from openflan.tasks.delimited import TableForm, form_of
from openflan.tasks.readers import ENDINGS, is_rows, is_table, read_rows
from openflan.tasks.splits import Role
from openflan.tasks.workbooks import ALL_SHEETS, sheets_of

__all__ = ["FEWEST_ROWS", "OwnTable", "TableFiles", "find_tables", "read_table", "tables_of"]

_PARTS = re.compile(r"(?P<stem>.*?)[\W_]*(?P<role>" + "|".join(role_names()) + r")", re.IGNORECASE)
FEWEST_ROWS = 10
_BAD = 0.05
"""Share of lines that can't be read up to which the others are taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableFiles:
    """The files of one table."""

    name: str
    """Of the task that it becomes."""
    files: dict[str, Path]
    """By role, or one under `all`."""
    sheet: str | None = None
    """The sheet of a workbook that has several; `*` where they are the roles."""

    @property
    def shown(self) -> str:
        """The files' names."""
        names = ", ".join(path.name for path in self.files.values())
        return names if self.sheet in (None, ALL_SHEETS) else f"{names}, sheet {self.sheet}"


@dataclass(kw_only=True)
class OwnTable:
    """A table that was read."""

    files: TableFiles
    form: TableForm | None
    """How it is written, where its files hold cells between separators."""
    rows: list[dict[str, Any]]
    """Of all files, one after the other."""
    counts: dict[str, int]
    """Rows a file."""
    columns: list[OwnColumn]
    warnings: list[str] = field(default_factory=list)
    row_roles: dict[str, Role] = field(default_factory=dict)
    """What the column that says the rows' roles has, to the role; empty where none does."""
    role_column: str = ""
    """That column."""

    @property
    def cells(self) -> bool:
        """Whether its files have texts alone."""
        return self.form is not None

    @property
    def parts(self) -> list[str]:
        """The part that each row is of: its file's role, or what the column says that says the roles."""
        if self.row_roles:
            return [str(row.get(self.role_column) or "").strip() for row in self.rows]
        return [split for split, count in self.counts.items() for _ in range(count)]

    @property
    def roles(self) -> dict[Role, str]:
        """The file of each role's rows, by its name among the files."""
        own = self.files.files
        rest = "train" if "train" in own else "all"
        return {role: role if role in own else rest for role in ("train", "validation", "test")}

    def without(self, parts: Mapping[str, str]) -> "OwnTable":
        """The table without some of its parts.

        Args:
            parts: each with the reason, in words.
        """
        rows = [row for part, row in zip(self.parts, self.rows, strict=True) if part not in parts]
        files = {split: path for split, path in self.files.files.items() if split not in parts}
        called = {part: path.name for part, path in self.files.files.items() if not self.row_roles}
        lines = [f"{called.get(part, f'the part {part}')}: {why}, so it is left out" for part, why in parts.items()]
        return replace(
            self,
            files=replace(self.files, files=files),
            rows=rows,
            counts={split: count for split, count in self.counts.items() if split in files},
            columns=columns_of(rows, cells=self.cells),
            warnings=[*self.warnings, *lines],
            row_roles={value: role for value, role in self.row_roles.items() if value not in parts},
        )

    def answered(self, answer: str) -> "OwnTable":
        """The table without the parts in which no row has an answer.

        Args:
            answer: the column that answers.
        """
        (column,) = (column for column in self.columns if column.path == answer)
        there = {part for part, value in zip(self.parts, column.values, strict=True) if value is not None}
        trained = "train" in self.files.files or "train" in self.row_roles.values()
        lacking = {part: f"'{answer}' is empty in every row" for part in self.parts if part not in there}
        return self.without(lacking) if trained and there and lacking else self


def find_tables(folder: Path) -> list[TableFiles]:
    """The tables in a folder and in the folders below it that hold a file a role."""
    tables = _grouped(folder, task_name(folder.resolve().name))
    for below in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))):
        if is_rows(below):
            tables.append(TableFiles(name=task_name(below.name), files={"all": below}))
        elif below.name not in ("tasks", "runs", "studies"):
            tables += [table for table in _grouped(below, task_name(below.name)) if "all" not in table.files]
    return tables


def task_name(stem: str) -> str:
    """A file's or folder's name as a task's."""
    return re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "task"


def _grouped(folder: Path, name: str) -> list[TableFiles]:
    """The files of a folder, those of one table together."""
    alone: dict[str, Path] = {}
    roles: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if (
            not path.is_file()
            or not path.name.lower().endswith(tuple(filter(None, ENDINGS)))
            or path.name.startswith(".")
        ):
            continue
        stem = path.name.split(".")[0]
        match = _PARTS.fullmatch(stem)
        if match and role_names()[match["role"].lower()] not in roles.get(match["stem"], {}):
            roles.setdefault(match["stem"], {})[role_names()[match["role"].lower()]] = path
        else:
            alone[path.name] = path
    tables = [table for path in alone.values() for table in tables_of(path)]
    for stem, files in roles.items():
        one = dict(files) if "train" in files else {"all": next(iter(files.values()))}
        tables.append(TableFiles(name=task_name(stem) if stem else name, files=one))
    return sorted(tables, key=lambda table: table.name)


def tables_of(path: Path) -> list[TableFiles]:
    """The tables of one file: several where a workbook has several sheets that are no roles of one."""
    stem = task_name(path.name.split(".")[0] if path.is_file() else path.name)
    sheets: list[str] = []
    if path.name.lower().endswith(".xlsx"):
        with contextlib.suppress(UserError):  # told when it is read
            sheets = sheets_of(path)
    if len(sheets) < 2:
        return [TableFiles(name=stem, files={"all": path})]
    if (roles := {role_names().get(name.strip().lower()) for name in sheets}) > {"train"} and None not in roles:
        return [TableFiles(name=stem, files={"all": path}, sheet=ALL_SHEETS)]
    return [TableFiles(name=f"{stem}_{task_name(name)}", files={"all": path}, sheet=name) for name in sheets]


def read_table(files: TableFiles, *, encoding: str | None = None, separator: str | None = None) -> OwnTable:
    """Read a table's rows and look at its columns.

    Args:
        encoding: byte encoding of its files, where it is not UTF-8.
        separator: what stands between its cells, where more than one would fit.

    Raises:
        UserError: a file can't be read, too many of its lines are faulty, or there are fewer than ten rows.
    """
    rows: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    warnings: list[str] = []
    form = None
    for split, path in files.files.items():
        if is_table(path):
            form = form_of(path, separator=separator, encoding=encoding)
        faults: list[UserError] = []
        reading = read_rows(path, {}, encoding=encoding, separator=separator, sheet=files.sheet, faults=faults)
        here = list(reading)
        if faults and (not here or len(faults) > max(1, _BAD * len(here))):
            raise faults[0]
        if faults:
            first = f"{str(faults[0].where).rpartition(', ')[2]} {faults[0].what}"
            warnings.append(f"{path.name}: {len(faults):,} lines can't be read and are left out; {first}")
        rows += here
        counts[split] = len(here)
    if len(rows) < FEWEST_ROWS:
        what = f"{len(rows)} rows" if rows else "holds no rows"
        raise UserError(what, where=files.shown, how="ten are the least: eight to train on, one each to try and test")
    columns = columns_of(rows, cells=form is not None)
    saying = next((column for column in columns if len(counts) == 1 and said_roles(column)), None)
    table = OwnTable(
        files=files, form=form, rows=rows, counts=counts, columns=columns, warnings=warnings,
        row_roles=said_roles(saying) if saying else {}, role_column=saying.path if saying else "",
    )  # fmt: skip
    hidden = hidden_answers(columns, table.parts)
    return table.without(hidden) if hidden else table
