"""Templates in promptsource's dialect, rendered whole and split where the `|||` comes out.

promptsource's templates are small programs: they assign, build lists with `.append()`, pick by chance and put the pipes
wherever they like. This sandbox runs them on a copy of the row. Chance is drawn from a key, so a row reads the same at
every call. All work is paid from one budget: loop turns, characters joined, and cells stored; what is stored is copied,
so no list can hold itself or grow behind another's back.

Invariant: input, target and choices are those of promptsource's own Jinja where it makes no random choice, and one of
its possible outputs where it does; a null is an error instead of the word "None". Cost: about 150 µs a prompt.
Rejected: translating everything into native templates (openflan.importers), which a third of the public ones do not
fit; running promptsource itself, whose templates may loop and grow without bound.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from jinja2 import Environment, TemplateError, Undefined, meta, nodes, pass_context
from jinja2 import Template as Compiled
from jinja2.runtime import Context, LoopContext
from jinja2.utils import Namespace

from openflan.errors import UserError
from openflan.hashing import hash_integer
from openflan.prompts.options import RowAnswer
from openflan.prompts.sandbox import FILTERS, LONGEST, METHODS, SANDBOX, STATEMENTS, Sandbox, metered
from openflan.prompts.values import UnfitValueError, fault_of
from openflan.tasks.sources import SourceRow
from openflan.tasks.spec import TaskSpec

__all__ = ["PIPES", "WHOLE", "WholeTemplates", "draws", "read_pipes", "unfit_whole", "used_fields"]

PIPES = "|||"

BUDGET = 20_000_000
"""Characters and cells that one rendering may join, copy and print together."""

_DEEPEST = 4
_NESTED = 20
_GROWING = ("append", "extend", "insert", "update")
_METHODS = (*METHODS, *_GROWING, "copy", "join", "pop", "remove", "replace")
_LOOP = ("changed", "cycle", "depth", "depth0", "length", "nextitem", "previtem")
_SHIELD = "\x00pipes\x00"
_STORED, _JOINED = "stored value", "joined texts"
"""Filters that no template can name."""
_STATEMENTS = tuple(one for one in STATEMENTS if one is not nodes.Assign)
_TOO_MUCH = f"works on a text or list of over {LONGEST:,} characters or cells"

_budget: ContextVar[int] = ContextVar("budget", default=BUDGET)
_draw: ContextVar[Callable[[int], int]] = ContextVar("draw")


def _spend(amount: int) -> None:
    left = _budget.get() - amount
    if left < 0 or amount > LONGEST:
        raise TemplateError(_TOO_MUCH)
    _budget.set(left)


def _size(value: Any, depth: int = 0) -> int:
    """Characters and cells of a value; counting stops where it is too much."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Namespace):
        value = object.__getattribute__(value, "_Namespace__attrs")
    if not isinstance(value, list | tuple | dict | set):
        return 1
    if depth > _NESTED:
        raise TemplateError(f"nests values over {_NESTED} deep")
    total = len(value)
    for item in value.items() if isinstance(value, dict) else value:
        total += _size(item, depth + 1)
        if total > LONGEST:
            raise TemplateError(_TOO_MUCH)
    return total


def _own(value: Any) -> Any:
    """A copy of a container that is put into another."""
    _spend(_size(value))
    return _copied(value)


def _copied(value: Any) -> Any:
    """A copy of plain data, as rows are."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return tuple(map(_copied, value)) if isinstance(value, tuple) else value


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


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    text, old, new = _text(value), _text(old), _text(new)
    _spend(len(text) + text.count(old) * len(new))
    return text.replace(old, new, -1 if count is None else count)


@pass_context  # which keeps Jinja from computing it once for all
def _choice(_context: Context, items: Any) -> Any:
    """One of some items, drawn by the rendering's key."""
    items = list(items)
    if not items:
        raise TemplateError("picks from an empty list")
    return items[_draw.get()(len(items))]


def _most_frequent(items: Any) -> list[Any] | None:
    counts = Counter(items).most_common()
    return [item for item, count in counts if count == counts[0][1]] if counts else None


def _printed(value: Any) -> Any:
    """A value that comes out, lists as Python has them; null is a hole in the row, not a word."""
    if (value is None or isinstance(value, str | float)) and (fault := fault_of(value)):
        raise UnfitValueError(fault)
    _spend(_size(value))
    return value


class _Whole(Sandbox):
    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for assign in tree.find_all(nodes.Assign):
            assign.node = nodes.Filter(assign.node, _STORED, [], [], None, None, lineno=assign.lineno)
        joined: nodes.Template = _with_joins(tree)
        return joined

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "+":
            if isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple):
                _spend(_size(left) + _size(right))
            return left + right
        if operator == "*" and isinstance(left, str | list) and isinstance(right, int):
            _spend(_size(left) * max(right, 0))
            return left * right
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, Namespace):
            return not attr.startswith("_")
        if attr in _METHODS and isinstance(obj, str | list | dict | tuple):
            return True
        return super().is_safe_attribute(obj, attr, value) or (isinstance(obj, LoopContext) and attr in _LOOP)

    def call(self, context: Any, function: Any, *values: Any, **named: Any) -> Any:
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


def _with_joins(node: Any) -> Any:
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
    "format": SANDBOX.filters["format"],
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
        WHOLE.compile(WHOLE.parse(text))
    except TemplateError as error:
        return f"is no template: {error.message}"
    except RecursionError:
        return "is nested too deep"
    refused = [f"uses {type(statement).__name__.lower()}" for statement in tree.find_all(_STATEMENTS)]
    if any(loop.recursive for loop in tree.find_all(nodes.For)) or _depth(tree) > _DEEPEST:
        refused.append(f"loops more than {_DEEPEST} deep")
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr) and call.node.attr not in _METHODS:
            refused.append(f"calls .{call.node.attr}()")
        if isinstance(call.node, nodes.Name) and call.node.name not in WHOLE.globals:
            refused.append(f"calls {call.node.name}()")
    return next(iter(refused), None)


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


def _split(text: str, context: Mapping[str, Any]) -> list[str]:
    """The parts of what a template renders to, split at its own pipes and not at the row's."""
    shielded = {
        key: value.replace(PIPES, _SHIELD) if isinstance(value, str) else value for key, value in context.items()
    }
    pieces: list[str] = []
    size = 0
    template = _compiled(text)
    for piece in template.root_render_func(template.new_context({**WHOLE.globals, **shielded}, shared=True)):
        pieces.append(piece)
        size += len(piece)
        if size > LONGEST:
            raise OverflowError
    return [part.replace(_SHIELD, PIPES).strip() for part in "".join(pieces).split(PIPES)]


def read_pipes(text: str) -> int:
    """How many pairs of pipes a template's own text has on every row, whatever its branches do.

    Raises:
        jinja2.TemplateError: it is no template.
    """
    outputs = [part for node in WHOLE.parse(text).body if isinstance(node, nodes.Output) for part in node.nodes]
    return sum(part.data.count(PIPES) for part in outputs if isinstance(part, nodes.TemplateData))


def used_fields(text: str) -> list[str]:
    """Names that a template reads from the row, sorted."""
    tree = WHOLE.parse(text)
    spaces = {  # which Jinja takes for undeclared where a branch makes them and a loop in it stores there
        assign.target.name
        for assign in Environment().parse(text).find_all(nodes.Assign)
        if isinstance(assign.target, nodes.Name)
        and isinstance(assign.node, nodes.Call)
        and assign.node.node == nodes.Name("namespace", "load")
    }
    return sorted(meta.find_undeclared_variables(tree) - set(WHOLE.globals) - spaces - {"answer_choices"})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rendered:
    """A row under a template."""

    input: str
    answer: RowAnswer


def draws(task: str, row: int, template: int) -> Callable[[int], int]:
    """Numbers below their argument, one after another: what chance in a template is drawn from on a row."""
    seed = int.from_bytes(hashlib.sha256(task.encode()).digest()[:8], "big")
    places = count()
    return lambda size: hash_integer(seed, row, template, next(places)) % size


class WholeTemplates:
    """The templates of a task whose answer is what each template's target renders to."""

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec
        self._last: tuple[SourceRow, dict[int, _Rendered | None]] | None = None

    def fits(self, row: SourceRow, number: int) -> bool:
        """Whether a row has an input and a target under a template."""
        return self._at(row, number) is not None

    def input(self, row: SourceRow, number: int) -> str:
        """What a model reads."""
        return self._whole(row, number).input

    def answer(self, row: SourceRow, number: int) -> RowAnswer:
        """The target, and the choices where answers are ranked.

        Raises:
            UserError: the template has no target for the row, or one that is none of its choices.
        """
        return self._whole(row, number).answer

    def _whole(self, row: SourceRow, number: int) -> _Rendered:
        rendered = self._at(row, number)
        if rendered is None:
            where = f"{self._spec.name}, template {number + 1}, row {row.index + 1}"
            raise UserError("the row has no input and target there", where=where, how="drop such rows")
        return rendered

    def _at(self, row: SourceRow, number: int) -> _Rendered | None:
        if self._last is None or self._last[0] is not row:
            self._last = (row, {})
        cached = self._last[1]
        if number not in cached:
            cached[number] = self._rendered(row, number)
        return cached[number]

    def _rendered(self, row: SourceRow, number: int) -> _Rendered | None:
        template = self._spec.templates[number]
        choices: list[str] | None = None
        with _rendering(draws(self._spec.name, row.index, number)):
            if template.choices is not None:
                choices = _split(template.choices, _copied(dict(row.fields)))
            parts = _split(str(template.whole), {**_copied(dict(row.fields)), "answer_choices": choices})
        if len(parts) != 2 or not all(parts):
            return None
        ranked = self._spec.answer.by_template == "ranked"
        options = tuple(choices or ()) if ranked else ()
        if ranked and parts[1] not in options:
            where = f"{self._spec.name}, template {number + 1}, row {row.index + 1}"
            raise UserError(f"the target {parts[1]!r} is none of {list(options)}", where=where, how="drop such rows")
        index = options.index(parts[1]) if ranked else -1
        return _Rendered(
            input=parts[0], answer=RowAnswer(text=parts[1], options=options, index=index, references=(parts[1],))
        )
