"""Steps that turn tables and triples into lines of text."""

import re

from openflan.tasks.rows.registry import Row, step

_CAMEL_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PLACEHOLDER_CELL = re.compile(r"\[[A-Z]+\]\Z")


@step
def dart_facts(row: Row) -> Row:
    """Add `facts`, one `subject | relation | object` a triple, without placeholder cells (DART)."""
    triples = [(subject, _words(relation.strip("[]")), value) for subject, relation, value in row["tripleset"]]
    return {**row, "facts": [" | ".join(c for c in cells if not _PLACEHOLDER_CELL.match(c)) for cells in triples]}


@step
def web_nlg_facts(row: Row) -> Row:
    """Add `facts`, one `subject | relation | object` a triple, underscores and datatypes removed (WebNLG)."""
    triples = row["modified_triple_sets"]["mtriple_set"][0]
    return {**row, "facts": [" | ".join(_web_nlg_cells(triple)) for triple in triples]}


def _words(relation: str) -> str:
    """`LEADER_NAME` and `eatType` as plain words."""
    return _CAMEL_JOINT.sub(" ", relation.replace("_", " ")).lower()


def _web_nlg_cells(triple: str) -> list[str]:
    subject, relation, value = (cell.strip() for cell in triple.split(" | ", 2))
    value = value.partition("^^")[0].strip('"')
    return [subject.replace("_", " "), _words(relation), value.replace("_", " ")]
