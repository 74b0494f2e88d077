"""Templates in promptsource's dialect, rendered whole and split where the `|||` comes out.

promptsource's templates are small programs: they assign, build lists with `.append()`, pick by chance and put the pipes
wherever they like. This sandbox runs them on a copy of the row. Chance is drawn from a key, so a row reads the same at
every call. All work is paid from one budget: loop turns, characters joined, and cells stored; what is stored is copied,
so no list can hold itself or grow behind another's back.

Invariant: input, target and choices are those of promptsource's own Jinja where it makes no random choice, and one of its
possible outputs where it does; a null is an error instead of the word "None". Cost: about 150 µs a prompt, five times a
native template's. Rejected: translating everything into native templates (openflan.importers), which a third of the public
templates do not fit; running promptsource itself, whose templates may then loop and grow without bound.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Template as Compiled
from jinja2 import TemplateError, Undefined, nodes
from jinja2.runtime import LoopContext
from jinja2.utils import Namespace

from openflan.prompts.sandbox import FILTERS, LONGEST, METHODS, SANDBOX, Sandbox, metered

__all__ = ["PIPES", "WHOLE", "Whole", "render_choices", "render_whole", "unfit_whole"]

PIPES = "|||"

BUDGET = 20_000_000
"""Characters and cells that one rendering may join, copy and print together."""

_DEEPEST = 4
_NESTED = 20
_GROWING = ("append", "extend", "insert", "update")
_METHODS = (*METHODS, *_GROWING, "copy", "join", "pop", "remove")
_LOOP = ("changed", "cycle", "depth", "depth0", "length", "nextitem", "previtem")
_SHIELD = "\x00pipes\x00"
_STORED, _JOINED = "stored value", "joined texts"
"""Filters that no template can name."""
_STATEMENTS = (
    nodes.Block,
    nodes.CallBlock,
    nodes.Extends,
    nodes.FilterBlock,
    nodes.FromImport,
    nodes.Import,
    nodes.Include,
    nodes.Macro,
    nodes.AssignBlock,
    nodes.With,
)

_budget: ContextVar[int] = ContextVar("budget", default=BUDGET)
_draw: ContextVar[Callable[[int], int]] = ContextVar("draw")


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    """A row under a template: what a model reads and what it should say."""

    input: str
    target: str


def _spend(amount: int) -> None:
    left = _budget.get() - amount
    if left < 0 or amount > LONGEST:
        raise TemplateError(f"works on a text or list of over {LONGEST:,} characters or cells")
    _budget.set(left)


def _size(value: Any, depth: int = 0) -> int:
    """Characters and cells of a value; counting stops where it is too much."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Namespace):
        value = vars(value)["_Namespace__attrs"]
    if not isinstance(value, list | tuple | dict | set):
        return 1
    if depth > _NESTED:
        raise TemplateError(f"nests values over {_NESTED} deep")
    total = len(value)
    for item in value.items() if isinstance(value, dict) else value:
        total += _size(item, depth + 1)
        if total > LONGEST:
            raise TemplateError(f"works on a text or list of over {LONGEST:,} characters or cells")
    return total


def _own(value: Any) -> Any:
    """A copy of a container that is put into another."""
    _spend(_size(value))
    return copy.deepcopy(value) if isinstance(value, list | tuple | dict | set) else value


def _stored(value: Any) -> Any:
    """A value that is given a name; what it holds becomes its own."""
    if isinstance(value, list):
        value[:] = [_own(item) for item in value]
    elif isinstance(value, dict):
        value.update({key: _own(item) for key, item in value.items()})
    else:
        _spend(_size(value))
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float | Undefined):
        _spend(_size(value))
    return str(value)


def _joined(values: Any) -> str:
    texts = [_text(value) for value in values]
    _spend(sum(map(len, texts)))
    return "".join(texts)


def _join(value: Any, d: Any = "", attribute: Any = None) -> str:
    texts = [_text(item if attribute is None else WHOLE.getitem(item, attribute)) for item in value]
    _spend(sum(map(len, texts)) + len(str(d)) * len(texts))
    return str(d).join(texts)


def _replace(value: Any, old: str, new: str, count: int | None = None) -> str:
    text = _text(value)
    _spend(len(text) + text.count(old) * len(new))
    return text.replace(old, new, -1 if count is None else count)


def _choice(items: Any) -> Any:
    """One of some items, drawn by the rendering's key."""
    items = list(items)
    if not items:
        raise TemplateError("picks from an empty list")
    return items[_draw.get()(len(items))]


def _most_frequent(items: Any) -> list[Any] | None:
    counts = Counter(items).most_common()
    return [item for item, count in counts if count == counts[0][1]] if counts else None


def _printed(value: Any) -> Any:
    """A value that comes out; null is a hole in the row, not a word."""
    if value is None:
        raise TemplateError("prints a null")
    _spend(_size(value))
    return value


class _Whole(Sandbox):
    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for assign in tree.find_all(nodes.Assign):
            assign.node = nodes.Filter(assign.node, _STORED, [], [], None, None, lineno=assign.lineno)
        return _with_joins(tree)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "+":
            if isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple):
                _spend(_size(left) + _size(right))
            return left + right
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, Namespace):
            return not attr.startswith("_")
        if attr in _METHODS and isinstance(obj, str | list | dict | tuple):
            return True
        return super().is_safe_attribute(obj, attr, value) or (isinstance(obj, LoopContext) and attr in _LOOP)

    def call(self, context: Any, function: Any, *values: Any, **named: Any) -> Any:  # type: ignore[override]
        owner, method = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if isinstance(owner, list | dict) and method in _GROWING:
            values = tuple(_own(value) for value in values)
            named = {key: _own(value) for key, value in named.items()}
        elif isinstance(owner, str) and method == "join" and len(values) == 1:
            return _join(values[0], owner)
        elif isinstance(owner, str) and method == "replace" and len(values) in (2, 3):
            return _replace(owner, *values)
        elif isinstance(owner, str | list | dict):
            _spend(_size(owner))
        return super().call(context, function, *values, **named)


def _with_joins(node: nodes.Node) -> Any:
    """The tree with every `~` counted."""
    for field, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            setattr(node, field, _with_joins(value))
        elif isinstance(value, list):
            value[:] = [_with_joins(item) if isinstance(item, nodes.Node) else item for item in value]
    if isinstance(node, nodes.Concat):
        items = nodes.Tuple(node.nodes, "load", lineno=node.lineno)
        return nodes.Filter(items, _JOINED, [], [], None, None, lineno=node.lineno)
    return node


def _zip(*lists: Any) -> list[Any]:
    return list(zip(*lists, strict=False))


WHOLE = _Whole(undefined=Undefined, autoescape=False, finalize=_printed)
WHOLE.filters = {name: WHOLE.filters[name] for name in (*FILTERS, "round")} | {
    name: function for name, function in SANDBOX.filters.items() if name not in WHOLE.filters
}
WHOLE.filters |= {
    "choice": _choice,
    "join": _join,
    "most_frequent": _most_frequent,
    "random": _choice,
    "replace": _replace,
    "string": _text,
    _STORED: _stored,
    _JOINED: _joined,
}
WHOLE.globals = {**SANDBOX.globals, "namespace": Namespace, "zip": _zip}


def unfit_whole(text: str) -> str | None:
    """What a template in this dialect may not do, in words; None where it may run."""
    try:
        tree = WHOLE.parse(text)
        WHOLE.compile(tree)
    except TemplateError as error:
        return f"is no template: {error.message}"
    except RecursionError:
        return "is nested too deep"
    for statement in tree.find_all(_STATEMENTS):
        return f"line {statement.lineno} uses {type(statement).__name__.lower()}"
    if any(loop.recursive for loop in tree.find_all(nodes.For)) or _depth(tree) > _DEEPEST:
        return f"loops more than {_DEEPEST} deep"
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr) and call.node.attr not in _METHODS:
            return f"calls .{call.node.attr}()"
        if isinstance(call.node, nodes.Name) and call.node.name not in WHOLE.globals:
            return f"calls {call.node.name}()"
    return None


def _depth(node: nodes.Node) -> int:
    below = max(map(_depth, node.iter_child_nodes()), default=0)
    return below + isinstance(node, nodes.For)


@cache
def _compiled(text: str) -> Compiled:
    return WHOLE.from_string(text)


@contextmanager
def _rendering(draw: Callable[[int], int]) -> Iterator[None]:
    budget, source = _budget.set(BUDGET), _draw.set(draw)
    try:
        with metered():
            yield
    finally:
        _budget.reset(budget)
        _draw.reset(source)


def _rendered(text: str, context: Mapping[str, Any]) -> list[str]:
    """The parts of what a template renders to, split at its own pipes and not at the row's."""
    shielded = {key: value.replace(PIPES, _SHIELD) if isinstance(value, str) else value for key, value in context.items()}
    pieces: list[str] = []
    size = 0
    template = _compiled(text)
    for piece in template.root_render_func(template.new_context({**WHOLE.globals, **shielded}, shared=True)):  # type: ignore[arg-type]
        pieces.append(piece)
        size += len(piece)
        if size > LONGEST:
            raise OverflowError
    return [part.replace(_SHIELD, PIPES).strip() for part in "".join(pieces).split(PIPES)]


def render_choices(choices: str, fields: Mapping[str, Any], *, draw: Callable[[int], int]) -> tuple[str, ...]:
    """The answer choices of a row.

    Args:
        choices: the template of the choices, `|||` between them.
        draw: a number below its argument, one after another; what chance is drawn from.

    Raises:
        jinja2.TemplateError: the template fails on this row, or works too much.
    """
    with _rendering(draw):
        return tuple(_rendered(choices, copy.deepcopy(dict(fields))))


def render_whole(
    text: str, fields: Mapping[str, Any], *, choices: tuple[str, ...] | None, draw: Callable[[int], int]
) -> Whole | None:
    """A row under a template; None where the row has no target there.

    Args:
        choices: the row's answer choices, which the template reads as `answer_choices`.
        draw: see `render_choices`.

    Raises:
        jinja2.TemplateError: the template fails on this row, or works too much.
        OverflowError: its text is over the sandbox's limit.
    """
    with _rendering(draw):
        context = {**copy.deepcopy(dict(fields)), "answer_choices": None if choices is None else list(choices)}
        parts = _rendered(text, context)
    if len(parts) != 2 or not parts[0] or not parts[1]:
        return None
    return Whole(input=parts[0], target=parts[1])
