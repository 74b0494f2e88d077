"""One template's text, run in the sandbox: what it reads, what it makes of a row, and how it fails.

A text that only names values ("{{premise}} Is it true that {{hypothesis}}?"), as most do, is put together without
Jinja; whatever is not plainly that, or fails, goes through it.

Invariant: a text is parsed and compiled once a process; a rendering's work and length are bounded, and whatever a
stranger's template does on a row ends in one line. Cost: 1 µs a text of names alone, 10 µs another without loops.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Template as Compiled
from jinja2 import TemplateSyntaxError, UndefinedError, meta, nodes

from openflan.errors import UserError, did_you_mean
from openflan.prompts.sandbox import CONDITIONS, LONGEST, SANDBOX, metered, unfit
from openflan.prompts.values import as_text
from openflan.tasks.columns import strings_in
from openflan.tasks.spec import TaskSpec

__all__ = [
    "check_text",
    "condition_text",
    "failure_of",
    "names_in",
    "reaches",
    "render_text",
    "run_template",
    "stands_alone",
]


def condition_text(when: str | None) -> str:
    """A `when` as template text; a bare expression may stand without braces."""
    return "" if when is None else when if "{" in when else "{{" + when + "}}"


def check_text(text: str, names: AbstractSet[str], spec: TaskSpec, *, where: str) -> None:
    """Refuse a text that is no template, does what none may, or reads what no row of the task has.

    Args:
        names: what it may read.

    Raises:
        UserError: it does.
    """
    try:
        read = _read(text)
    except TemplateSyntaxError as error:
        raise UserError(f"not valid Jinja: {error.message}", where=where, how="mend the template") from None
    if read.unfit is not None:
        raise UserError(f"a template may not do that: {read.unfit}", where=where, how="write it without")
    if unknown := sorted(read.names - names - set(SANDBOX.globals)):
        hint = did_you_mean(unknown[0], names) or f"declared are {', '.join(spec.names)}"
        raise UserError(f"'{unknown[0]}' is no field of task '{spec.name}'", where=where, how=hint)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """What a look into a text tells."""

    names: frozenset[str]
    unfit: str | None


@cache
def _read(text: str) -> _Read:
    if "{" not in text:
        return _Read(names=frozenset(), unfit=None)
    tree = SANDBOX.parse(text)
    return _Read(names=frozenset(meta.find_undeclared_variables(tree)), unfit=unfit(tree))


def names_in(text: str) -> frozenset[str]:
    """Names that a template reads."""
    return _read(text).names


def stands_alone(text: str, name: str) -> bool:
    """Whether a template uses a name otherwise than for what is in it (`row.text`, `row["text"]`)."""
    tree = SANDBOX.parse(text)
    uses = sum(one.name == name for one in tree.find_all(nodes.Name))
    into: tuple[type[nodes.Getattr | nodes.Getitem], ...] = (nodes.Getattr, nodes.Getitem)
    steps = [one for one in tree.find_all(into) if getattr(one, "node", None) == nodes.Name(name, "load")]
    return bool(uses > len(steps))


def reaches(text: str, column: str) -> bool:
    """Whether a template reads a column through the row."""
    tree, row = SANDBOX.parse(text), nodes.Name("row", "load")
    ways = (nodes.Getattr(row, column, "load"), nodes.Getitem(row, nodes.Const(column), "load"))
    return any(one in ways for one in tree.find_all(nodes.Expr))


@cache
def _compiled(text: str, gated: bool) -> tuple[Compiled, bool]:
    """A template and whether it loops."""
    sandbox = SANDBOX if gated else CONDITIONS
    return sandbox.from_string(text), next(sandbox.parse(text).find_all(nodes.For), None) is not None


@cache
def _named_values(text: str) -> tuple[list[str], list[tuple[int, str]]] | None:
    """A template that only names values: its parts, with gaps, and which name stands in each gap; None for others."""
    parts: list[str] = []
    gaps: list[tuple[int, str]] = []
    for output in SANDBOX.parse(text).body:
        for node in output.nodes if isinstance(output, nodes.Output) else [output]:
            if isinstance(node, nodes.Name):
                gaps.append((len(parts), node.name))
            elif not isinstance(node, nodes.TemplateData):
                return None
            parts.append(node.data if isinstance(node, nodes.TemplateData) else "")
    return parts, gaps


def _put_together(text: str, context: Mapping[str, Any]) -> str | None:
    """What a template that only names values makes of a context; None where Jinja must say."""
    named = _named_values(text)
    if named is None:
        return None
    parts, gaps = named[0].copy(), named[1]
    try:
        for place, name in gaps:
            parts[place] = as_text(context[name])
    except KeyError:
        return None
    return "".join(parts)


def run_template(text: str, context: Mapping[str, Any], *, gated: bool = True) -> str:
    """The text that a template makes of a context that holds the sandbox's globals and the row too."""
    if gated and (whole := _put_together(text, context)) is not None:
        if len(whole) > LONGEST and len(whole) > _longest(context):
            raise OverflowError
        return whole
    template, loops = _compiled(text, gated)
    parts = template.root_render_func(template.new_context(context, shared=True))  # type: ignore[arg-type]
    if not loops:
        whole = "".join(parts)
        size = len(whole)
    else:
        pieces: list[str] = []
        size, limit = 0, LONGEST
        with metered():
            for part in parts:
                pieces.append(part)
                size += len(part)
                if size > limit:
                    limit = _longest(context)
                    if size > limit:
                        break
        whole = "".join(pieces)
    if size > LONGEST and size > _longest(context):
        raise OverflowError
    return whole


def _longest(context: Mapping[str, Any]) -> int:
    """Characters that a template may make of a row: those of the row, and some."""
    return LONGEST + sum(map(len, strings_in(context["row"])))


def render_text(text: str, context: Mapping[str, Any], where: str) -> str:
    """The text that a template makes of a context.

    Raises:
        UserError: the template fails on it.
    """
    try:
        return run_template(text, {**SANDBOX.globals, **context})
    except Exception as error:  # a stranger's template may fail in any way
        raise failure_of(error, where) from None


def failure_of(error: Exception, where: str) -> UserError:
    """What a template's failure is to a user."""
    if isinstance(error, OverflowError):
        return UserError(
            f"renders to over {LONGEST:,} characters more than the row has", where=where, how="shorten the template"
        )
    if isinstance(error, UndefinedError):
        return UserError(f"{error.message}", where=where, how="the row lacks that field")
    return UserError(f"fails: {error}", where=where, how="mend the template")
