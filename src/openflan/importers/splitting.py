"""The triple pipe: where a promptsource template ends its input and begins its target.

promptsource renders the whole template, then splits the text. Here the tree is split instead, through the branches
that the pipes stand in; rows that take a branch without pipes have no target there and are left out by `when` here.

Invariant: for a row that `when` admits, both parts render to what promptsource splits off. Rejected: rendering and
splitting each row, which a template without code can't do.
"""

from dataclasses import dataclass

from jinja2 import nodes

from openflan.importers.dialect import template_text
from openflan.importers.foreign import Data, For, If, Item, Print, Tree, UntranslatableError, map_tree
from openflan.prompts.whole import PIPES

__all__ = ["Split", "as_expression", "split_choices", "split_prompt", "stripped"]


@dataclass(frozen=True, slots=True)
class Split:
    """A template cut in two."""

    input: Tree
    target: Tree
    when: Tree | None
    """Renders to `true` for the rows that have a target; None where all have."""


def split_prompt(tree: Tree) -> Split:
    """The two sides of the pipes.

    Raises:
        UntranslatableError: the pipes are missing, more than one pair, in a loop or in an expression.
    """
    _refuse_hidden(tree)
    split = _split(tree)
    return Split(stripped(split.input), stripped(split.target), split.when)


def split_choices(tree: Tree) -> list[nodes.Expr]:
    """The answer choices of a template that lists them between pipes, each an expression.

    Raises:
        UntranslatableError: their number may differ from row to row.
    """
    _refuse_hidden(tree)
    return [_trimmed(stripped(part)) for part in _parts(tree)]


def stripped(tree: Tree) -> Tree:
    """The tree without the blanks at its ends, which no prompt keeps."""
    items = list(tree)
    for place, strip in ((0, str.lstrip), (-1, str.rstrip)):
        while items and isinstance(items[place], Data):
            text = strip(items[place].text)  # type: ignore[union-attr]
            if text:
                items[place] = Data(text)
                break
            items.pop(place)
    return tuple(items)


def as_expression(tree: Tree) -> nodes.Expr:
    """A tree as one expression.

    Raises:
        UntranslatableError: it has a loop.
    """
    parts = [_item_expression(item) for item in tree]
    if not parts:
        return nodes.Const("")
    return parts[0] if len(parts) == 1 else nodes.Concat(parts)


def _item_expression(item: Item) -> nodes.Expr:
    if isinstance(item, Data):
        return nodes.Const(item.text)
    if isinstance(item, Print):
        return item.value
    if isinstance(item, For):
        raise UntranslatableError("makes its answer in a loop")
    value: nodes.Expr = nodes.Const("")
    for test, body in reversed(item.branches):
        inner = as_expression(stripped(body))
        value = inner if test is None else nodes.CondExpr(test, inner, value)
    return value


def _trimmed(tree: Tree) -> nodes.Expr:
    """A tree as an expression without blanks at its ends."""
    ends = [item for item in (tree[0], tree[-1]) if isinstance(item, Print)] if tree else []
    value = as_expression(tree)
    if not ends:
        return value
    return nodes.Filter(value, "trim", [], [], None, None)


def _has_pipes(item: Item) -> bool:
    if isinstance(item, Data):
        return PIPES in item.text
    if isinstance(item, If):
        return any(_has_pipes(one) for _, body in item.branches for one in body)
    return isinstance(item, For) and any(map(_has_pipes, (*item.body, *item.otherwise)))


def _refuse_hidden(tree: Tree) -> None:
    """Pipes inside an expression split the text when it is rendered, and nobody can say where."""

    def look(part: nodes.Expr) -> nodes.Expr:
        if isinstance(part, nodes.Const) and isinstance(part.value, str) and PIPES in part.value:
            raise UntranslatableError("has its '|||' inside an expression")
        return part

    map_tree(tree, look)


def _split(tree: Tree) -> Split:
    places = [place for place, item in enumerate(tree) if _has_pipes(item)]
    if not places:
        raise UntranslatableError("has no '|||' between input and target")
    if len(places) > 1:
        raise UntranslatableError("has more than one '|||'")
    before, item, after = tree[: places[0]], tree[places[0]], tree[places[0] + 1 :]
    if isinstance(item, Data):
        left, *right = item.text.split(PIPES)
        if len(right) > 1:
            raise UntranslatableError("has more than one '|||'")
        return Split((*before, Data(left)), (Data(right[0]), *after), None)
    if not isinstance(item, If):
        raise UntranslatableError("has its '|||' in a loop")
    halves = [(test, _split(body) if any(map(_has_pipes, body)) else None) for test, body in item.branches]
    cut = [one for _, one in halves if one is not None]
    whole = halves[-1][0] is None and len(cut) == len(halves) and all(one.when is None for one in cut)
    yes: Tree = (Data("true"),)
    when: Tree | None = None if whole else (If(tuple((t, () if s is None else s.when or yes) for t, s in halves)),)
    if len(cut) == 1:
        return Split((*before, *cut[0].input), (*cut[0].target, *after), when)
    bodies = [body for _, body in item.branches]
    tests = [test for test, _ in halves]
    inputs = tuple((t, s.input if s else body) for t, (_, s), body in zip(tests, halves, bodies, strict=True))
    targets = tuple((t, s.target if s else ()) for t, (_, s) in zip(tests, halves, strict=True))
    same = len({template_text(stripped(one.target)) for one in cut}) == 1
    target: Tree = stripped(cut[0].target) if same else (If(targets),)
    return Split((*before, If(inputs)), (*target, *after), when)


def _parts(tree: Tree) -> list[Tree]:
    """A tree cut at every pair of pipes."""
    parts: list[Tree] = [()]
    for item in tree:
        if isinstance(item, Data):
            first, *rest = item.text.split(PIPES)
            parts[-1] = (*parts[-1], Data(first))
            parts += [(Data(text),) for text in rest]
        elif not _has_pipes(item):
            parts[-1] = (*parts[-1], item)
        elif isinstance(item, If) and item.branches[-1][0] is None:
            branches = [(test, _parts(body)) for test, body in item.branches]
            count = len(branches[0][1])
            if any(len(inner) != count for _, inner in branches):
                raise UntranslatableError("has a different number of answer choices in different rows")
            columns = [If(tuple((test, inner[n]) for test, inner in branches)) for n in range(count)]
            parts[-1] = (*parts[-1], columns[0])
            parts += [(column,) for column in columns[1:]]
        else:
            raise UntranslatableError("makes its answer choices in a loop or for some rows only")
    return parts
