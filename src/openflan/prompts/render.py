"""Templates become prompts, in a sandbox.

Jinja over a row's fields and four reserved names: `answer`, `options` (the block), `option_list`, `row` (the raw
row, for fields that share a reserved name). Templates are data from strangers: they run sandboxed, may use no
name their spec does not declare, and their output is limited.

Invariant: a prompt is a pure function of (spec, row, template); input and target are never empty.
Cost: about 40 µs a prompt. Rejected: str.format, which has no conditions, and raw Jinja, which can reach Python.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from jinja2 import Template as Compiled
from jinja2 import TemplateSyntaxError, UndefinedError, meta

from openflan.errors import UserError, did_you_mean
from openflan.prompts.options import RowAnswer, find_answer, options_block
from openflan.prompts.sandbox import LONGEST, SANDBOX, unfit
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow

__all__ = ["Prompt", "TaskRenderer"]

_RESERVED = ("answer", "options", "option_list", "row")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A rendered template: what the model reads, what it should say, and what it may choose from."""

    input: str
    target: str
    answer: RowAnswer
    task: str
    row: int
    template: int


class TaskRenderer:
    """Renders one task's rows under its templates.

    Raises:
        UserError: a template is no Jinja or uses a name that is no field of the task.
    """

    def __init__(self, entry: Entry, *, options: Literal["shown", "hidden"] = "shown") -> None:
        self.spec = entry.spec
        self._path = entry.path
        self._hide_options = options == "hidden"
        known = {*self.spec.fields, *_RESERVED}
        for number, template in enumerate(self.spec.templates):
            where = self._where(number)
            for text in (template.input, template.target, _condition(template.when)):
                self._check(text, known, where)
        for text in self.spec.answer.options or ():
            self._check(text, {*self.spec.fields, "row"}, f"{self._path}, answer.options")

    def answer(self, row: SourceRow) -> RowAnswer:
        """The row's answer and options."""
        where = f"{self.spec.name}, row {row.index + 1}"
        context = {**row.fields, "row": row.fields}
        return find_answer(
            self.spec.answer, row.fields, lambda text: _render(text, context, f"{where}, answer.options"), where=where
        )

    def applicable(self, row: SourceRow) -> list[int]:
        """Numbers of the templates whose `when` holds for the row."""
        context = self._context(row, self.answer(row))
        return [
            number
            for number, template in enumerate(self.spec.templates)
            if template.when is None or self._holds(number, context)
        ]

    def render(self, row: SourceRow, number: int) -> Prompt:
        """The prompt of a row under template `number`.

        Raises:
            UserError: the template fails on this row or leaves the input or the target empty.
        """
        template = self.spec.templates[number]
        answer = self.answer(row)
        context = self._context(row, answer)
        where = f"{self._where(number)}, row {row.index + 1}"
        text = _render(template.input, context, where).strip()
        target = _render(template.target, context, where).strip()
        for name, value in (("input", text), ("target", target)):
            if not value:
                raise UserError(f"the {name} is empty", where=where, how="mend the template or drop such rows")
        return Prompt(input=text, target=target, answer=answer, task=self.spec.name, row=row.index, template=number)

    def _context(self, row: SourceRow, answer: RowAnswer) -> dict[str, Any]:
        shown = bool(answer.options) and not self._hide_options
        return {
            **row.fields,
            "row": row.fields,
            "answer": answer.text,
            "options": options_block(answer.options) if shown else "",
            "option_list": list(answer.options),
        }

    def _holds(self, number: int, context: Mapping[str, Any]) -> bool:
        text = _render(_condition(self.spec.templates[number].when), context, self._where(number))
        return text.strip().lower() not in ("", "false", "0", "none")

    def _where(self, number: int) -> str:
        return f"{self._path}, template {number + 1}"

    def _check(self, text: str, known: set[str], where: str) -> None:
        try:
            tree = SANDBOX.parse(text)
            used = meta.find_undeclared_variables(tree) - set(SANDBOX.globals)
        except TemplateSyntaxError as error:
            raise UserError(f"not valid Jinja: {error.message}", where=where, how="mend the template") from None
        if why := unfit(tree):
            raise UserError(f"a template may not do that: {why}", where=where, how="write it without")
        if unknown := sorted(used - known):
            hint = did_you_mean(unknown[0], known) or f"declared are {', '.join(self.spec.fields)}"
            raise UserError(f"'{unknown[0]}' is no field of task '{self.spec.name}'", where=where, how=hint)


def _condition(when: str | None) -> str:
    """A `when` as template text; a bare expression may stand without braces."""
    return "" if when is None else when if "{" in when else "{{" + when + "}}"


@cache
def _compiled(text: str) -> Compiled:
    return SANDBOX.from_string(text)


def _render(text: str, context: Mapping[str, Any], where: str) -> str:
    parts: list[str] = []
    size = 0
    try:
        for part in _compiled(text).generate(context):
            parts.append(part)
            size += len(part)
            if size > LONGEST:
                raise UserError(f"renders to over {LONGEST:,} characters", where=where, how="shorten the template")
    except UndefinedError as error:
        raise UserError(f"{error.message}", where=where, how="the row lacks that field") from None
    except UserError:
        raise
    except Exception as error:  # a stranger's template may fail in any way
        raise UserError(f"fails: {error}", where=where, how="mend the template") from None
    return "".join(parts)
