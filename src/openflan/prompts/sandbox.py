"""The sandbox in which strangers' templates run.

Jinja's own sandbox keeps a template from Python; this one also keeps it from the machine's time and memory. A
template can read, compare, join and cut text, choose, and walk through a row's lists, twice nested and so many turns
in all. It can neither store nor recurse nor multiply, so its work is bounded by its own length and the row's.

Invariant: rendering is a pure function of template and row (no `random`, no state). Cost: none measurable.
Rejected: a list of what is forbidden, which each new Jinja version lengthens; a process a prompt, 1,000 times slower.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ClassVar

from jinja2 import StrictUndefined, TemplateError, Undefined, nodes
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from openflan.prompts.values import as_text

__all__ = ["CONDITIONS", "FILTERS", "LONGEST", "METHODS", "SANDBOX", "STATEMENTS", "Sandbox", "metered", "unfit"]

LONGEST = 200_000
"""Characters that a template may add to a row's own."""

FILTERS = [
    "abs",
    "capitalize",
    "count",
    "default",
    "d",
    "first",
    "float",
    "format",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "select",
    "selectattr",
    "sort",
    "string",
    "sum",
    "title",
    "trim",
    "truncate",
    "unique",
    "upper",
    "wordcount",
]

METHODS = [
    "capitalize",
    "count",
    "endswith",
    "find",
    "get",
    "index",
    "items",
    "keys",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "title",
    "upper",
    "values",
]

_COUNTED, _GATED = "counted turns", "gated text"
"""Filters that no template can name."""

_OF_A_TEXT = ("capitalize", "lower", "title", "trim", "truncate", "upper", "wordcount")
"""Filters that make a text of what they are given, of nothing and of objects too."""

_PLACE = re.compile(r"%(%|[-+ #0]*\d{0,2}(\.\d{0,2})?[sdifeEgG])")
"""A place in a format, at most 99 wide."""

_LOOP = ("first", "index", "index0", "last", "length", "revindex", "revindex0")

STATEMENTS = (
    nodes.Assign,
    nodes.AssignBlock,
    nodes.Block,
    nodes.CallBlock,
    nodes.Extends,
    nodes.FilterBlock,
    nodes.FromImport,
    nodes.Import,
    nodes.Include,
    nodes.Macro,
    nodes.With,
)

TURNS = 50_000
"""Turns that all loops of one rendering may take together."""

_DEEPEST = 2
_LONGEST_RANGE = 1_000


_turns_left: ContextVar[int] = ContextVar("turns_left", default=TURNS)


@contextmanager
def metered() -> Iterator[None]:
    """Count the loop turns of one rendering from nothing."""
    token = _turns_left.set(TURNS)
    try:
        yield
    finally:
        _turns_left.reset(token)


def _count_turns(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        left = _turns_left.get()
        if left <= 0:
            raise TemplateError(f"loops for more than {TURNS:,} turns")
        _turns_left.set(left - 1)
        yield item


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with counted loops, plain arithmetic and a list of methods."""

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """The tree with every loop's items counted."""
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, _COUNTED, [], [], None, None, lineno=loop.lineno)
        return tree

    _safe: ClassVar[dict[tuple[type, str], bool]] = {}

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic between plain numbers only, and no powers."""
        if not (isinstance(left, int | float) and isinstance(right, int | float)) or operator == "**":
            raise TemplateError(f"'{operator}' is allowed between plain numbers only")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of a row wins over a method of the same name (`parts.items`)."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def wrap_str_format(self, value: Any) -> None:
        """No `format`: a width in it makes a text of any size."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may reach an attribute."""
        allowed = attr in METHODS or (isinstance(obj, LoopContext) and attr in _LOOP)
        key = (type(obj), attr)  # all that Jinja goes by
        if allowed and key not in self._safe:
            self._safe[key] = super().is_safe_attribute(obj, attr, value)
        return allowed and self._safe[key]


class _Gated(Sandbox):
    """The same, with every part of a joined text (`~`) sent through the gate."""

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for joined in tree.find_all(nodes.Concat):
            line = joined.lineno
            joined.nodes = [nodes.Filter(part, _GATED, [], [], None, None, lineno=line) for part in joined.nodes]
        return tree


def unfit(tree: nodes.Template) -> str | None:
    """What a parsed template uses that none may, in words; None where it may run."""
    for statement in tree.find_all(STATEMENTS):
        return f"line {statement.lineno} uses {type(statement).__name__.lower()}"
    if any(loop.recursive for loop in tree.find_all(nodes.For)) or _depth(tree) > _DEEPEST:
        return f"loops more than {_DEEPEST} deep"
    return None


def _depth(node: nodes.Node) -> int:
    """How deep loops are nested."""
    below = max(map(_depth, node.iter_child_nodes()), default=0)
    return below + isinstance(node, nodes.For)


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > _LONGEST_RANGE:
        raise TemplateError(f"range of more than {_LONGEST_RANGE:,}")
    return numbers


def _join(value: Any, d: str = "", attribute: str | None = None) -> str:
    """Jinja's join, bounded."""
    texts = [as_text(item if attribute is None else SANDBOX.getitem(item, attribute)) for item in value]
    return _bounded(len(str(d)) * len(texts), lambda: str(d).join(texts))


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    """Jinja's replace, bounded."""
    text = as_text(value)
    return _bounded(text.count(old) * max(0, len(new) - len(old)), lambda: text.replace(old, new, count))


def _format(value: Any, *args: Any) -> str:
    """Jinja's format (`"%.1f" | format(score)`) of texts and numbers, with no width that makes a text grow."""
    text = as_text(value)
    if "%" in _PLACE.sub("", text):
        raise TemplateError("format allows %s, %d, %i, %f, %e and %g, at most 99 wide")
    as_texts = [as_text(arg) for arg in args]
    return text % tuple(
        arg if isinstance(arg, int | float) else string for arg, string in zip(args, as_texts, strict=True)
    )


def _bounded(added: int, make: Any) -> str:
    """A text to which a filter adds so many characters."""
    if added > LONGEST:
        raise TemplateError(f"a filter adds over {LONGEST:,} characters")
    return str(make())


def _string(value: Any) -> str:
    """Jinja's string, by which a template says that a value is to stand as Python writes it, a list or object too."""
    return as_text(value) if value is None or isinstance(value, str | Undefined) else str(value)


def _of_a_text(name: str) -> Callable[..., Any]:
    """One of Jinja's filters behind the gate."""
    plain: Callable[..., Any] = DEFAULT_FILTERS[name]
    place = 1 if hasattr(plain, "jinja_pass_arg") else 0

    @wraps(plain)
    def gated(*args: Any, **more: Any) -> Any:
        return plain(*args[:place], as_text(args[place]), *args[place + 1 :], **more)

    return gated


SANDBOX = _Gated(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True, finalize=as_text)
_OWN: dict[str, Callable[..., Any]] = {
    "format": _format,
    "join": _join,
    "replace": _replace,
    "string": _string,
    **{name: _of_a_text(name) for name in _OF_A_TEXT},
    _COUNTED: _count_turns,
    _GATED: as_text,
}
SANDBOX.filters = {name: SANDBOX.filters[name] for name in FILTERS} | _OWN
SANDBOX.globals = {"range": _range}

CONDITIONS = SANDBOX.overlay(finalize=None)
"""The same for conditions, whose outcome is a truth value and no text."""
