"""lm-evaluation-harness: a task's YAML, with what it includes, becomes a task.

Jinja and column names are translated; what is Python (`!function`) is refused by name and never imported. The prompt
is the harness's at zero shots, its description before it; its delimiters become the task's `few_shot`.

Invariant: input and target are what the harness renders, without blanks at the ends; a file is included only from
the folders around the task's own. Cost: 2 ms a file. Rejected: asking the harness itself, which runs the file's code.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import nodes

from openflan.errors import UserError
from openflan.importers.asking import AnswerRule, OptionsRule, path_of, trimmed, what_is_asked
from openflan.importers.dialect import expression, template_text
from openflan.importers.foreign import Data, Print, Tree, UntranslatableError, read_template, used_names
from openflan.importers.hub_names import hub_source
from openflan.importers.named import lineage_of
from openflan.importers.outcome import ImportOutcome, Refused, imported, task_name
from openflan.importers.safety import why_unfit
from openflan.importers.splitting import as_expression, stripped
from openflan.prompts.whole import PIPES, unfit_whole, used_fields
from openflan.recipes.safe_yaml import Marked, read_yaml

__all__ = ["import_lm_eval"]

_DEEPEST = 8
_UP = 2
"""Folders above the file's own from which it may include."""
_BUILDERS = ("csv", "json", "pandas", "parquet", "text")
_REFUSED = {
    "process_docs": "cleans its rows in Python",
    "custom_dataset": "makes its rows in Python",
    "doc_to_image": "shows pictures",
    "doc_to_audio": "plays sound",
    "gen_prefix": "begins the answer itself (gen_prefix)",
}
_LEFT_OUT = ("fewshot_config", "filter_list", "process_results", "num_fewshot", "dataset_kwargs", "generation_kwargs")
_METRICS = {
    "bleu": "bleu",
    "exact_match": "exact_match",
    "f1": "f1",
    "rouge": "rouge",
    "rouge1": "rouge",
    "rouge2": "rouge",
    "rougeL": "rouge",
    "sacrebleu": "bleu",
}
_ROLES = {"train": ("training_split",), "validation": ("validation_split",), "test": ("test_split", "validation_split")}


def import_lm_eval(path: Path, *, cluster: str | None, prefix: str = "") -> ImportOutcome:
    """The task of a YAML file.

    Args:
        prefix: stands before the task's name.

    Raises:
        UserError: the file or one that it includes is missing, no YAML, or lies outside.
    """
    config = _read(path, path.resolve().parents[min(_UP, len(path.resolve().parents) - 1)], ())
    named = config.get("task")
    what = f"{path}, task '{named}'" if isinstance(named, str) else str(path)
    try:
        content, notes = _content(config, path)
    except UntranslatableError as why:
        return ImportOutcome(refused=(Refused(what=what, why=str(why)),))
    content |= {"cluster": cluster or "misc", "name": prefix + content["name"]}
    if cluster is None:
        notes.append("cluster: misc; say another with --cluster")
    task = imported(content, where=str(path), templates=(content["name"],), notes=tuple(notes))
    return ImportOutcome(tasks=(task,))


def _read(path: Path, root: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """A file's settings over those of the files it includes."""
    place = path.resolve()
    if above and not place.is_relative_to(root):
        raise UserError(f"includes {path}, too far outside", where=str(above[-1]), how="copy that file beside it")
    if place in above or len(above) > _DEEPEST:
        raise UserError("includes itself", where=str(above[0]), how="mend its include")
    how = "check the path" if not above else f"mend 'include' in {above[-1]}"
    data = read_yaml(path, kind="lm-eval task file", how=how, tags=("!function",))
    named = data.pop("include", [])
    merged: dict[str, Any] = {}
    for one in named if isinstance(named, list) else [named]:
        if not isinstance(one, str) or Path(one).is_absolute():
            raise UserError(f"includes {one!r}", where=str(path), how="name a file relative to this one")
        merged |= _read(path.parent / one, root, (*above, place))
    return merged | data


def _content(config: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], list[str]]:
    """The task file, but for its cluster, and notes.

    Raises:
        UntranslatableError: it needs what no task file here has.
    """
    name = config.get("task")
    if isinstance(name, list) or ("group" in config and "dataset_path" not in config):
        raise UntranslatableError("is a group of tasks; import its tasks")
    if not isinstance(name, str) or not isinstance(config.get("dataset_path"), str) or not config["dataset_path"]:
        raise UntranslatableError("has no 'task' or no 'dataset_path'; is it a part that others include?")
    _refuse(config)
    try:
        asking = _native(config)
    except UntranslatableError as why:
        asking = _whole(config, why)
    splits = _splits(config)
    delimiters = (config.get("target_delimiter", " "), config.get("fewshot_delimiter", "\n\n"))
    if not all(isinstance(one, str) for one in delimiters):
        raise UntranslatableError("has a delimiter that is no text")
    source = _source(config)
    dataset, config_name = config["dataset_path"].rpartition("/")[2], str(config.get("dataset_name") or "")
    content = {
        "name": task_name(name),
        "cluster": "misc",
        "description": "Imported from lm-evaluation-harness.",
        "source": source,
        "splits": splits,
        "fields": list(asking.fields),
        "answer": dict(asking.answer),
        "metrics": ["accuracy"] if asking.ranked else _metrics(config.get("metric_list")),
        **({} if "train" in splits else {"evaluation_only": True}),
        "lineage": lineage_of([dataset, config_name], own=task_name(dataset, config_name)),
        "licence": "unknown",
        "few_shot": {"before_target": delimiters[0], "between": delimiters[1]},
        "templates": [dict(asking.template)],
    }
    notes = [f"not taken over: {key}" for key in _LEFT_OUT if config.get(key) is not None]
    if asking.ranked and config.get("output_type") != "multiple_choice":
        notes.append("answers are ranked here, generated there")
    notes += [f"source: {source['by_hand']}"] if "by_hand" in source else []
    return content, notes


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asking:
    """What a task file says of its prompt and answer."""

    answer: Mapping[str, Any]
    template: Mapping[str, str]
    fields: tuple[str, ...]
    ranked: bool


def _native(config: Mapping[str, Any]) -> _Asking:
    """The prompt and the answer as a field and its options.

    Raises:
        UntranslatableError: the target is none of these.
    """
    multiple = config.get("output_type") == "multiple_choice"
    rule = _target(config.get("doc_to_target"), _choices(config.get("doc_to_choice")) if multiple else None)
    tree = stripped((*_text(config, "description"), *_text(config, "doc_to_text")))
    template = template_text(tree)
    if not list(used_names(tree)):
        raise UntranslatableError(_EMPTY)
    options = rule.choices.texts if rule.choices is not None else None
    for text in (template, *(option for option in options or () if "{" in option)):
        if why := why_unfit(text):
            raise UntranslatableError(why)
    answer: dict[str, Any] = {"field": rule.field}
    if rule.choices is not None:
        answer |= {"options": list(options)} if options is not None else {"options_field": rule.choices.field}
        answer |= {"keys": list(rule.keys)} if rule.keys else {}
        answer |= {"keys_field": rule.keys_field} if rule.keys_field else {}
    fields = tuple(_fields(tree, rule))
    return _Asking(answer=answer, template={"input": template}, fields=fields, ranked=rule.choices is not None)


def _whole(config: Mapping[str, Any], why: UntranslatableError) -> _Asking:
    """The prompt and the answer rendered whole, where the target is computed.

    Raises:
        UntranslatableError: `why`, where that can't be either.
    """
    multiple, target = config.get("output_type") == "multiple_choice", config.get("doc_to_target")
    question = _plain(config.get("description"), column=False) + _plain(config.get("doc_to_text"))
    if isinstance(target, bool) or not isinstance(target, str | int) or target == "":
        raise why
    choices: str | None = None
    if multiple:
        number = "{% set target = (" + _computed(str(target)) + ") | string | trim %}"
        chosen = "{{answer_choices[target | int] if target | int(-99) | string == target else target}}"
        target = number + chosen
        choices = _joined_choices(config.get("doc_to_choice"))
    else:
        target = _plain(str(target))
    text = f"{question}{PIPES}{target}"
    for one in (text, choices or ""):
        if unfit := unfit_whole(one):
            raise UntranslatableError(unfit)
    if not used_fields(question):
        raise UntranslatableError(_EMPTY)
    return _Asking(
        answer={"by_template": "ranked" if multiple else "generated"},
        template={"whole": text} | ({} if choices is None else {"choices": choices}),
        fields=tuple(sorted({*used_fields(text), *used_fields(choices or "")} - {"target"})),
        ranked=multiple,
    )


def _plain(setting: Any, *, column: bool = True) -> str:
    """A setting as template text."""
    if not isinstance(setting, str | None):
        raise UntranslatableError("its doc_to_text is no text")
    if PIPES in (setting or ""):
        raise UntranslatableError(f"holds a '{PIPES}'")
    return "{{" + setting + "}}" if setting and column and setting.isidentifier() else setting or ""


def _computed(setting: str) -> str:
    """A setting as one expression."""
    if not setting.isidentifier():
        return expression(as_expression(stripped(read_template(setting))))
    return setting


def _texts_or_template(setting: Any) -> list[str] | str:
    """The answer choices one by one, or the template or column that they come from.

    Raises:
        UntranslatableError: they are neither.
    """
    if isinstance(setting, Mapping):
        setting = list(setting.values())
    if isinstance(setting, list):
        if not all(isinstance(one, str | int | float) for one in setting):
            raise UntranslatableError("doc_to_choice has entries that are no texts")
        return [str(one) for one in setting]
    if not isinstance(setting, str):
        raise UntranslatableError("has no doc_to_choice")
    return setting


def _joined_choices(setting: Any) -> str:
    """The answer choices as a template, pipes between them."""
    setting = _texts_or_template(setting)
    if isinstance(setting, list):
        return PIPES.join(template_text((Data(text),)) for text in setting)
    return "{{(" + _computed(setting) + f') | join("{PIPES}")' + "}}"


_EMPTY = "its prompt is empty, or the same for every row"


def _refuse(config: Mapping[str, Any]) -> None:
    for key in ("doc_to_text", "doc_to_target", "doc_to_choice", "process_docs", "custom_dataset", "description"):
        if isinstance(config.get(key), Marked):
            raise UntranslatableError(f"{key} is Python: !function {config[key].text}")
    for key, why in _REFUSED.items():
        if config.get(key) is not None:
            raise UntranslatableError(why)
    if config.get("use_prompt"):
        raise UntranslatableError(f"its prompt is {config['use_prompt']}; import the promptsource file")
    kind = config.get("output_type", "generate_until")
    if kind not in ("multiple_choice", "generate_until"):
        raise UntranslatableError(f"its output_type is {kind}; multiple_choice and generate_until can be imported")


def _text(config: Mapping[str, Any], key: str) -> Tree:
    """A setting that is a column's name or a template."""
    setting = config.get(key)
    if setting is None or setting == "":
        return ()
    if not isinstance(setting, str):
        raise UntranslatableError(f"{key} is no text")
    if key != "description" and (column := _column(setting)) is not None:
        return (Print(column),)
    end = "\n" if setting.endswith("\n") else ""  # the harness keeps the last newline, Jinja's default drops it
    return (*read_template(setting), Data(end))


def _column(setting: str) -> nodes.Expr | None:
    """The expression for a column that is named without braces."""
    if "{" in setting or "\n" in setting:
        return None
    if setting.isidentifier():
        return as_expression(read_template("{{" + setting + "}}"))
    if re.fullmatch(r"[A-Za-z][\w \-]{0,40}", setting):
        return nodes.Getitem(nodes.Name("row", "load"), nodes.Const(setting), "load")
    return None


def _choices(setting: Any) -> OptionsRule:
    setting = _texts_or_template(setting)
    if isinstance(setting, list):
        return OptionsRule(options=tuple(nodes.Const(text.strip()) for text in setting))
    column = _column(setting)
    if column is not None and (path := path_of(column)) is not None:
        return OptionsRule(field=path)
    try:
        value: nodes.Expr = as_expression(stripped(read_template(setting)))
        if isinstance(value, nodes.Const):
            listed = ast.literal_eval(str(value.value))
            return _choices(listed if isinstance(listed, list) else None)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise UntranslatableError(
            f"doc_to_choice {error}" if isinstance(error, UntranslatableError) else _ODD
        ) from None
    if (path := path_of(value)) is not None:
        return OptionsRule(field=path)
    if isinstance(value, nodes.List):
        return OptionsRule(options=tuple(trimmed(item) for item in value.items))
    raise UntranslatableError(_ODD)


_ODD = "computes its doc_to_choice in another way than a column or a list"


def _target(setting: Any, choices: OptionsRule | None) -> AnswerRule:
    """What doc_to_target asks for; with choices, a number or a text among them."""
    if not isinstance(setting, str) or not setting:
        raise UntranslatableError("its doc_to_target is no column and no template")
    column = _column(setting)
    value = column if column is not None else as_expression(stripped(read_template(setting)))
    rule = None
    if choices is not None:
        number = nodes.Getitem(nodes.Name("answer_choices", "load"), value, "load")
        rule = what_is_asked(number, choices)
    rule = rule or what_is_asked(value, choices)
    if rule is None:
        raise UntranslatableError(
            "computes its doc_to_target in another way than a field, a number or one of its choices"
        )
    return rule


def _source(config: Mapping[str, Any]) -> dict[str, Any]:
    dataset, name = config["dataset_path"], config.get("dataset_name")
    more = config.get("dataset_kwargs")
    revision = more.get("revision") if isinstance(more, Mapping) else None
    if dataset in _BUILDERS:
        return {"by_hand": f"its rows are {dataset} files of its own (dataset_kwargs)"}
    config_name = name if isinstance(name, str) else None
    return hub_source(dataset, config_name, revision if isinstance(revision, str) else None)


def _splits(config: Mapping[str, Any]) -> dict[str, str]:
    splits: dict[str, str] = {}
    for role, keys in _ROLES.items():
        split = next((config[key] for key in keys if isinstance(config.get(key), str) and config[key]), None)
        if split is not None:
            splits[role] = split
    if "test" not in splits:
        raise UntranslatableError("names no test_split and no validation_split")
    return splits


def _metrics(setting: Any) -> list[str]:
    named = [one.get("metric") for one in setting if isinstance(one, Mapping)] if isinstance(setting, list) else []
    metrics = dict.fromkeys(_METRICS[one] for one in named if isinstance(one, str) and one in _METRICS)
    return list(metrics) or ["exact_match"]


def _fields(tree: Tree, rule: AnswerRule) -> list[str]:
    paths = [rule.field, rule.keys_field, rule.choices.field if rule.choices else None]
    options = (rule.choices.options if rule.choices else None) or ()
    names = [*used_names(tree), *(path.partition(".")[0] for path in paths if path)]
    names += [name for option in options for name in used_names((Print(option),))]
    return [name for name in dict.fromkeys(names) if name != "range"]
