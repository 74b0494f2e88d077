"""Steps that turn tables and triples into lines of text."""

import re

from openflan.tasks.rows.registry import Row, step

_CAMEL_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])")
_E2E = re.compile(r"\s*([^,\[\]]+)\[([^\]]*)\]")
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


@step
def e2e_facts(row: Row) -> Row:
    """Add `facts`, one `name = value` an attribute, from `name[value], name[value]` (E2E)."""
    return {
        **row,
        "facts": [f"{name.strip()} = {value}" for name, value in _E2E.findall(row["meaning_representation"])],
    }


@step
def all_references(row: Row) -> Row:
    """Add `texts`: the target, then the references that differ from it (E2E)."""
    return {**row, "texts": list(dict.fromkeys([row["target"], *row["references"]]))}


def _words(relation: str) -> str:
    """`LEADER_NAME` and `eatType` as plain words."""
    return _CAMEL_JOINT.sub(" ", relation.replace("_", " ")).lower()


def _web_nlg_cells(triple: str) -> list[str]:
    subject, relation, value = (cell.strip() for cell in triple.split(" | ", 2))
    value = value.partition("^^")[0].strip('"')
    return [subject.replace("_", " "), _words(relation), value.replace("_", " ")]
