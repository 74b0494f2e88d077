"""Super-NaturalInstructions: one JSON file is one task with its rows.

The instances become a file of rows beside the task file. Each definition makes two templates: alone, and with two of
the positive examples. A task whose answers are single texts out of a few is a classification.

Invariant: every instance with an input and an answer is a row; the first hundred are the test, as theirs. Cost: the
JSON's own. Rejected: definition and examples as fields of every row, a thousand copies of one text.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import nodes

from openflan.errors import UserError
from openflan.importers.dialect import as_option, template_text
from openflan.importers.foreign import Data, Print, Tree
from openflan.importers.outcome import ImportOutcome, imported, task_name
from openflan.tasks.lineage import known_corpora

__all__ = ["import_natural_instructions"]

_LARGEST = 200_000_000
_TEST = 100
"""Instances at the start of a file that the benchmark tests on."""
_MOST_OPTIONS = 20
_LONGEST_OPTION = 60
_OFTEN = 5
"""Times that an option must occur on average."""
_EXAMPLES = 2

_CLUSTERS = {
    "cause effect classification": "commonsense",
    "commonsense classification": "commonsense",
    "coreference resolution": "coreference",
    "data to text": "struct_to_text",
    "paraphrasing": "paraphrase",
    "sentiment analysis": "sentiment",
    "summarization": "summarization",
    "textual entailment": "natural_language_inference",
    "title generation": "summarization",
    "translation": "translation",
}
"""Their categories that are one of our clusters."""
_SUBCLUSTERS = {
    "grammar error detection": "linguistic_acceptability",
    "mathematics": "math",
    "punctuation error detection": "formatting",
}


def import_natural_instructions(path: Path, *, cluster: str | None, limit: int | None) -> ImportOutcome:
    """The task of a JSON file.

    Args:
        limit: keep at most this many instances, the first ones.

    Raises:
        UserError: the file is missing, no JSON, or no such task.
    """
    data = _read(path)
    definitions = [text.strip() for text in _texts(data.get("Definition")) if text.strip()]
    if not definitions or not isinstance(data.get("Instances"), list):
        how = "give a task file with 'Definition' and 'Instances'"
        raise UserError("no Super-NaturalInstructions file", where=str(path), how=how)
    rows = [row for number, one in enumerate(data["Instances"]) if (row := _row(one, number)) is not None]
    skipped = len(data["Instances"]) - len(rows)
    rows = rows[:limit]
    if len(rows) < 3:
        raise UserError(f"has {len(rows)} usable instances", where=str(path), how="a task needs three or more")
    name = task_name(path.name.removesuffix(".json"))
    options = _options(rows)
    answer: dict[str, Any] = {"field": "output"}
    if options:
        answer["options"] = [as_option(nodes.Const(option)) for option in options]
    test = min(_TEST, max(1, len(rows) // 4))
    found, sub = _cluster(data, cluster)
    licence = ", ".join(_texts(data.get("Instance License")))
    content: dict[str, Any] = {
        "name": name,
        "cluster": found,
        **({"subcluster": sub} if sub else {}),
        "description": "Imported from Super-NaturalInstructions: " + "; ".join(_texts(data.get("Categories"))),
        "source": {"files": {"all": f"{name}.jsonl"}},
        "splits": {"train": f"all[{2 * test}:]", "validation": f"all[{test}:{2 * test}]", "test": f"all[:{test}]"},
        "size": {"all": len(rows)},
        "columns": {"id": "string", "input": "string", "output": ["string"]},
        "answer": answer,
        "metrics": ["accuracy"] if options else ["rouge", "exact_match"],
        **({"licence": licence} if licence else {}),
        "lineage": [one for one in map(task_name, _texts(data.get("Source"))) if one in known_corpora()],
        "templates": _templates(definitions, data.get("Positive Examples")),
    }
    notes = [f"{skipped} instances without input or output left out"] if skipped else []
    if cluster is None and found == "misc" and not sub:
        notes.append("cluster: misc; say another with --cluster")
    names = [f"definition {number}{more}" for number in range(1, len(definitions) + 1) for more in ("", ", examples")]
    kept = tuple(names) if len(content["templates"]) == len(names) else tuple(names[::2])
    return ImportOutcome(tasks=(imported(content, where=str(path), templates=kept, notes=tuple(notes), rows=rows),))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"over {_LARGEST:,} bytes", where=str(path), how="split the file")
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError("no such file", where=str(path), how="check the path") from None
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}", where=str(path), how="check its permissions") from None
    except (ValueError, RecursionError) as error:  # json's and Unicode's errors are ValueErrors
        raise UserError(f"not valid JSON: {error}", where=str(path), how="mend the file") from None
    if not isinstance(data, dict):
        raise UserError("no JSON object", where=str(path), how="give a task file, a mapping")
    return data


def _texts(value: Any) -> list[str]:
    """A text, or the texts of a list."""
    return [value] if isinstance(value, str) else [one for one in value or () if isinstance(one, str)]


def _row(instance: Any, number: int) -> dict[str, Any] | None:
    if not isinstance(instance, Mapping) or not isinstance(instance.get("input"), str):
        return None
    outputs = list(dict.fromkeys(text.strip() for text in _texts(instance.get("output")) if text.strip()))
    if not outputs or not instance["input"].strip():
        return None
    return {"id": str(instance.get("id", number)), "input": instance["input"].strip(), "output": outputs}


def _options(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The few texts that all answers are, sorted; empty where answers are free."""
    if any(len(row["output"]) != 1 for row in rows):
        return []
    counts = Counter(row["output"][0] for row in rows)
    few = 2 <= len(counts) <= _MOST_OPTIONS and len(rows) >= _OFTEN * len(counts)
    return sorted(counts) if few and all(len(text) <= _LONGEST_OPTION for text in counts) else []


def _cluster(data: Mapping[str, Any], named: str | None) -> tuple[str, str | None]:
    """The cluster, and within `misc` the subcluster, by the first category that is clear."""
    if named is not None:
        return named, None
    words = [part.strip().lower() for text in _texts(data.get("Categories")) for part in text.split("->")]
    for word in words:
        if word in _CLUSTERS:
            return _CLUSTERS[word], None
        if word in _SUBCLUSTERS:
            return "misc", _SUBCLUSTERS[word]
    return "misc", None


def _templates(definitions: Sequence[str], examples: Any) -> list[dict[str, str]]:
    solved = [row for number, one in enumerate(examples or ()) if (row := _row(one, number)) is not None]
    shown = "".join(f"Input: {row['input']}\nOutput: {row['output'][0]}\n\n" for row in solved[:_EXAMPLES])
    question: Tree = (Data("Input: "), Print(nodes.Name("input", "load")), Data("\nOutput:"))
    templates: list[dict[str, str]] = []
    for definition in definitions:
        starts = [definition + "\n\n"] + ([definition + "\n\n" + shown] if shown else [])
        templates += [{"input": template_text((Data(start + "Input: "), *question[1:]))} for start in starts]
    return templates
