"""A task's file from a reading of a table: source and splits, contract, answer, templates; tried on the rows.

Invariant: what is written passes `openflan tasks check`; where it would not, nothing is. Cost: one reading of the
table, every row's answer once, and every template on the first rows. Rejected: writing first and telling the faults,
which leaves a file that nobody can train on.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from openflan.errors import UserError, strict_error
from openflan.own.filling import expression, fill
from openflan.own.names import readable
from openflan.own.personal import personal_data
from openflan.own.profile import OwnColumn
from openflan.own.reading import Reading, View
from openflan.own.scales import scale_of
from openflan.own.separating import keep_apart
from openflan.own.tables import FEWEST_ROWS, OwnTable
from openflan.own.wording import Wording
from openflan.own.words import content
from openflan.prompts.lint import check_task
from openflan.prompts.render import TaskRenderer
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import load_rows
from openflan.tasks.spec import RESERVED, TaskSpec

__all__ = ["DraftedTask", "draft", "try_task"]

_MANY = 20
"""Labels from which on a prompt lists some of them."""
_LISTED = 12
_TRIED = 60
"""Rows of each file under every template."""
_WRONG = 0.02
"""Share of rows whose answer is none of their options up to which they are left out by number."""


@dataclass(kw_only=True)
class DraftedTask:
    """What a task file is to say."""

    spec: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def draft(
    table: OwnTable, view: View, reading: Reading, wording: Wording | None, *, folder: Path, cluster: str
) -> DraftedTask:
    """The content of a task file.

    Args:
        wording: words for the label's values, where the answer is one of them.
        folder: where the task file will stand.
        cluster: the task's.
    """
    if reading.answer.present < FEWEST_ROWS:
        how = "ten are the least: eight to train on, one each to try and test"
        raise UserError(f"{reading.answer.present} rows with an answer", where=table.files.shown, how=how)
    files = {split: os.path.relpath(path.resolve(), folder.resolve()) for split, path in table.files.files.items()}
    source: dict[str, Any] = {"files": files}
    if (
        table.form is not None
        and table.form.encoding.removesuffix("-sig") != "utf-8"
        and not table.form.encoding.startswith("utf")
    ):
        source["encoding"] = table.form.encoding
    if table.form is not None and table.form.separator != ",":
        source["separator"] = table.form.separator
    if any(column.decimal == "," for column in table.columns):
        source["decimal"] = ","
    if table.files.sheet is not None:
        source["sheet"] = table.files.sheet
    apart, warnings = keep_apart(table, view, reading)
    source["apart"] = apart
    used = _used(reading)
    if empties := _empties(used, reading, cells=table.cells):
        source["empty"] = empties
    required = [column for column in used if column not in _optional(reading) and column is not reading.answer]
    lost = {column.path: column for column in required if column.empty}
    if lost or table.warnings:
        source["faulty"] = "leave_out"
    rows = f"{len(table.rows):,} rows"
    for path, column in lost.items():
        empty = f"empty in {column.empty:,} of {rows}, the first row {column.first_empty}"
        warnings.append(f"{path}: {empty}; they are left out")
    if reading.answer.empty:
        empty = f"{reading.answer.empty:,} of {rows} have no answer and are left out"
        warnings.append(f"{reading.answer.path}: {empty}, the first row {reading.answer.first_empty}")
    personal = personal_data(used)
    answer, metrics = _answer(reading, wording)
    spec: dict[str, Any] = {
        "name": table.files.name,
        "cluster": cluster,
        **({"subcluster": reading.subcluster} if reading.subcluster and cluster == "misc" else {}),
        "description": f"{_kind_words(reading.kind).capitalize()}: {table.files.shown}.",
        "source": source,
        "splits": dict(table.roles),
        "columns": (contract := _contract(used, reading)),
        **_fields(contract, reading),
        **({"rows": ["mask_personal_data"]} if personal else {}),
        "answer": answer,
        "metrics": metrics,
        "licence": "unknown",
        "lineage": [table.files.name],
        "templates": _templates(view, reading, wording),
    }
    return DraftedTask(spec=spec, warnings=[*table.warnings, *warnings, *personal])


def try_task(drafted: DraftedTask, path: Path) -> Entry:
    """The task as it will be read, tried on its rows; the counts of its roles are put into what it says.

    Raises:
        UserError: it would not pass its own check.
    """
    entry = _entry(drafted.spec, path, there=True)
    without, drafted.spec["size"] = _look(entry, drafted)
    if without:
        drafted.spec["source"]["without"] = without
        entry = _entry(drafted.spec, path, there=True)
    if faults := check_task(entry, strict=False, first=_TRIED).faults:
        how = "mend the table, or write the task by hand: docs/tasks.md shows one"
        raise UserError(
            f"no task could be made that passes its check: {faults[0].what}", where=faults[0].where, how=how
        )
    return _entry(drafted.spec, path)


def _entry(content: Mapping[str, Any], path: Path, *, there: bool = False) -> Entry:
    """A task file's content as a task; with whole paths of its files while its folder may not be there yet."""
    try:
        spec = TaskSpec.model_validate_json(json.dumps(content, ensure_ascii=False))
    except ValidationError as error:
        raise strict_error(error, f"the task guessed for {path.name}", TaskSpec) from None
    except UnicodeEncodeError:
        how = "mend the table"
        raise UserError("holds half a character (a lone surrogate) in a label", where=str(path), how=how) from None
    if there:
        files = {
            split: os.path.normpath(path.parent.resolve() / file) for split, file in content["source"]["files"].items()
        }
        spec = spec.model_copy(update={"source": spec.source.model_copy(update={"files": files})})
    return Entry(spec=spec, path=path, collection="mine")


def _look(entry: Entry, drafted: DraftedTask) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Numbers of the rows whose answer can't be told, by split, and how many rows each role has without them."""
    renderer = TaskRenderer(entry)
    without: dict[str, list[int]] = {}
    sizes: dict[str, int] = {}
    first: UserError | None = None
    for role, split in entry.spec.splits.items():
        rows = load_rows(entry, role)
        sizes[role] = len(rows)
        for row in rows:
            try:
                renderer.answer(row)
            except UserError as error:
                first = first or error
                sizes[role] -= 1
                without.setdefault(split, []).append(row.index + 1)
    count = sum(map(len, without.values()))
    if first is not None and count > _WRONG * sum(sizes.values()):
        raise first
    if first is not None:
        drafted.warnings.append(f"{count:,} rows are left out, for their answer is none of the options: {first}")
    return {split: sorted(numbers) for split, numbers in without.items()}, sizes


def _used(reading: Reading) -> list[OwnColumn]:
    """The columns that a task reads."""
    options = reading.options
    chosen = [*(options.columns if options else ()), *([options.labels] if options and options.labels else [])]
    return list(dict.fromkeys([*reading.parts.values(), *reading.extras, *chosen, reading.answer]))


def _optional(reading: Reading) -> set[OwnColumn]:
    """Columns that may be empty in a row that is used."""
    optional = set(reading.extras)
    if reading.options and reading.options.form == "columns":
        optional |= set(reading.options.columns)
    if reading.kind == "instruction" and "text" in reading.parts:
        optional.add(reading.parts["text"])
    return optional


def _empties(used: Sequence[OwnColumn], reading: Reading, *, cells: bool) -> list[str]:
    """Texts that stand for nothing in the columns that are used, and are no class in another of them."""
    empties = {text for column in used for text in column.nothing}
    classes = {str(value) for column in used for value in column.classes if column.kind == "text"}
    optional = _optional(reading) if cells else set(reading.extras)
    blank = any(column.empty and column not in optional for column in used if column.stored == "text")
    return [*([""] if blank else []), *sorted(empties - classes)]


def _contract(used: Sequence[OwnColumn], reading: Reading) -> dict[str, Any]:
    """What the source must hold."""
    optional = _optional(reading) | {reading.answer}
    contract: dict[str, Any] = {}
    for column in used:
        kind = _type(column)
        if isinstance(kind, str) and column.empty and column in optional:
            kind += "?"
        if column.path == column.top:
            contract[column.path] = kind
            continue
        here = contract
        *above, last = column.path.split(".")
        for part in above:
            here = here.setdefault(part, {})
        here[last] = kind
    return contract


def _fields(contract: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """The names that templates may use, where a column is called what openflan calls something else in them."""
    listed = reading.options.columns if reading.options and reading.options.form == "list" else ()
    meant = {column.top for column in listed} - {"answer"} | {reading.answer.top} & {"answer"}
    free = [name for name in contract if name not in RESERVED or name in meant]
    return {} if len(free) == len(contract) else {"fields": free}


def _type(column: OwnColumn) -> Any:
    if column.separator:
        return {"separated": column.separator}
    if column.stored == "texts":
        items = {type(item) for value in column.values if value for item in value}
        return ["string" if str in items else "float" if float in items else "int"]
    return {"text": "string", "lists": [["string"]]}.get(column.stored, column.stored)


def _answer(reading: Reading, wording: Wording | None) -> tuple[dict[str, Any], list[str]]:
    """How a row's answer is found, and what it is measured by."""
    column, options = reading.answer, reading.options
    answer: dict[str, Any] = {"field": column.path}
    if options is None:
        if column.kind == "texts" and reading.kind == "tagging":
            return {**answer, "joined": ", "}, ["f1", "exact_match"]
        return answer, _written_metrics(reading)
    if options.form == "scale":
        keys = scale_of(column)
        answer |= {"options": [f"{key:g}" for key in keys], "keys": list(keys), "nearest": True}
        return answer, ["accuracy", "pearson", "spearman"]
    if options.form == "columns":
        answer["options"] = [expression(one) for one in options.columns]
    elif options.form == "list":
        answer["options_field"] = options.columns[0].path
    else:
        assert wording is not None, "classes have words"
        answer["options"] = [_literal(text) for text in wording.options]
        if len(wording.options) > _MANY:
            answer["sample"] = _LISTED
        if column.stored != "text" or wording.options != column.classes:
            answer["keys"] = [column.spelled.get(value, value) for value in column.classes]
        return answer, ["accuracy", "f1_macro"] if len(wording.options) > 2 else ["accuracy"]
    if options.labels is not None:
        answer["keys_field"] = options.labels.path
    elif options.keys:
        stored = [column.spelled.get(key, str(key) if column.stored == "text" else key) for key in options.keys]
        answer["keys"] = stored
    return answer, ["accuracy"]


def _literal(text: str) -> str:
    """An option as it stands, though it may hold what Jinja reads."""
    return "{{" + json.dumps(text, ensure_ascii=False) + "}}" if "{" in text else text


def _written_metrics(reading: Reading) -> list[str]:
    """Exact match and F1 for short answers, BLEU for translations, ROUGE for what is long."""
    if reading.kind == "translation":
        return ["bleu", "rouge"]
    long = reading.answer.mean_length > 40 or reading.kind in ("summary", "data_to_text")
    return ["rouge"] if long else ["exact_match", "f1"]


def _templates(view: View, reading: Reading, wording: Wording | None) -> list[dict[str, Any]]:
    parts, answer = reading.parts, reading.answer
    kind = reading.kind
    noun = readable(answer.path)
    if kind == "pronoun" and "candidate" in parts:
        kind = "pronoun_yes_no"
    elif kind == "pronoun" and "pronoun" not in parts:
        kind = "blank" if parts["text"].blanks > 0.5 else "reference"
    if kind == "multiple_choice" and "question" not in parts:
        kind = "choice_alone"
    if reading.subcluster == "formatting":
        kind = "formatting"
    words = {"noun": noun or ("output" if kind == "text_to_text" else "label")}
    if kind == "translation":
        words["from"], words["to"] = (_language(view.relations.language(one)) for one in (parts["text"], answer))
    if kind in ("rating", "similarity"):
        keys = scale_of(answer)
        words["low"], words["high"] = f"{keys[0]:g}", f"{keys[-1]:g}"
    if kind == "tagging":
        items = sorted({str(item) for value in answer.values if value for item in value})
        words["labels"] = ", ".join(map(_literal, items))
    return fill(kind, parts, reading.extras, words)


def _language(code: str) -> str:
    return str(content()["languages"].get(code, code))


def _kind_words(kind: str) -> str:
    return kind.replace("_", " ")
