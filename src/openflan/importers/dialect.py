"""Trees and expressions written as template text of the sandbox.

The sandbox trims the newline after a block and the blanks before one; where the tree has such blanks they are kept
with Jinja's `+`. Invariant: the text, parsed in the sandbox, renders as the tree does under Jinja's defaults.
"""

from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from openflan.importers.foreign import Data, For, Item, Print, Tree, UntranslatableError, literal

__all__ = ["as_option", "expression", "template_text"]

_MARKUP = ("{{", "{%", "{#", "}}", "%}", "#}")
_COMPARE = {"eq": "==", "ne": "!=", "gt": ">", "gteq": ">=", "lt": "<", "lteq": "<=", "in": "in", "notin": "not in"}
_COMPOUND = (nodes.BinExpr, nodes.Compare, nodes.CondExpr, nodes.Concat, nodes.Not, nodes.Neg, nodes.Pos, nodes.Test)


def template_text(tree: Tree) -> str:
    """A tree as template text."""
    pieces = list(_pieces(tree))
    out: list[str] = []
    for place, (tag, text) in enumerate(pieces):
        if not tag:
            out.append(text)
            continue
        before = pieces[place - 1] if place else (True, "")
        after = pieces[place + 1] if place + 1 < len(pieces) else (True, "")
        line = before[1].rpartition("\n")[2]
        start = "{%+" if not before[0] and line and not line.strip() else "{%"
        end = "+%}" if not after[0] and after[1].startswith("\n") else "%}"
        out.append(f"{start} {text} {end}")
    return "".join(out)


def as_option(option: nodes.Expr) -> str:
    """An answer option: a text as it stands, or an expression as a template."""
    if isinstance(option, nodes.Const) and isinstance(option.value, str) and "{" not in option.value:
        return option.value
    return "{{" + _inside(option) + "}}"


def expression(value: nodes.Node) -> str:
    """An expression as Jinja writes it."""
    writer = _WRITERS.get(type(value))
    if writer is not None:
        return writer(value)
    if isinstance(value, nodes.BinExpr):
        return f"{_part(value.left)} {value.operator} {_part(value.right)}"
    raise UntranslatableError(f"uses {type(value).__name__.lower()} in an expression")


def _pieces(tree: Tree) -> list[tuple[bool, str]]:
    """Tags (True) and texts (False), neighbouring texts joined."""
    pieces: list[tuple[bool, str]] = []
    for tag, text in (piece for item in tree for piece in _item(item)):
        if not tag and pieces and not pieces[-1][0]:
            pieces[-1] = (False, pieces[-1][1] + text)
        else:
            pieces.append((tag, text))
    return pieces


def _item(item: Item) -> list[tuple[bool, str]]:
    if isinstance(item, Data):
        plain = not any(mark in item.text for mark in _MARKUP) and not item.text.endswith("{")
        return [(False, item.text if plain else "{{" + literal(item.text) + "}}")]
    if isinstance(item, Print):
        return [(False, "{{" + _inside(item.value) + "}}")]
    if isinstance(item, For):
        only = f" if {expression(item.only)}" if item.only is not None else ""
        pieces = [(True, f"for {_target(item.target)} in {_part(item.items)}{only}"), *_pieces(item.body)]
        if item.otherwise:
            pieces += [(True, "else"), *_pieces(item.otherwise)]
        return [*pieces, (True, "endfor")]
    pieces = []
    for number, (test, body) in enumerate(item.branches):
        word = "else" if test is None else f"{'elif' if number else 'if'} {expression(test)}"
        pieces += [(True, word), *_pieces(body)]
    return [*pieces, (True, "endif")]


def _inside(value: nodes.Expr) -> str:
    """An expression between braces; one that begins or ends with a brace needs room."""
    text = expression(value)
    return f" {text} " if text.startswith("{") or text.endswith("}") else text


def _target(target: nodes.Node) -> str:
    if isinstance(target, nodes.Name):
        return target.name
    if isinstance(target, nodes.Tuple):
        return ", ".join(map(_target, target.items))
    raise UntranslatableError("loops over something else than names")


def _part(value: nodes.Node) -> str:
    text = expression(value)
    return f"({text})" if isinstance(value, _COMPOUND) else text


def _subject(value: nodes.Node) -> str:
    """What a dot, an index or a filter follows."""
    text = expression(value)
    bare = isinstance(value, nodes.Name | nodes.Getattr | nodes.Getitem | nodes.List | nodes.Call | nodes.Filter)
    return text if bare or (isinstance(value, nodes.Const) and isinstance(value.value, str)) else f"({text})"


def _const(value: nodes.Const) -> str:
    return literal(value.value) if isinstance(value.value, str) else str(value.value)


def _list(items: list[nodes.Expr]) -> str:
    return ", ".join(map(_part, items))


def _arguments(value: Any) -> str:
    if value.dyn_args is not None or value.dyn_kwargs is not None:
        raise UntranslatableError("passes arguments with a star")
    named = [f"{keyword.key}={_part(keyword.value)}" for keyword in value.kwargs]
    return ", ".join([*map(_part, value.args), *named])


def _filter(value: nodes.Filter) -> str:
    if value.node is None:
        raise UntranslatableError("uses a filter without a value")
    arguments = _arguments(value)
    subject = expression(value.node) if isinstance(value.node, nodes.Filter) else _subject(value.node)
    return f"{subject} | {value.name}" + (f"({arguments})" if arguments else "")


def _dotted(value: nodes.Getattr) -> str:
    inner = f"({expression(value.node)})" if isinstance(value.node, nodes.Filter) else _subject(value.node)
    return f"{inner}.{value.attr}"


def _indexed(value: nodes.Getitem) -> str:
    inner = f"({expression(value.node)})" if isinstance(value.node, nodes.Filter) else _subject(value.node)
    if isinstance(value.arg, nodes.Slice):
        parts = ["" if part is None else _part(part) for part in (value.arg.start, value.arg.stop, value.arg.step)]
        return f"{inner}[{':'.join(parts if parts[2] else parts[:2])}]"
    return f"{inner}[{expression(value.arg)}]"


def _compare(value: nodes.Compare) -> str:
    return _part(value.expr) + "".join(f" {_COMPARE[operand.op]} {_part(operand.expr)}" for operand in value.ops)


def _condition(value: nodes.CondExpr) -> str:
    text = f"{_part(value.expr1)} if {_part(value.test)}"
    return text if value.expr2 is None else f"{text} else {_part(value.expr2)}"


def _test(value: nodes.Test) -> str:
    arguments = _arguments(value)
    return f"{_subject(value.node)} is {value.name}" + (f"({arguments})" if arguments else "")


_WRITERS: dict[type, Callable[[Any], str]] = {
    nodes.Name: lambda value: str(value.name),
    nodes.Const: _const,
    nodes.List: lambda value: f"[{_list(value.items)}]",
    nodes.Tuple: lambda value: f"({_list(value.items)}{',' if len(value.items) == 1 else ''})",
    nodes.Dict: lambda value: "{" + ", ".join(f"{_part(pair.key)}: {_part(pair.value)}" for pair in value.items) + "}",
    nodes.Getattr: _dotted,
    nodes.Getitem: _indexed,
    nodes.Call: lambda value: f"{_subject(value.node)}({_arguments(value)})",
    nodes.Filter: _filter,
    nodes.Test: _test,
    nodes.CondExpr: _condition,
    nodes.Compare: _compare,
    nodes.Concat: lambda value: " ~ ".join(map(_part, value.nodes)),
    nodes.Not: lambda value: f"not {_part(value.node)}",
    nodes.Neg: lambda value: f"-({expression(value.node)})",
    nodes.Pos: lambda value: f"+({expression(value.node)})",
}
