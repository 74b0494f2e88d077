"""What a target asks for: the field of the row that holds the answer, and the options it is chosen from.

Foreign templates compute a text (`{{choices[label]}}`, `{{"yes" if label == 1 else "no"}}`); a task here names a
field, the label values and the options, so that options can be ranked. This module recognises the usual ways.

Invariant: the answer of openflan's row is the text that the target renders to, or nothing is recognised (None), and
the template is trained on only. Rejected: running the template on every row to see which option comes out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from jinja2 import nodes

from openflan.importers.dialect import as_option, expression

__all__ = ["CHOICES", "AnswerRule", "OptionsRule", "path_of", "trimmed", "what_is_asked"]

CHOICES = "answer_choices"
"""Name under which foreign targets use the answer choices."""

Key = int | float | str | bool


@dataclass(frozen=True, slots=True)
class OptionsRule:
    """Answer choices: fixed in number, or a list of the row."""

    options: tuple[nodes.Expr, ...] | None = None
    field: str | None = None

    @property
    def texts(self) -> tuple[str, ...] | None:
        """The choices as options of a task."""
        return None if self.options is None else tuple(map(as_option, self.options))


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """An answer in a task's words."""

    field: str
    choices: OptionsRule | None = None
    keys: tuple[Key, ...] | None = None
    """None: the label is the option's number, or its text."""
    keys_field: str | None = None
    by_text: bool = False
    """The field holds the option's text."""

    @property
    def kind(self) -> tuple[object, ...]:
        """Templates of one kind can stand in one task, each with options of its own."""
        if self.choices is None:
            return (self.field,)
        count = self.choices.field or len(self.choices.options or ())
        own = self.choices.texts if self.by_text else None
        return self.field, count, tuple(map(repr, self.keys or ())), self.keys_field, own


def what_is_asked(target: nodes.Expr, choices: OptionsRule | None) -> AnswerRule | None:
    """The answer that a target stands for, or None where it is more than that."""
    rule = _asked(_bare(target), choices)
    if rule is None or rule.choices is None or rule.choices.options is None:
        return rule
    if choices is None:
        rule = replace(rule, choices=OptionsRule(options=tuple(map(trimmed, rule.choices.options))))
    texts = (rule.choices.texts if rule.choices else None) or ()
    if len(texts) < 2 or not all(texts) or len(set(texts)) != len(texts):
        return None
    return _in_order(rule, fixed=choices is not None)


def path_of(value: nodes.Node) -> str | None:
    """A field as a dotted path (`answers.text`); None for anything else."""
    parts: list[str] = []
    while not isinstance(value, nodes.Name):
        if isinstance(value, nodes.Getattr):
            part, value = value.attr, value.node
        elif isinstance(value, nodes.Getitem) and isinstance(value.arg, nodes.Const):
            part, value = value.arg.value, value.node
        else:
            return None
        if not isinstance(part, str) or "." in part:
            return None
        parts.append(part)
    if value.name == "row" and parts:
        return ".".join(reversed(parts))
    return None if value.name in ("row", CHOICES) else ".".join([value.name, *reversed(parts)])


def trimmed(item: nodes.Expr) -> nodes.Expr:
    """An option of a list without blanks at its ends."""
    if isinstance(item, nodes.Const):
        return nodes.Const(str(item.value).strip())
    return nodes.Filter(item, "trim", [], [], None, None)


def _bare(value: nodes.Expr) -> nodes.Expr:
    """An expression without what changes only its type or its blanks."""
    while True:
        if isinstance(value, nodes.Filter) and value.name in ("trim", "string") and value.node and not value.args:
            value = value.node
        elif isinstance(value, nodes.Call) and isinstance(value.node, nodes.Getattr) and value.node.attr == "strip":
            if value.args:
                return value
            value = value.node.node
        else:
            return value


def _asked(value: nodes.Expr, choices: OptionsRule | None) -> AnswerRule | None:
    if (path := path_of(value)) is not None:
        listed = None if choices is None else choices.field
        return AnswerRule(path, choices, _own_words(choices), listed, by_text=choices is not None)
    if isinstance(value, nodes.CondExpr):
        return _by_cases(value, choices)
    if isinstance(value, nodes.Getitem):
        return _looked_up(value.node, value.arg, choices)
    if isinstance(value, nodes.Filter) and value.name == "first" and value.node is not None and choices is None:
        path = path_of(value.node)
        return None if path is None else AnswerRule(path)
    return None


def _own_words(choices: OptionsRule | None) -> tuple[Key, ...] | None:
    """The labels that a printed field may have: the choices' own words, numbers among them as numbers or as texts.

    Said outright, for a label 1 among the choices "1" to "5" must never be taken for a place.
    """
    texts = None if choices is None else choices.texts
    if not texts or any("{" in text for text in texts):
        return None
    numbers = all(re.fullmatch(r"-?[0-9]{1,9}", text) for text in texts)
    return tuple(map(int, texts)) if numbers else texts


def _looked_up(listed: nodes.Expr, index: nodes.Expr, choices: OptionsRule | None) -> AnswerRule | None:
    """The answer `listed[index]`."""
    path = path_of(listed)
    if isinstance(listed, nodes.Name) and listed.name == CHOICES:
        rule = None if choices is None else _at_index(index, choices)
    elif isinstance(listed, nodes.List | nodes.Tuple):
        rule = _among(_at_index(index, OptionsRule(options=tuple(listed.items))), choices)
    elif isinstance(listed, nodes.Dict):
        rule = _in_mapping(listed, index, choices)
    elif path is None or choices is not None:
        rule = None
    elif isinstance(index, nodes.Const):
        rule = AnswerRule(path) if index.value == 0 else None
    else:
        rule = _at_index(index, OptionsRule(field=path))
    return rule


def _in_mapping(listed: nodes.Dict, index: nodes.Expr, choices: OptionsRule | None) -> AnswerRule | None:
    """The answer `{"a": x, "b": y}[label]`."""
    field = path_of(_bare(index))
    keys = _all(_key(pair.key) for pair in listed.items)
    if field is None or keys is None:
        return None
    options = tuple(_chosen(pair.value, choices) for pair in listed.items)
    return _among(AnswerRule(field, OptionsRule(options=options), keys), choices)


def _at_index(index: nodes.Expr, choices: OptionsRule) -> AnswerRule | None:
    """The answer `choices[index]`."""
    if isinstance(index, nodes.Filter) and index.name == "int" and index.node is not None and not index.args:
        index = index.node
    if (path := path_of(_bare(index))) is not None:
        return AnswerRule(path, choices)
    if isinstance(index, nodes.Call):
        return _at_position(index, choices)
    return None if choices.options is None else _at_number(index, choices, len(choices.options))


def _at_number(index: nodes.Expr, choices: OptionsRule, count: int) -> AnswerRule | None:
    """The answer `choices[index]` where the index is computed of a label."""
    field: str | None = None
    keys: tuple[Key, ...] | None = None
    if isinstance(index, nodes.Sub | nodes.Add) and isinstance(index.right, nodes.Const):
        inner, step = _at_index(index.left, choices), index.right.value
        if inner is not None and inner.keys is None and inner.keys_field is None and isinstance(step, int):
            sign = 1 if isinstance(index, nodes.Sub) else -1
            field, keys = inner.field, tuple(place + sign * step for place in range(count))
    elif isinstance(index, nodes.Sub) and isinstance(index.left, nodes.Const) and isinstance(index.left.value, int):
        top = index.left.value
        field, keys = path_of(_bare(index.right)), tuple(top - place for place in range(count))
    elif isinstance(index, nodes.Getitem) and isinstance(index.node, nodes.Dict):
        places = {_key(pair.value): _key(pair.key) for pair in index.node.items}
        if len(index.node.items) == count:
            field, keys = path_of(_bare(index.arg)), _all(places.get(place) for place in range(count))
    elif isinstance(index, nodes.CondExpr) and (cases := _cases(index)) is not None:
        places = {_key(value): key for key, value in cases[1]}
        if len(cases[1]) == count:
            field, keys = cases[0], _all(places.get(place) for place in range(count))
    return None if field is None or keys is None else AnswerRule(field, choices, keys)


def _at_position(index: nodes.Call, choices: OptionsRule) -> AnswerRule | None:
    """The answer `choices[labels.index(label)]`."""
    if not isinstance(index.node, nodes.Getattr) or index.node.attr != "index" or len(index.args) != 1:
        return None
    field, labels = path_of(_bare(index.args[0])), index.node.node
    if field is None:
        return None
    if (path := path_of(labels)) is not None:
        return AnswerRule(field, choices, keys_field=path)
    spelt = list(labels.value) if isinstance(labels, nodes.Const) and isinstance(labels.value, str) else None
    keys = _all(map(_key, labels.items) if isinstance(labels, nodes.List | nodes.Tuple) else spelt or ())
    count = len(choices.options or keys or ())
    if not keys or len(keys) < count or len(set(keys)) != len(keys):
        return None
    return AnswerRule(field, choices, keys[:count])


def _by_cases(value: nodes.CondExpr, choices: OptionsRule | None) -> AnswerRule | None:
    """The answer `a if label == 0 else b if label == 1 ...`."""
    cases = _cases(value)
    if cases is None:
        return None
    field, branches = cases
    options = tuple(_chosen(option, choices) for _, option in branches)
    return _among(AnswerRule(field, OptionsRule(options=options), tuple(key for key, _ in branches)), choices)


def _cases(value: nodes.Expr) -> tuple[str, list[tuple[Key, nodes.Expr]]] | None:
    """The field that a chain of conditions compares, and what each of its values leads to."""
    fields: set[str] = set()
    branches: list[tuple[Key, nodes.Expr]] = []
    rest: nodes.Expr | None = value
    while isinstance(rest, nodes.CondExpr):
        case = _case(rest.test)
        if case is None:
            return None
        fields.add(case[0])
        branches.append((case[1], rest.expr1))
        rest = rest.expr2
    keys = [key for key, _ in branches]
    if isinstance(rest, nodes.Const) and rest.value == "":
        rest = None
    if rest is not None:
        missing = set(range(len(branches) + 1)) - set(keys)
        if len(missing) != 1 or any(isinstance(key, str) for key in keys):
            return None
        branches.append((missing.pop(), rest))
    if len(fields) != 1 or len({key for key, _ in branches}) != len(branches) or len(branches) < 2:
        return None
    return fields.pop(), branches


def _case(test: nodes.Expr) -> tuple[str, Key] | None:
    """`label == 1` as field and value."""
    if isinstance(test, nodes.Compare) and len(test.ops) == 1 and test.ops[0].op == "eq":
        left, right = _bare(test.expr), _bare(test.ops[0].expr)
        for one, other in ((left, right), (right, left)):
            field, key = path_of(one), _key(other)
            if field is not None and key is not None:
                return field, key
    field = path_of(test)
    return None if field is None else (field, 1)


def _key(value: nodes.Node) -> Key | None:
    """A label value, booleans as 0 and 1."""
    if isinstance(value, nodes.Neg) and isinstance(value.node, nodes.Const) and isinstance(value.node.value, int):
        return -value.node.value
    if not isinstance(value, nodes.Const) or not isinstance(value.value, int | float | str):
        return None
    return int(value.value) if isinstance(value.value, bool) else value.value


def _all(keys: Iterable[Key | None]) -> tuple[Key, ...] | None:
    """The keys, if each is one."""
    every = tuple(keys)
    return None if None in every else every  # type: ignore[return-value]


def _chosen(option: nodes.Expr, choices: OptionsRule | None) -> nodes.Expr:
    """An option, looked up where it is written `answer_choices[2]`."""
    option = _bare(option)
    if isinstance(option, nodes.Getitem) and expression(option.node) == CHOICES and choices and choices.options:
        place = _key(option.arg)
        if isinstance(place, int) and -len(choices.options) <= place < len(choices.options):
            return choices.options[place]
    return option


def _among(rule: AnswerRule | None, choices: OptionsRule | None) -> AnswerRule | None:
    """The answer with the template's choices in their own order, if its options are just these."""
    if rule is None or choices is None or rule.choices is None:
        return rule
    if choices.texts is None or rule.choices.texts is None:
        return None
    mine = [expression(_bare(option)) for option in rule.choices.options or ()]
    theirs = [expression(_bare(option)) for option in choices.options or ()]
    if sorted(mine) != sorted(theirs) or len(set(mine)) != len(mine):
        return None
    keys: Sequence[Key] = rule.keys if rule.keys is not None else range(len(mine))
    return replace(rule, choices=choices, keys=tuple(keys[mine.index(text)] for text in theirs))


def _in_order(rule: AnswerRule, *, fixed: bool) -> AnswerRule:
    """Keys 0, 1, 2 … left out; options in the order of their keys unless the template itself gave the order."""
    if rule.keys is None or rule.choices is None or rule.choices.options is None:
        return rule
    pairs = list(zip(rule.keys, rule.choices.options, strict=True))
    if not fixed:
        numbers = not any(isinstance(key, str) for key, _ in pairs)
        pairs.sort(key=lambda pair: pair[0] if numbers else repr(pair[0]))
    keys = tuple(key for key, _ in pairs)
    plain = keys == tuple(range(len(keys)))
    return replace(
        rule, keys=None if plain else keys, choices=OptionsRule(options=tuple(option for _, option in pairs))
    )
