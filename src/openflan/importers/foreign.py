"""Foreign Jinja: read by Jinja's own rules, simplified, written again in the sandbox's dialect.

promptsource and lm-evaluation-harness render with Jinja's defaults. The sandbox trims blocks, allows no `{% set %}`
and fewer filters and methods. So a template is parsed as they would, its assignments are put in where they are used,
`", ".join(x)` becomes `x | join(", ")`, and fields whose name is reserved here become `row.<name>`.

Invariant: what is written renders to the same text, or is refused (`UntranslatableError`). Cost: 1 ms a template.
Rejected: rewriting the text by regular expressions, which mistakes a word in a sentence for a variable.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

__all__ = [
    "RESERVED",
    "Data",
    "For",
    "If",
    "Item",
    "Print",
    "Tree",
    "UntranslatableError",
    "literal",
    "map_tree",
    "read_template",
    "used_names",
]

RESERVED = ("answer", "options", "option_list", "row")
"""Names that templates of openflan use for something else than a field."""

_STORING = ("append", "extend", "insert", "pop", "remove", "setdefault", "update")
_LARGEST = 2_000
"""Nodes that an expression may grow to when assignments are put in."""

_JINJA = Environment(autoescape=False)


class UntranslatableError(ValueError):
    """Why a template can't be imported, in words."""


@dataclass(frozen=True, slots=True)
class Data:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Print:
    """The value of an expression."""

    value: nodes.Expr


@dataclass(frozen=True, slots=True)
class If:
    """Branches, the last without a test where there is an `else`."""

    branches: "tuple[tuple[nodes.Expr | None, Tree], ...]"


@dataclass(frozen=True, slots=True)
class For:
    """A loop over a list of the row."""

    target: nodes.Node
    items: nodes.Expr
    only: nodes.Expr | None
    body: "Tree"
    otherwise: "Tree"


Item = Data | Print | If | For
Tree = tuple[Item, ...]

Change = Callable[[nodes.Expr], nodes.Expr]


@dataclass(frozen=True, slots=True)
class _Known:
    """An assigned value and the loop variables that stood when it was assigned."""

    value: nodes.Expr | None
    bound: frozenset[str]


_Scope = dict[str, _Known]


def read_template(text: str) -> Tree:
    """A template without assignments, as a tree.

    Raises:
        UntranslatableError: it is no Jinja, or does what no template here may.
    """
    try:
        tree = _JINJA.parse(text)
    except TemplateSyntaxError as error:
        raise UntranslatableError(f"is not valid Jinja: {error.message}") from None
    except RecursionError:
        raise UntranslatableError("is nested too deep") from None
    stores = (call.node.attr for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Getattr))
    if any(method in _STORING for method in stores):
        raise UntranslatableError("changes a list or mapping while it renders")
    if any(
        isinstance(assign.node, nodes.Name) and assign.node.name == "loop" for assign in tree.find_all(nodes.Assign)
    ):
        raise UntranslatableError("names a loop")
    row = nodes.Name("row", "load")
    scope: _Scope = {name: _Known(nodes.Getattr(row, name, "load"), frozenset()) for name in RESERVED}
    return _body(tree.body, scope, frozenset())


def map_tree(tree: Tree, change: Change) -> Tree:
    """The tree with every expression in it changed, from the innermost outwards."""

    def each(item: Item) -> Item:
        if isinstance(item, Print):
            return Print(rebuilt(item.value, change))
        if isinstance(item, If):
            return If(tuple((test and rebuilt(test, change), map_tree(body, change)) for test, body in item.branches))
        if isinstance(item, For):
            only = item.only and rebuilt(item.only, change)
            body, otherwise = map_tree(item.body, change), map_tree(item.otherwise, change)
            return For(item.target, rebuilt(item.items, change), only, body, otherwise)
        return item

    return tuple(map(each, tree))


def used_names(tree: Tree) -> Iterator[str]:
    """Names of the row that a tree uses, in order, each as often as it is used."""
    yield from _used(tree, frozenset())


def _used(tree: Tree, bound: frozenset[str]) -> Iterator[str]:
    for item in tree:
        if isinstance(item, Print):
            yield from names_of(item.value, bound)
        elif isinstance(item, If):
            for test, body in item.branches:
                if test is not None:
                    yield from names_of(test, bound)
                yield from _used(body, bound)
        elif isinstance(item, For):
            inner = bound | {*_targets(item.target), "loop"}
            yield from names_of(item.items, bound)
            if item.only is not None:
                yield from names_of(item.only, inner)
            yield from _used(item.body, inner)
            yield from _used(item.otherwise, bound)


def names_of(value: nodes.Node, bound: frozenset[str] = frozenset()) -> Iterator[str]:
    """Names of the row in an expression; `row.answer` stands for the field `answer`."""
    of_row = isinstance(value, nodes.Getattr | nodes.Getitem) and value.node == nodes.Name("row", "load")
    if of_row and isinstance(value, nodes.Getattr):
        yield value.attr
    elif of_row and isinstance(value, nodes.Getitem) and isinstance(value.arg, nodes.Const):
        yield str(value.arg.value)
    elif isinstance(value, nodes.Name):
        if value.name not in bound:
            yield value.name
    else:
        if isinstance(value, nodes.Call) and isinstance(value.node, nodes.Name):
            for part in (*value.args, *value.kwargs):
                yield from names_of(part, bound)
            return
        for child in value.iter_child_nodes():
            yield from names_of(child, bound)


def rebuilt(value: Any, change: Change) -> Any:
    """A copy of an expression with every part changed, from the innermost outwards."""
    if isinstance(value, list):
        return [rebuilt(item, change) for item in value]
    if not isinstance(value, nodes.Node):
        return value
    copy = type(value)(*(rebuilt(getattr(value, name), change) for name in value.fields))
    return change(copy) if isinstance(copy, nodes.Expr) else copy


def _body(statements: list[nodes.Node], scope: _Scope, bound: frozenset[str]) -> Tree:
    """Statements as items; assignments go into the scope."""
    items: list[Item] = []
    for one in statements:
        if isinstance(one, nodes.Output):
            items += [_printed(part, scope, bound) for part in one.nodes]
        elif isinstance(one, nodes.If):
            items.append(_if(one, scope, bound))
        elif isinstance(one, nodes.For):
            items.append(_for(one, scope, bound))
        elif isinstance(one, nodes.Assign):
            if not isinstance(one.target, nodes.Name):
                raise UntranslatableError("assigns to something else than a name")
            scope[one.target.name] = _Known(_value(one.node, scope, bound), bound)
        else:
            raise UntranslatableError(f"uses {{% {type(one).__name__.lower()} %}}")
    return tuple(items)


def _printed(part: nodes.Expr, scope: _Scope, bound: frozenset[str]) -> Item:
    if isinstance(part, nodes.TemplateData):
        return Data(part.data)
    value = _value(part, scope, bound)
    return Data(value.value) if isinstance(value, nodes.Const) and isinstance(value.value, str) else Print(value)


def _if(one: nodes.If, scope: _Scope, bound: frozenset[str]) -> If:
    branches: list[tuple[nodes.Expr | None, Tree]] = []
    scopes: list[tuple[nodes.Expr | None, _Scope]] = []
    for part in (one, *one.elif_):
        test = _value(part.test, scope, bound)
        inner = dict(scope)
        branches.append((test, _body(part.body, inner, bound)))
        scopes.append((test, inner))
    inner = dict(scope)
    if one.else_:
        branches.append((None, _body(one.else_, inner, bound)))
    scopes.append((None, inner))
    _merge(scopes, scope, bound)
    return If(tuple(branches))


def _merge(branches: list[tuple[nodes.Expr | None, _Scope]], scope: _Scope, bound: frozenset[str]) -> None:
    """After an `if`, a name that its branches assign has the value of the branch that was taken."""
    changed = {name for _, inner in branches for name in inner if inner[name] is not scope.get(name)}
    for name in changed:
        value: nodes.Expr | None = None
        for place, (test, inner) in enumerate(reversed(branches)):
            mine = inner[name].value if name in inner else None
            if mine is None:
                value = None
                break
            value = mine if place == 0 or test is None else nodes.CondExpr(test, mine, value)
        scope[name] = _Known(_small(value), bound)


def _for(one: nodes.For, scope: _Scope, bound: frozenset[str]) -> For:
    if one.recursive:
        raise UntranslatableError("loops recursively")
    targets = _targets(one.target)
    inner_bound = bound | {*targets, "loop"}
    inner = {name: binding for name, binding in scope.items() if name not in targets}
    items = _value(one.iter, scope, bound)
    only = None if one.test is None else _value(one.test, inner, inner_bound)
    body = _body(one.body, inner, inner_bound)
    return For(one.target, items, only, body, _body(one.else_, dict(scope), bound))


def _targets(target: nodes.Node) -> tuple[str, ...]:
    return tuple(name.name for name in (target, *target.find_all(nodes.Name)) if isinstance(name, nodes.Name))


def _value(value: nodes.Node, scope: Mapping[str, _Known], bound: frozenset[str]) -> nodes.Expr:
    """An expression in the sandbox's words, with what was assigned put in."""

    def change(part: nodes.Expr) -> nodes.Expr:
        if isinstance(part, nodes.Name) and part.name in scope:
            binding = scope[part.name]
            if binding.value is None:
                raise UntranslatableError(f"uses '{part.name}', which only some branches assign")
            if set(names_of(binding.value)) & (bound - binding.bound):
                raise UntranslatableError(f"uses '{part.name}' in a loop that hides what it is made of")
            return binding.value
        return _in_our_words(part)

    translated: nodes.Expr = rebuilt(value, change)
    return _small(translated) or translated


def _small(value: nodes.Expr | None) -> nodes.Expr | None:
    if value is not None and sum(1 for _ in value.find_all(nodes.Node)) > _LARGEST:
        raise UntranslatableError("grows too large when its assignments are put in")
    return value


def _in_our_words(part: nodes.Expr) -> nodes.Expr:
    """Methods that the sandbox knows as filters, and `choice` where it has no choice."""
    if isinstance(part, nodes.Call) and isinstance(part.node, nodes.Getattr) and not part.kwargs:
        subject, method = part.node.node, part.node.attr
        if method == "join" and len(part.args) == 1:
            return nodes.Filter(part.args[0], "join", [subject], [], None, None)
        if method == "replace" and len(part.args) in (2, 3):
            return nodes.Filter(subject, "replace", part.args, [], None, None)
    if isinstance(part, nodes.Filter) and part.node is not None:
        if part.name == "safe":
            return part.node
        if part.name in ("choice", "random"):
            if isinstance(part.node, nodes.List | nodes.Tuple) and len(part.node.items) == 1:
                return part.node.items[0]
            raise UntranslatableError(f"picks by chance, without a seed ('{part.name}')")
    return part


def literal(text: str) -> str:
    """A text as Jinja writes it."""
    return json.dumps(text, ensure_ascii=False)
