"""Super-NaturalInstructions: one JSON file is one task with its rows.

The instances become a file of rows beside the task file. Each definition makes two templates: alone, and with two of
the positive examples. A task whose answers are single texts out of a few is a classification.

Invariant: every instance with an input and an answer is a row; the first hundred are the test, as theirs. Cost: the
JSON's own. Rejected: definition and examples as fields of every row, a thousand copies of one text.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from jinja2 import nodes

from openflan.errors import UserError
from openflan.importers.dialect import as_option, template_text
from openflan.importers.foreign import Data, Print, Tree
from openflan.importers.named import lineage_of
from openflan.importers.natural_instructions_clusters import cluster_of_categories
from openflan.importers.outcome import ImportOutcome, Refused, imported, task_name
from openflan.tasks.normal_forms import fitting_metrics

__all__ = ["OfficialPart", "import_natural_instructions", "official_parts"]

_LARGEST = 200_000_000
_TEST = 100
"""Instances at the start of a file that the benchmark tests on."""
_MOST_OPTIONS = 20
_LONGEST_OPTION = 60
_OFTEN = 5
"""Times that an option must occur on average."""
_EXAMPLES = 2
_LANGUAGES = ("Input_language", "Output_language", "Instruction_language")

OfficialPart = Literal["train", "test", "excluded"]
"""What the benchmark uses a task for."""


def official_parts(folder: Path) -> dict[str, OfficialPart]:
    """What each task is used for, by the lists of a split (`splits/default`): its name to train, test or excluded.

    Raises:
        UserError: the folder has no such lists.
    """
    parts: dict[str, OfficialPart] = {}
    for part in get_args(OfficialPart):
        path = folder / f"{part}_tasks.txt"
        if not path.is_file():
            how = "give the folder that holds train_tasks.txt, test_tasks.txt and excluded_tasks.txt"
            raise UserError("no such list", where=str(path), how=how)
        for line in path.read_text(encoding="utf-8-sig").split():
            parts[task_name(line)] = part
    return parts


def import_natural_instructions(
    path: Path,
    *,
    cluster: str | None,
    limit: int | None = None,
    parts: Mapping[str, OfficialPart] | None = None,
    prefix: str = "",
) -> ImportOutcome:
    """The task of a JSON file.

    Args:
        limit: keep at most this many instances: the file's first as the test, then such as stand evenly over the rest.
        parts: what the benchmark uses each task for (`official_parts`): a test task is never tuned on, an excluded
            one is left out.
        prefix: stands before the task's name.

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
    if len(rows) < 3:
        raise UserError(f"has {len(rows)} usable instances", where=str(path), how="a task needs three or more")
    name = task_name(path.name.removesuffix(".json"))
    part = None if parts is None else parts.get(name, "excluded")
    if part == "excluded":
        return ImportOutcome(refused=(Refused(what=str(path), why="the benchmark's split excludes it"),))
    name = prefix + name
    rows = _spread(rows, limit)
    options = _options(rows)
    answer: dict[str, Any] = {"field": "output"}
    metrics = ["accuracy"] if options else fitting_metrics(["rouge", "exact_match"], [row["output"][0] for row in rows])
    if options:
        answer["options"] = [as_option(nodes.Const(option)) for option in options]
    test = _tested(len(rows))
    categories = _texts(data.get("Categories"))
    sources = _texts(data.get("Source"))
    pair = (cluster, None) if cluster is not None else cluster_of_categories(categories, sources)
    named, sub = pair or ("misc", None)
    licence = ", ".join(_texts(data.get("Instance License")))
    content: dict[str, Any] = {
        "name": name,
        "cluster": named,
        **({"subcluster": sub} if sub else {}),
        "description": "Imported from Super-NaturalInstructions: " + "; ".join(_values(data, "Categories", "Domains")),
        "source": {"files": {"all": f"{name}.jsonl"}},
        "splits": {"train": f"all[{2 * test}:]", "validation": f"all[{test}:{2 * test}]", "test": f"all[:{test}]"},
        "size": {"all": len(rows)},
        "columns": {"id": "string", "input": "string", "output": ["string"]},
        "answer": answer,
        "metrics": metrics,
        **({"evaluation_only": True} if part == "test" else {}),
        "licence": licence or "unknown",
        "lineage": lineage_of(sources, own=task_name(next(iter(sources), name).partition("(")[0])),
        "templates": _templates(definitions, data.get("Positive Examples")),
    }
    notes = [f"{skipped} instances without input or output left out"] if skipped else []
    untrained = sorted(set(options) - {row["output"][0] for row in rows[2 * test :]})
    if untrained and part != "test":
        notes.append(f"training rows: none has the answer {', '.join(untrained)} (rows are split as the file has them)")
    foreign = sorted({one for one in _values(data, *_LANGUAGES) if one.lower() != "english"})
    notes += [f"languages: {', '.join(foreign)}"] if foreign else []
    notes += [f"from {url}" for url in _texts(data.get("URL"))]
    if pair is None:
        unknown = f"no cluster for {', '.join(categories)}" if categories else "the file names no category"
        notes.append(f"cluster: misc ({unknown}); say another with --cluster")
    names = [f"definition {number}{more}" for number in range(1, len(definitions) + 1) for more in ("", ", examples")]
    templates = tuple(names) if len(content["templates"]) == len(names) else tuple(names[::2])
    return ImportOutcome(
        tasks=(imported(content, where=str(path), templates=templates, notes=tuple(notes), rows=rows),)
    )


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
    """A text, or the texts of a list; numbers are read as texts, and no number (`NaN`) is nothing."""
    listed = value if isinstance(value, list) else [value]
    values = (one for one in listed if not isinstance(one, float) or math.isfinite(one))
    return [str(one) for one in values if isinstance(one, str | int | float) and not isinstance(one, bool)]


def _values(data: Mapping[str, Any], *keys: str) -> list[str]:
    return [text for key in keys for text in _texts(data.get(key))]


def _tested(rows: int) -> int:
    """Rows at a file's start that are the test, and as many after them the validation."""
    return min(_TEST, max(1, rows // 4))


def _spread(rows: list[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """At most `limit` rows: the first as the test, the others from all over the rest."""
    if limit is None or limit >= len(rows):
        return rows
    test = _tested(limit)
    rest, count = rows[test:], limit - test
    return [*rows[:test], *(rest[place * len(rest) // count] for place in range(count))]


def _row(instance: Any, number: int) -> dict[str, Any] | None:
    if not isinstance(instance, Mapping):
        return None
    inputs = _texts(instance.get("input"))
    outputs = list(dict.fromkeys(text.strip() for text in _texts(instance.get("output")) if text.strip()))
    if not outputs or len(inputs) != 1 or not inputs[0].strip():
        return None
    return {"id": str(instance.get("id", number)), "input": inputs[0].strip(), "output": outputs}


def _options(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The few texts that all answers are, sorted; empty where answers are free."""
    if any(len(row["output"]) != 1 for row in rows):
        return []
    counts = Counter(row["output"][0] for row in rows)
    few = 2 <= len(counts) <= _MOST_OPTIONS and len(rows) >= _OFTEN * len(counts)
    return sorted(counts) if few and all(len(text) <= _LONGEST_OPTION for text in counts) else []


def _templates(definitions: Sequence[str], examples: Any) -> list[dict[str, str]]:
    solved = [row for number, one in enumerate(examples or ()) if (row := _row(one, number)) is not None]
    shown = "".join(f"Input: {row['input']}\nOutput: {row['output'][0]}\n\n" for row in solved[:_EXAMPLES])
    question: Tree = (Data("Input: "), Print(nodes.Name("input", "load")), Data("\nOutput:"))
    templates: list[dict[str, str]] = []
    for definition in definitions:
        starts = [definition + "\n\n"] + ([definition + "\n\n" + shown] if shown else [])
        templates += [{"input": template_text((Data(start + "Input: "), *question[1:]))} for start in starts]
    return templates
