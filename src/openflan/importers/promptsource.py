"""promptsource: a file of templates for one dataset becomes one task, or several.

A template's target tells what it asks for. Templates that ask for the same field among as many options stand in one
task, each with its own words for them; the largest such group is `<dataset>`, the next `<dataset>__2`, a name that no
dataset's own task has. A template whose target is more than one field (`It {{answer_choices[label]}}.`) joins the
largest as `inverted`: trained on, never evaluated.

Invariant: input, target and choices are what promptsource renders, without its cut at 2,048 characters; an undefined
or empty field, which it renders as nothing, is an error of that row here. Cost: 1 ms a template.
Rejected: one task for each template, which no result table could compare.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import nodes

from openflan.errors import UserError
from openflan.importers.asking import CHOICES, AnswerRule, OptionsRule, path_of, trimmed, what_is_asked
from openflan.importers.dialect import template_text
from openflan.importers.foreign import (
    RESERVED,
    For,
    Item,
    Print,
    Tree,
    UntranslatableError,
    map_tree,
    read_template,
    used_names,
)
from openflan.importers.hub_names import hub_source
from openflan.importers.named import lineage_of
from openflan.importers.outcome import Imported, ImportOutcome, Refused, imported, task_name
from openflan.importers.promptsource_clusters import cluster_of
from openflan.importers.safety import why_unfit
from openflan.importers.splitting import as_expression, split_choices, split_prompt
from openflan.prompts.whole import PIPES, read_pipes, unfit_whole, used_fields
from openflan.recipes.safe_yaml import read_yaml

__all__ = ["import_promptsource"]

_METRICS = {
    "Accuracy": ("exact_match",),
    "BLEU": ("bleu",),
    "COQA F1": ("f1_squad",),
    "Edit Distance": ("edit_distance",),
    "Pearson Correlation": ("pearson",),
    "ROUGE": ("rouge",),
    "Spearman Correlation": ("spearman",),
    "Squad": ("exact_match_squad", "f1_squad"),
    "Trivia QA": ("exact_match_trivia", "f1_trivia"),
}
_ONLY_CHOICES = re.compile(r"(\s|\{%.*?%\}|\{\{[^}]*answer_choices[^}]*\}\})*", re.DOTALL)
"""A target that is one of its choices, chosen in whatever way."""
_SPLITS = {"train": "train[:-200]", "validation": "train[-200:]", "test": "validation"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """A template in a task's words."""

    name: str
    input: str
    target: str
    """Empty where it is just the answer."""
    when: str | None
    rule: AnswerRule | None
    fields: tuple[str, ...]
    metrics: tuple[str, ...]


def import_promptsource(path: Path, *, cluster: str | None, prefix: str = "") -> ImportOutcome:
    """The tasks of a `templates.yaml`.

    Args:
        prefix: stands before every task's name, and the dataset's.

    Raises:
        UserError: the file is missing, no YAML, or no file of templates.
    """
    tags = ("!Template", "!TemplateMetadata")
    data = read_yaml(path, kind="promptsource file", how="check the path", tags=tags)
    dataset, subset, templates = data.get("dataset"), data.get("subset"), data.get("templates")
    if not isinstance(dataset, str) or not isinstance(templates, dict) or not isinstance(subset, str | None):
        how = "give a templates.yaml with 'dataset:' and 'templates:'"
        raise UserError("no promptsource file", where=str(path), how=how)
    named = [(_name(template, key), template) for key, template in templates.items()]
    read: list[tuple[_Read, Any]] = []
    left: list[tuple[str, Any]] = []
    for name, template in named:
        try:
            read.append((_read(template, name), template))
        except UntranslatableError:
            left.append((name, template))
    groups: dict[tuple[object, ...], list[_Read]] = {}
    for one, _ in read:
        if one.rule is not None:
            groups.setdefault(one.rule.kind, []).append(one)
    ordered = sorted(groups.values(), key=len, reverse=True)
    odd = [one for one, _ in read if one.rule is None]
    if not ordered:  # no other template of the file says what the task is
        left += [(one.name, template) for one, template in read]
    whole: list[_WholeRead] = []
    refused: list[Refused] = []
    for name, template in left:
        try:
            whole.append(_read_whole(template, name))
        except UntranslatableError as error:
            refused.append(Refused(what=f"{path}, template '{name}'", why=str(error)))
    contents = [_content(group + (odd if number == 0 else [])) for number, group in enumerate(ordered)]
    alike: dict[tuple[object, ...], list[_WholeRead]] = {}
    for each in whole:
        alike.setdefault(each.kind, []).append(each)
    contents += [_whole_content(group) for group in sorted(alike.values(), key=len, reverse=True)]
    base = prefix + task_name(dataset, subset)
    main_cluster, subcluster = (cluster, None) if cluster is not None else cluster_of(dataset, subset)
    about: dict[str, Any] = {
        "cluster": main_cluster,
        **({"subcluster": subcluster} if subcluster else {}),
        "dataset": base,
    }
    about["lineage"] = lineage_of([dataset.rpartition("/")[2], subset or ""], own=task_name(dataset, subset))
    source = hub_source(dataset, subset)
    tasks = [
        _task(base if number == 1 else f"{base}__{number}", content, about=about, source=source, where=str(path))
        for number, content in enumerate(contents, start=1)
    ]
    return ImportOutcome(tasks=tuple(tasks), refused=tuple(refused))


def _name(template: Any, key: object) -> str:
    named = template.get("name") if isinstance(template, dict) else None
    return " ".join(str(named if isinstance(named, str) and named.strip() else key).split())


def _read(template: Any, name: str) -> _Read:
    if not isinstance(template, dict) or not isinstance(template.get("jinja"), str):
        raise UntranslatableError("has no text under 'jinja'")
    split = split_prompt(read_template(template["jinja"]))
    choices = _choices(template.get("answer_choices"))
    try:
        rule = what_is_asked(as_expression(split.target), choices)
    except UntranslatableError:  # a loop: fine as a target, but no field
        rule = None
    listed: nodes.Expr | None = None
    if choices is not None:
        listed = _listed(choices) if rule is None else nodes.Name("option_list", "load")
    target = () if rule is not None else split.target
    parts = [_with_choices(part, listed) for part in (split.input, target, split.when or ())]
    texts = list(map(template_text, parts))
    if not texts[0]:
        raise UntranslatableError("has an empty input")
    if rule is None and not texts[1]:
        raise UntranslatableError("has an empty target")
    options = rule.choices.texts if rule is not None and rule.choices is not None else None
    for text in (*texts, *(option for option in options or () if "{" in option)):
        if why := why_unfit(text):
            raise UntranslatableError(why)
    return _Read(
        name=name,
        input=texts[0],
        target=texts[1],
        when=texts[2] or None,
        rule=rule,
        fields=_fields(parts, rule),
        metrics=_metrics(template.get("metadata")),
    )


def _choices(choices: Any) -> OptionsRule | None:
    """The answer choices of a template: an expression with pipes, or in older files a list."""
    if choices is None or choices == []:
        return None
    if isinstance(choices, list) and all(isinstance(one, str) for one in choices):
        return OptionsRule(options=tuple(nodes.Const(one.strip()) for one in choices))
    if not isinstance(choices, str):
        raise UntranslatableError("has answer choices that are no texts")
    tree = read_template(choices)
    value = tree[0].value if len(tree) == 1 and isinstance(tree[0], Print) else None
    if isinstance(value, nodes.Filter) and value.name == "join" and len(value.args) == 1:
        between = value.args[0]
        if isinstance(between, nodes.Const) and str(between.value).strip() == PIPES and value.node is not None:
            if isinstance(value.node, nodes.List | nodes.Tuple):
                return OptionsRule(options=tuple(map(trimmed, value.node.items)))
            if (path := path_of(value.node)) is not None:
                return OptionsRule(field=path)
    return OptionsRule(options=tuple(split_choices(tree)))


def _listed(choices: OptionsRule) -> nodes.Expr:
    """The choices as a list in a template's text."""
    if choices.options is not None:
        return nodes.List(list(choices.options))
    value: nodes.Expr | None = None
    first = str(choices.field).partition(".")[0]
    for part in ["row"] * (first in RESERVED) + str(choices.field).split("."):
        value = nodes.Name(part, "load") if value is None else nodes.Getattr(value, part, "load")
    assert value is not None
    return value


def _with_choices(tree: Tree, listed: nodes.Expr | None) -> Tree:
    """A tree in which the answer choices have their name here, as a list where only a list will do."""

    def is_plain(part: nodes.Node) -> bool:
        return isinstance(part, nodes.Filter) and part.name == "list" and part.node == listed

    def change(part: nodes.Expr) -> nodes.Expr:
        if isinstance(part, nodes.Name) and part.name == CHOICES:
            if listed is None:
                raise UntranslatableError("uses answer_choices, but has none")
            return nodes.Filter(listed, "list", [], [], None, None)
        if isinstance(part, nodes.Getitem | nodes.Filter) and part.node is not None and is_plain(part.node):
            part.node = part.node.node  # type: ignore[attr-defined]
        return part

    def loosened(item: Item) -> Item:
        if isinstance(item, For) and is_plain(item.items):
            return For(item.target, item.items.node, item.only, item.body, item.otherwise)  # type: ignore[attr-defined]
        return item

    return tuple(map(loosened, map_tree(tree, change)))


def _fields(parts: list[Tree], rule: AnswerRule | None) -> tuple[str, ...]:
    """Names of the row that a template uses, the answer's and the options' included."""
    names = [name for part in parts for name in used_names(part)]
    if rule is not None:
        paths = [rule.field, rule.keys_field, rule.choices.field if rule.choices else None]
        names += [path.partition(".")[0] for path in paths if path]
        for option in (rule.choices.options if rule.choices else None) or ():
            names += used_names((Print(option),))
    return tuple(dict.fromkeys(name for name in names if name not in ("option_list", "range")))


def _metrics(metadata: Any) -> tuple[str, ...]:
    metrics = metadata.get("metrics") if isinstance(metadata, dict) else None
    named = [one for one in metrics if isinstance(one, str)] if isinstance(metrics, list) else []
    return tuple(metric for one in named for metric in _METRICS.get(one, ()))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Content:
    """What a group of templates says of its task."""

    answer: Mapping[str, Any]
    templates: tuple[Mapping[str, Any], ...]
    names: tuple[str, ...]
    fields: tuple[str, ...]
    metrics: tuple[str, ...]
    notes: tuple[str, ...] = ()


def _could_be_labels(group: Sequence[_Read]) -> bool:
    """Whether a choice reads like a label (a number, a truth value), or may, for the row writes it."""
    rules = [one.rule.choices for one in group if one.rule is not None and one.rule.choices is not None]
    texts = [text for rule in rules for text in rule.texts or ()]
    return any("{" in text or re.fullmatch(r"-?[0-9.]+|true|false", text, re.IGNORECASE) for text in texts)


def _content(group: Sequence[_Read]) -> _Content:
    """A task of templates that ask for one field."""
    first = group[0].rule
    assert first is not None
    answer: dict[str, Any] = {"field": first.field}
    own = first.choices.texts if first.choices is not None else None
    if first.choices is not None:
        answer |= {"options": list(own)} if own is not None else {"options_field": first.choices.field}
        answer |= {"keys": list(first.keys)} if first.keys else {}
        answer |= {"keys_field": first.keys_field} if first.keys_field else {}
    by_place = first.choices is not None and not (first.keys or first.keys_field or first.by_text)
    if by_place and (own is None or _could_be_labels(group)):
        answer["keys"] = "places"
    templates = []
    for one in group:
        texts = one.rule.choices.texts if one.rule is not None and one.rule.choices is not None else own
        template: dict[str, Any] = {"input": one.input}
        template |= {"target": one.target, "inverted": True} if one.rule is None else {}
        template |= {"when": one.when} if one.when else {}
        template |= {"options": list(texts)} if texts is not None and texts != own else {}
        templates.append(template)
    metrics = tuple(dict.fromkeys(metric for one in group for metric in one.metrics))
    some = "templates: each fits some rows only (when); a row that none fits is left out"
    return _Content(
        answer=answer,
        templates=tuple(templates),
        names=tuple(one.name for one in group),
        fields=tuple(dict.fromkeys(field for one in group for field in one.fields)),
        metrics=("accuracy",) if first.choices is not None else metrics or ("rouge",),
        notes=(some,) if all(one.when for one in group) else (),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _WholeRead:
    """A template that is rendered whole."""

    name: str
    text: str
    choices: str | None
    ranked: bool
    """Whether its target is one of its choices."""
    metrics: tuple[str, ...]

    @property
    def kind(self) -> tuple[object, ...]:
        """What templates of one task have in common."""
        fixed = self.choices if self.choices is not None and "{" not in self.choices else None
        return (self.ranked, len(fixed.split(PIPES)) if fixed and self.ranked else None)


def _read_whole(template: Any, name: str) -> _WholeRead:
    """A template as it stands.

    Raises:
        UntranslatableError: it is no text, or does what no template here may.
    """
    if not isinstance(template, dict) or not isinstance(template.get("jinja"), str):
        raise UntranslatableError("has no text under 'jinja'")
    text, choices = template["jinja"], template.get("answer_choices")
    if isinstance(choices, list) and all(isinstance(one, str) for one in choices):
        choices = PIPES.join(choices)
    if not isinstance(choices, str | None):
        raise UntranslatableError("has answer choices that are no texts")
    for one in (text, choices or ""):
        if why := unfit_whole(one):
            raise UntranslatableError(why)
    always = read_pipes(text)
    if always != 1 and (always > 1 or PIPES not in text):
        raise UntranslatableError("has more than one '|||'" if always else "has no '|||' between input and target")
    target = text.rpartition(PIPES)[2]
    ranked = bool(choices) and "answer_choices" in target and _ONLY_CHOICES.fullmatch(target) is not None
    return _WholeRead(
        name=name, text=text, choices=choices or None, ranked=ranked, metrics=_metrics(template.get("metadata"))
    )


def _whole_content(group: Sequence[_WholeRead]) -> _Content:
    """A task of templates that are rendered whole."""
    ranked = group[0].ranked
    names = {name for one in group for text in (one.text, one.choices or "") for name in used_fields(text)}
    metrics = tuple(dict.fromkeys(metric for one in group for metric in one.metrics))
    return _Content(
        answer={"by_template": "ranked" if ranked else "generated"},
        templates=tuple(
            {"whole": one.text, **({} if one.choices is None else {"choices": one.choices})} for one in group
        ),
        names=tuple(one.name for one in group),
        fields=tuple(sorted(names)),
        metrics=("accuracy",) if ranked else metrics or ("rouge",),
        notes=("templates: rendered whole, in promptsource's dialect; a row without a target there is left out",),
    )


def _task(name: str, content: _Content, *, about: Mapping[str, Any], source: Mapping[str, Any], where: str) -> Imported:
    data = {
        "name": name,
        **about,
        "description": "Imported from promptsource.",
        "source": dict(source),
        "splits": _SPLITS,
        "fields": list(content.fields),
        "answer": dict(content.answer),
        "metrics": list(content.metrics),
        "licence": "unknown",  # theirs is that of the templates
        "templates": [dict(template) for template in content.templates],
    }
    notes = ["splits: promptsource names none; FLAN's custom is written", *content.notes]
    notes += [f"source: {source['by_hand']}"] if "by_hand" in source else []
    notes += (
        ["cluster: misc; say another with --cluster"]
        if about["cluster"] == "misc" and "subcluster" not in about
        else []
    )
    return imported(data, where=where, templates=content.names, notes=tuple(notes))
