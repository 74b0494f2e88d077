"""A first task from a table: columns, label and options guessed, seed templates filled in.

The guess is meant to be read and mended by its owner. It looks at names and values: a column of few, short, repeated
values is a label; two texts beside it are a pair; a list of texts with a key is multiple choice; a passage and a
question are reading comprehension; what is left writes one column from another.

Invariant: what is written passes `openflan tasks check` and trains as it is. Cost: reads 2,000 rows.
Rejected: asking a language model, whose guess nobody can reproduce.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.recipes.safe_yaml import read_yaml

__all__ = ["Guess", "guess_task"]

_SEEDS = Path(__file__).with_name("seed_templates.yaml")
_MOST_OPTIONS = 30
_LABELS = ("label", "labels", "class", "category", "sentiment", "intent", "topic", "stance", "verdict", "rating")
_TARGETS = ("answer", "answers", "target", "output", "response", "completion", "summary", "translation", "headline")
_CONTEXTS = ("context", "passage", "paragraph", "document", "article", "story")
_QUESTIONS = ("question", "query", "question_stem")
_CHOICES = ("choices", "options", "endings", "candidates", "answers")
_KEYS = ("answer", "label", "answerKey", "answer_key", "correct", "target")
_IDS = ("id", "idx", "index", "uid", "guid", "row", "row_id")
_PAIR_CLUSTERS = (("entail", "natural_language_inference"), ("hypothesis", "natural_language_inference"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """A guessed task: what its file says, and what its owner should look at."""

    kind: str
    """Which seed templates were taken."""
    spec: dict[str, Any]
    doubts: list[str]


def guess_task(name: str, rows: Sequence[Mapping[str, Any]], *, file: str, count: int, cluster: str | None) -> Guess:
    """A task file's content for a table.

    Args:
        rows: some rows of it, the first thousand or two.
        file: the path that `source.files` is to name.
        count: rows of the whole table.

    Raises:
        UserError: there are too few rows, or no two columns to ask and answer with.
    """
    if count < 10:
        raise UserError(
            f"{count} rows", where=file, how="ten are the least: eight to train on, one each to try and test"
        )
    columns = {key: kind for key in rows[0] if (kind := _column(rows, key)) is not None}
    texts = sorted(
        (key for key, kind in columns.items() if kind == "string" and key.lower() not in _IDS),
        key=lambda key: -_mean_length(rows, key),
    )
    guess = _multiple_choice(rows, columns, texts) or _classification(rows, columns, texts) or _generation(texts)
    if guess is None:
        raise UserError(
            "no column to ask with and another to answer",
            where=f"{file} has {', '.join(map(str, rows[0]))}",
            how="write the task by hand: docs/tasks.md shows one",
        )
    kind, answer, places, doubts = guess
    tail = min(200, max(1, count // 10))
    metrics = ["accuracy"] if "options" in answer or "options_field" in answer else _metrics(rows, answer["field"])
    spec: dict[str, Any] = {
        "name": name,
        "cluster": cluster or _cluster(kind, answer, columns),
        "description": f"{kind.replace('_', ' ').capitalize()} of {Path(file).name}.",
        "source": {"files": {"all": file}, "shuffle": 0},
        "splits": {"train": f"all[:-{2 * tail}]", "validation": f"all[-{2 * tail}:-{tail}]", "test": f"all[-{tail}:]"},
        "size": {"all": count},
        "columns": columns,
        "answer": answer,
        "metrics": metrics,
        "licence": "unknown",
        "lineage": [name],
        "templates": _fill(kind, places),
    }
    return Guess(kind=kind, spec=spec, doubts=[*doubts, "licence: say under which the rows may be used"])


Found = tuple[str, dict[str, Any], dict[str, str], list[str]]
"""Kind, `answer`, which column stands for which name in the seed templates, and doubts."""


def _multiple_choice(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any], texts: Sequence[str]
) -> Found | None:
    lists = [key for key, kind in columns.items() if kind == ["string"] and key.lower() in _CHOICES]
    keys = [key for key in _KEYS if key in columns and key not in lists]
    if not lists or not keys or not texts:
        return None
    choices, key = lists[0], keys[0]
    values = [row[key] for row in rows]
    answer: dict[str, Any] = {"field": key, "options_field": choices}
    if all(isinstance(value, str) and value not in row[choices] for value, row in zip(values, rows, strict=True)):
        longest = max(len(row[choices]) for row in rows)
        answer["keys"] = [chr(ord("A") + n) for n in range(longest)]
    question = next((text for text in texts if text != key), None)
    return None if question is None else ("multiple_choice", answer, {"text": question}, [])


def _classification(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any], texts: Sequence[str]
) -> Found | None:
    labels = _label_columns(rows, columns)
    others = [text for text in texts if text not in labels]
    if not labels or not others:
        return None
    label = labels[0]
    doubts: list[str] = []
    values = Counter(row[label] for row in rows)
    ordered = sorted(values, key=lambda value: (isinstance(value, str), value))
    options = [str(value).lower() if isinstance(value, bool) else str(value) for value in ordered]
    answer: dict[str, Any] = {"field": label, "options": options}
    if not all(isinstance(value, str) for value in ordered):
        answer["keys"] = ordered
    if not any(isinstance(value, str) and any(map(str.isalpha, value)) for value in ordered):
        doubts.append(f"answer.options: say in words what {', '.join(options)} in '{label}' mean")
    noun = {"noun": label.replace("_", " ").lower()}
    if len(others) >= 2 and _mean_length(rows, others[0]) < 8 * _mean_length(rows, others[1]):
        order = [key for key in rows[0] if key in others[:2]]
        return "pair_classification", answer, {"left": order[0], "right": order[1], **noun}, doubts
    return "text_classification", answer, {"text": others[0], **noun}, doubts


def _generation(texts: Sequence[str]) -> Found | None:
    target = next((text for name in _TARGETS for text in texts if text.lower() == name), None)
    if target is None and len(texts) >= 2:
        target = texts[-1]
    others = [text for text in texts if text != target]
    if target is None or not others:
        return None
    answer = {"field": target}
    named = {text.lower(): text for text in others}
    question = next((named[name] for name in _QUESTIONS if name in named), None)
    context = next((named[name] for name in _CONTEXTS if name in named), None)
    if question and context:
        return "passage_question", answer, {"context": context, "question": question}, []
    if question:
        return "question", answer, {"question": question}, []
    doubt = f"answer.field: '{target}' is taken for what the model should write"
    return "text_to_text", answer, {"text": others[0], "noun": target.replace("_", " ").lower()}, [doubt]


def _label_columns(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any]) -> list[str]:
    """Columns of few, repeated values, the likeliest label first: by name, then texts before numbers."""
    fitting = []
    for key, kind in columns.items():
        if kind not in ("string", "int", "bool") or key.lower() in _IDS:
            continue
        values = Counter(row[key] for row in rows)
        short = all(len(str(value)) <= 60 for value in values)
        if short and 2 <= len(values) <= min(_MOST_OPTIONS, len(rows) // 3):
            fitting.append(key)
    named = [key for name in _LABELS for key in fitting if key.lower() == name]
    rest = sorted((key for key in fitting[::-1] if key not in named), key=lambda key: columns[key] != "string")
    return [*named, *rest]


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> Any:
    """The contract of a column, None where it has no one type that templates can use."""
    values = [row.get(key) for row in rows]
    for kind, types in (("bool", bool), ("int", int), ("float", (int, float)), ("string", str)):
        if all(isinstance(value, types) and (kind == "bool" or not isinstance(value, bool)) for value in values):
            return kind
    if all(isinstance(value, list) and all(isinstance(item, str) for item in value) for value in values):
        return ["string"]
    return None


def _mean_length(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    return sum(len(row[key]) for row in rows) / len(rows)


def _metrics(rows: Sequence[Mapping[str, Any]], field: str) -> list[str]:
    """Exact match and F1 for short answers, ROUGE for long ones."""
    return ["exact_match", "f1"] if _mean_length(rows, field) <= 40 else ["rouge"]


def _cluster(kind: str, answer: Mapping[str, Any], columns: Mapping[str, Any]) -> str:
    options = " ".join([*answer.get("options", ()), *columns]).lower()
    if kind == "text_classification" and {"positive", "negative"} & set(options.split()):
        return "sentiment"
    if kind == "pair_classification":
        return next((cluster for word, cluster in _PAIR_CLUSTERS if word in options), "paraphrase")
    fixed = {"passage_question": "reading_comprehension", "question": "closed_book_qa"}
    if answer["field"].lower() in ("summary", "headline"):
        return "summarization"
    return fixed.get(kind, "misc")


def _fill(kind: str, places: Mapping[str, str]) -> list[dict[str, Any]]:
    """The seed templates of a kind with a table's own columns in them."""
    templates: list[dict[str, Any]] = []
    for seed in read_yaml(_SEEDS, kind="file of seed templates", how="install openflan again")[kind]:
        template = dict(seed)
        for part in ("input", "target"):
            if part not in template:
                continue
            for name, column in places.items():
                plain = column if name == "noun" else _expression(column)
                template[part] = template[part].replace(f"<<{name}>>", plain)
                template[part] = template[part].replace(f"<<{name.capitalize()}>>", plain.capitalize())
        templates.append(template)
    return templates


def _expression(column: str) -> str:
    """How a template names a column, whatever its name is made of."""
    return "{{" + column + "}}" if column.isidentifier() else "{{row[" + repr(column) + "]}}"
