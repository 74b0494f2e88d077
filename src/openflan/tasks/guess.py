"""A first task from a table: columns, label and options guessed, seed templates filled in.

The guess is meant to be read and mended by its owner. It looks at names and values: a column of few, short, repeated
values is a label; two texts beside it are a pair; a list of texts with a key is multiple choice; a passage and a
question are reading comprehension; what is left writes one column from another.

Invariant: what is written passes `openflan tasks check` and trains as it is. Cost: one reading of the table.
Rejected: asking a language model, whose guess nobody can reproduce.
"""

import keyword
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openflan.errors import UserError
from openflan.recipes.safe_yaml import read_yaml
from openflan.tasks.profile import ColumnProfile, TableProfile
from openflan.tasks.spec import RESERVED

__all__ = ["Guess", "guess_task"]

Columns = Mapping[str, ColumnProfile]

_SEEDS = Path(__file__).with_name("seed_templates.yaml")
_MOST_OPTIONS = 30
_LABELS = ("label", "labels", "class", "category", "sentiment", "intent", "topic", "stance", "verdict", "rating")
_TARGETS = ("answer", "answers", "target", "output", "response", "completion", "summary", "translation", "headline")
_CONTEXTS = ("context", "passage", "paragraph", "document", "article", "story")
_QUESTIONS = ("question", "query", "question_stem")
_CHOICES = ("choices", "options", "endings", "candidates", "answers")
_KEYS = ("answer", "label", "answerKey", "answer_key", "correct", "target")
_IDS = ("id", "idx", "index", "uid", "guid", "row", "row_id")
_JINJA = {*keyword.kwlist, *keyword.softkwlist, "true", "false", "none", "range", "loop", "self", "super", "caller"}
_FEWEST = 10
_WORDS = {"string": "texts", "int": "numbers", "float": "numbers", "bool": "truth values", "strings": "lists"} | {
    "other": "objects"
}
_PAIR_CLUSTERS = (("entail", "natural_language_inference"), ("hypothesis", "natural_language_inference"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """A guessed task: what its file says, and what its owner should look at."""

    kind: str
    """Which seed templates were taken."""
    spec: dict[str, Any]
    doubts: list[str]


def guess_task(
    name: str, table: TableProfile, *, file: str, cluster: str | None, source: Mapping[str, str] | None = None
) -> Guess:
    """A task file's content for a table.

    Args:
        file: the path that `source.files` is to name.
        source: what `source` is to say besides: encoding, separator.

    Raises:
        UserError: there are too few rows, no two columns to ask and answer with, or a column to ask with is empty in
            some rows.
    """
    named = {key: column for key, column in table.columns.items() if key and column.kind}
    texts = sorted(
        (column for column in named.values() if column.kind == "string" and column.name.lower() not in _IDS),
        key=lambda column: -column.mean_length,
    )
    guess = _multiple_choice(table, named, texts) or _classification(table, named, texts) or _generation(texts)
    if guess is None:
        raise UserError(
            "no column to ask with and another to answer",
            where=f"{file} has {', '.join(map(str, table.columns)) or 'no columns'}",
            how="write the task by hand: docs/tasks.md shows one",
        )
    kind, answer, places, doubts = guess
    label = named[answer["field"]]
    for column in (named[place] for key, place in places.items() if key != "noun"):
        if column.empty and column is not label:
            what = f"column '{column.name}' is empty in {column.empty:,} of {table.rows:,} rows"
            raise UserError(what, where=f"{file}, row {column.first_empty}", how="fill or delete those rows")
    if label.rows < _FEWEST:
        how = "ten are the least: eight to train on, one each to try and test"
        raise UserError(f"{label.rows} rows" + (" with a label" if label.empty else ""), where=file, how=how)
    if label.empty:
        what = "label" if "options" in answer or "options_field" in answer else "answer"
        doubts.append(
            f"{label.name}: {label.empty:,} of {table.rows:,} rows have no {what} and are left out, the first row"
            f" {label.first_empty}"
        )
    doubts += [
        f"{key}: left out, for it holds {' and '.join(sorted({_WORDS[kind] for kind in column.kinds}))}"
        for key, column in table.columns.items()
        if not column.kind and column.kinds
    ]
    used = {*places.values(), *(answer[key] for key in ("field", "options_field") if key in answer)}
    contracts = {
        key: column.contract
        for key, column in named.items()
        if column.contract is not None and (key in used or key not in RESERVED)
    }
    if label.empty and isinstance(contracts.get(label.name), str):
        contracts[label.name] = f"{label.kind}?"
    tail = min(200, max(1, table.rows // 10))
    tail = max(tail, min(label.empty + 1, table.rows // 4)) if label.empty else tail
    metrics = ["accuracy"] if "options" in answer or "options_field" in answer else _metrics(label)
    spec: dict[str, Any] = {
        "name": name,
        "cluster": cluster or _cluster(kind, answer, named),
        "description": f"{kind.replace('_', ' ').capitalize()} of {Path(file).name}.",
        "source": {"files": {"all": file}, **(source or {}), "shuffle": 0},
        "splits": {"train": f"all[:-{2 * tail}]", "validation": f"all[-{2 * tail}:-{tail}]", "test": f"all[-{tail}:]"},
        "size": {"all": table.rows},
        "columns": contracts,
        "answer": answer,
        "metrics": metrics,
        "licence": "unknown",
        "lineage": [name],
        "templates": _fill(kind, places),
    }
    return Guess(kind=kind, spec=spec, doubts=[*doubts, "licence: say under which the rows may be used"])


Found = tuple[str, dict[str, Any], dict[str, str], list[str]]
"""Kind, `answer`, which column stands for which name in the seed templates, and doubts."""


def _multiple_choice(table: TableProfile, named: Columns, texts: Sequence[ColumnProfile]) -> Found | None:
    lists = [key for key, column in named.items() if column.kind == "strings" and key.lower() in _CHOICES]
    keys = [key for key in _KEYS if key in named and key not in lists and named[key].kind in ("string", "int")]
    if not lists or not keys or not texts or named[lists[0]].empty:
        return None
    choices, key = lists[0], keys[0]
    question = next((text for text in texts if text.name != key), None)
    if question is None:
        return None
    pairs = [(row[key], row[choices]) for row in table.sample if row.get(key) is not None]
    longest = max(len(row[choices]) for row in table.sample)
    answer: dict[str, Any] = {"field": key, "options_field": choices}
    if all(isinstance(value, str) and value not in options for value, options in pairs):
        answer["keys"] = [chr(ord("A") + n) for n in range(longest)]
    elif named[key].kind == "int":
        fitting = [start for start in (0, 1) if all(0 <= value - start < len(options) for value, options in pairs)]
        if len(fitting) != 1:
            what = (
                f"'{key}' may count the {choices} from 0 or from 1" if fitting else f"'{key}' is no place in {choices}"
            )
            raise UserError(what, where="the table", how="write the task by hand, with answer.keys: docs/tasks.md")
        answer["keys"] = list(range(fitting[0], fitting[0] + longest))
    return "multiple_choice", answer, {"text": question.name}, []


def _classification(table: TableProfile, named: Columns, texts: Sequence[ColumnProfile]) -> Found | None:
    labels = _label_columns(table, named)
    others = [text for text in texts if text.name not in labels]
    if not labels or not others:
        return None
    label = labels[0]
    doubts: list[str] = []
    ordered = sorted(named[label].values or (), key=lambda value: (isinstance(value, str), value))
    options = [str(value).lower() if isinstance(value, bool) else str(value) for value in ordered]
    answer: dict[str, Any] = {"field": label, "options": options}
    if not all(isinstance(value, str) for value in ordered):
        answer["keys"] = ordered
    if not any(isinstance(value, str) and any(map(str.isalpha, value)) for value in ordered):
        doubts.append(f"answer.options: say in words what {', '.join(options)} in '{label}' mean")
    noun = {"noun": label.replace("_", " ").lower()}
    if len(others) >= 2 and others[0].mean_length < 8 * others[1].mean_length:
        order = [key for key in table.columns if key in (others[0].name, others[1].name)]
        return "pair_classification", answer, {"left": order[0], "right": order[1], **noun}, doubts
    return "text_classification", answer, {"text": others[0].name, **noun}, doubts


def _generation(texts: Sequence[ColumnProfile]) -> Found | None:
    names = [text.name for text in texts]
    target = next((text for name in _TARGETS for text in names if text.lower() == name), None)
    if target is None and len(names) >= 2:
        target = names[-1]
    others = [text for text in names if text != target]
    if target is None or not others:
        return None
    answer = {"field": target}
    known = {text.lower(): text for text in others}
    question = next((known[name] for name in _QUESTIONS if name in known), None)
    context = next((known[name] for name in _CONTEXTS if name in known), None)
    if question and context:
        return "passage_question", answer, {"context": context, "question": question}, []
    if question:
        return "question", answer, {"question": question}, []
    doubt = f"answer.field: '{target}' is taken for what the model should write"
    return "text_to_text", answer, {"text": others[0], "noun": target.replace("_", " ").lower()}, [doubt]


def _label_columns(table: TableProfile, named: Columns) -> list[str]:
    """Columns of few, repeated values, the likeliest label first: by name, then texts before numbers.

    A row or two without one hide no label; a column that is mostly empty is one only by its name.
    """
    fitting = []
    for key, column in named.items():
        if column.kind not in ("string", "int", "bool") or key.lower() in _IDS or column.values is None:
            continue
        short = all(len(str(value)) <= 60 for value in column.values)
        full = column.rows > table.rows // 2 or key.lower() in _LABELS
        if short and full and 2 <= len(column.values) <= min(_MOST_OPTIONS, column.rows // 3):
            fitting.append(key)
    by_name = [key for name in _LABELS for key in fitting if key.lower() == name]
    rest = sorted((key for key in fitting[::-1] if key not in by_name), key=lambda key: named[key].kind != "string")
    return [*by_name, *rest]


def _metrics(answer: ColumnProfile) -> list[str]:
    """Exact match and F1 for short answers, ROUGE for long ones."""
    return ["exact_match", "f1"] if answer.mean_length <= 40 else ["rouge"]


def _cluster(kind: str, answer: Mapping[str, Any], columns: Iterable[str]) -> str:
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
    """How a template names a column, whatever its name is made of: through the row where it means something else."""
    if column in RESERVED:
        return "{{row." + column + "}}"
    return "{{" + column + "}}" if column.isidentifier() and column not in _JINJA else "{{row[" + repr(column) + "]}}"
