"""Templates become prompts, in a sandbox.

Jinja over a row's fields and four reserved names: `answer`, `options` (the block), `option_list`, `row` (the raw
row, for fields that share a reserved name). Templates are data from strangers: they run sandboxed, may use no
name their spec does not declare, and their work and output are limited.

Invariant: a prompt is a pure function of (spec, row, template); input and target are never empty.
Cost: about 20 µs a prompt. Rejected: str.format, number has no conditions, and raw Jinja, number can reach Python.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Literal

from jinja2 import Template as Compiled
from jinja2 import TemplateSyntaxError, UndefinedError, meta, nodes

from openflan.errors import UserError, did_you_mean
from openflan.prompts.options import RowAnswer, drawn_block, find_answer, options_block
from openflan.prompts.sandbox import LONGEST, SANDBOX, metered, unfit
from openflan.prompts.styles import bare_text, label_fields
from openflan.prompts.whole import WholeTemplates, unfit_whole
from openflan.recipes.parts import StylePart
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow
from openflan.tasks.spec import FewShot, Template

__all__ = ["BASELINE", "Prompt", "TaskRenderer", "TemplateId"]

TemplateId = int | Literal["baseline"]
"""A template of a task by its number, or the task's baseline."""

BASELINE: Final = "baseline"
"""The text to continue, for models that were never tuned."""

_RESERVED = ("answer", "options", "option_list", "row")
_JUST_THE_ANSWER = "{{answer}}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A rendered template: what the model reads, what it should say, and what it may choose from."""

    input: str
    target: str
    answer: RowAnswer
    task: str
    row: int
    template: TemplateId
    fields: Mapping[str, Any]
    """The row."""

    @property
    def number(self) -> int:
        """Of its template, where it is not under the baseline."""
        assert self.template != BASELINE
        return self.template


_PLAIN = StylePart()


class TaskRenderer:
    """Renders one task's rows under its templates.

    Args:
        style: how prompts are made where `render` is given no other.
        templates: how many templates are applicable to a row, the first that fit it; by default all that do.

    Raises:
        UserError: a template is no Jinja or uses a name that is no field of the task.
    """

    def __init__(self, entry: Entry, *, style: StylePart = _PLAIN, templates: int | None = None) -> None:
        self.spec = entry.spec
        self._path = entry.path
        self._style = style
        self._limit = templates
        known = {*self.spec.names, *self.spec.constants, *_RESERVED}
        for number, template in enumerate(self.spec.templates):
            self._check_template(number, template, known)
        if self.spec.baseline is not None:
            self._check_template(BASELINE, self.spec.baseline, known)
        for text in self.spec.answer.options or ():
            self._check(text, {*self.spec.names, "row"}, f"{self._path}, answer.options")
        self._last: tuple[SourceRow, RowAnswer] | None = None
        self._by_label: dict[tuple[TemplateId | None, type, Any], RowAnswer] = {}
        self._whole = WholeTemplates(self.spec) if self.spec.answer.by_template is not None else None

    def template(self, number: TemplateId) -> Template:
        """A template of the task, or its baseline.

        Raises:
            UserError: the task has no baseline.
        """
        if number != BASELINE:
            assert number >= 0, "templates are numbered from 0"
            return self.spec.templates[number]
        if self.spec.baseline is None:
            raise UserError(f"task '{self.spec.name}' has no baseline", where=str(self._path), how="add 'baseline:'")
        return self.spec.baseline

    def answer(self, row: SourceRow, number: TemplateId | None = None) -> RowAnswer:
        """The row's answer and options, in the words of template `number` where it has its own."""
        if self._whole is not None:
            first = number if number is not None else next(iter(self._fitting(row)), 0)
            assert first != BASELINE, "no baseline stands beside whole templates"
            with self._failing(first, row):
                return self._whole.answer(row, first)
        own = None if number is None else self.template(number).options
        if own is None and self._last is not None and self._last[0] is row:
            return self._last[1]
        label = row.fields.get(self.spec.answer.field) if self._fixed(own) else None
        key = (None if own is None else number, type(label), label) if isinstance(label, int | str) else None
        if key is not None and key in self._by_label:
            return self._by_label[key]
        where = f"{self.spec.name}, row {row.index + 1}"
        part = (
            self.spec.answer
            if own is None
            else self.spec.answer.model_copy(update={"options": own, "options_field": None})
        )

        def render(text: str) -> str:
            return _render(text, {**row.fields, "row": row.fields}, f"{where}, answer.options")

        answer = find_answer(part, row.fields, render, where=where)
        if own is None:
            self._last = (row, answer)
        if key is not None:
            self._by_label[key] = answer
        return answer

    def _fixed(self, own: tuple[str, ...] | None) -> bool:
        """Whether the label alone determines the answer: options that no row changes, and no group."""
        answer = self.spec.answer
        options = own or answer.options
        return options is not None and not any("{" in text for text in options) and answer.group is None

    def applicable(self, row: SourceRow) -> list[int]:
        """Numbers of the templates whose `when` holds for the row, as far as the limit."""
        return self._fitting(row)[: self._limit]

    def _fitting(self, row: SourceRow) -> list[int]:
        if self._whole is not None:
            return [number for number in range(len(self.spec.templates)) if self._whole_fits(row, number)]
        return [
            number
            for number, template in enumerate(self.spec.templates)
            if template.when is None or self._holds(row, number)
        ]

    def inverted(self, numbers: Sequence[int]) -> list[int]:
        """Those of some templates that turn the task around."""
        return [number for number in numbers if self.spec.templates[number].inverted]

    def asking(self, row: SourceRow, style: StylePart | None = None) -> list[int]:
        """Templates that ask for a row's answer: those that are not inverted, or one where a style uses none."""
        fitting = self._fitting(row)
        asking = [number for number in fitting if not self.spec.templates[number].inverted]
        return asking if (style or self._style).form == "instruction" else asking[:1]

    def few_shot(self, number: TemplateId) -> FewShot:
        """How solved examples stand before a question under a template."""
        return self.template(number).few_shot or self.spec.few_shot

    def render(self, row: SourceRow, number: TemplateId, *, style: StylePart | None = None, key: int = 0) -> Prompt:
        """The prompt of a row under template `number`.

        Args:
            key: 64-bit hash that draws the option list's format where the style says so.

        Raises:
            UserError: the template fails on this row or leaves the input or the target empty.
        """
        style = style or self._style
        template = self.template(number)
        answer = self.answer(row, number)
        block = options_block(answer.options) if answer.options and style.options == "shown" else ""
        if style.option_markers == "random" and self._lists_options(number, style):
            block, names = drawn_block(answer.options, key)
            answer = _renamed(answer, names)
        context = self._context(row, answer, block)
        with self._failing(number, row):
            if style.form != "instruction" and number != BASELINE:
                text = self._bare(row, number, block, style)
            elif self._whole is not None and number != BASELINE:
                text = self._whole.input(row, number)
            else:
                text = _run(template.input, context).strip()
            target = (answer.text if template.target == _JUST_THE_ANSWER else _run(template.target, context)).strip()
        if not text or not target:
            name, where = "target" if text else "input", f"{self.where(number)}, row {row.index + 1}"
            raise UserError(f"the {name} is empty", where=where, how="mend the template or drop such rows")
        return Prompt(
            input=text,
            target=target,
            answer=answer,
            task=self.spec.name,
            row=row.index,
            template=number,
            fields=row.fields,
        )

    @contextmanager
    def _failing(self, number: TemplateId, row: SourceRow) -> Iterator[None]:
        """Turn what a stranger's template may do on a row, which is anything, into one line."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            raise _failure(error, f"{self.where(number)}, row {row.index + 1}") from None

    def _whole_fits(self, row: SourceRow, number: int) -> bool:
        assert self._whole is not None
        with self._failing(number, row):
            return self._whole.fits(row, number)

    def shows_answer(self, row: SourceRow, number: TemplateId) -> bool:
        """Whether a classification prompt would read differently if another option were right."""
        answer = self.answer(row, number)
        field = self.spec.answer.field
        others = [position for position in range(len(answer.options)) if position != answer.index]
        if (
            not others
            or self._whole is not None
            or field.partition(".")[0] == (self.spec.answer.options_field or "").partition(".")[0]
        ):
            return False
        context = self._context(row, answer, options_block(answer.options))
        fields = {**row.fields}
        if "." not in field:
            keys = self.spec.answer.keys
            fields[field] = keys[others[0]] if keys is not None else others[0]
        changed = {**context, **fields, "row": fields, "answer": answer.options[others[0]]}
        text, where = self.template(number).input, self.where(number)
        return _render(text, context, where) != _render(text, changed | {"options": context["options"]}, where)

    def where(self, number: TemplateId) -> str:
        """A template's place in the words of an error."""
        return f"{self._path}, {'baseline' if number == BASELINE else f'template {number + 1}'}"

    def _context(self, row: SourceRow, answer: RowAnswer, block: str) -> dict[str, Any]:
        return {
            **SANDBOX.globals,
            **row.fields,
            "row": row.fields,
            "answer": answer.text,
            "options": block,
            "option_list": answer.options,
        }

    def _lists_options(self, number: TemplateId, style: StylePart) -> bool:
        """Whether a template has the option list in it."""
        shown = style.form != "instruction" or "options" in _names(self.template(number).input)
        return shown and self.spec.is_classification

    def _bare(self, row: SourceRow, number: TemplateId, block: str, style: StylePart) -> str:
        """The input without an instruction, or with the names of cluster and dataset for one."""
        text = bare_text(self.spec, row.fields, _names(self.template(number).text))
        if style.form == "dataset-name":
            kind = (self.spec.subcluster or self.spec.cluster).replace("_", " ")
            text = f"[{kind}: {self.spec.dataset or self.spec.name}] {text}"
        if not text and label_fields(self.spec).issuperset(self.spec.names):
            return block  # a question that is nothing but its options
        return f"{text}\n\n{block}" if block and text else text

    def _holds(self, row: SourceRow, number: int) -> bool:
        answer = self.answer(row, number)
        context = self._context(row, answer, options_block(answer.options))
        text = _render(_condition(self.template(number).when), context, self.where(number))
        return text.strip().lower() not in ("", "false", "0", "none")

    def _check_template(self, number: TemplateId, template: Template, known: set[str]) -> None:
        if template.whole is not None:
            for text in (template.whole, template.choices or ""):
                if why := unfit_whole(text):
                    raise UserError(
                        f"a template may not do that: {why}", where=self.where(number), how="write it without"
                    )
            return
        for text in (template.input, template.target, _condition(template.when), *(template.options or ())):
            self._check(text, known, self.where(number))
        if template.options is not None and not self.spec.is_classification:
            raise UserError("has options, but the task has none", where=self.where(number), how="add answer.options")

    def _check(self, text: str, known: set[str], where: str) -> None:
        try:
            tree = SANDBOX.parse(text)
            used = meta.find_undeclared_variables(tree) - set(SANDBOX.globals)
        except TemplateSyntaxError as error:
            raise UserError(f"not valid Jinja: {error.message}", where=where, how="mend the template") from None
        if why := unfit(tree):
            raise UserError(f"a template may not do that: {why}", where=where, how="write it without")
        if unknown := sorted(used - known):
            hint = did_you_mean(unknown[0], known) or f"declared are {', '.join(self.spec.names)}"
            raise UserError(f"'{unknown[0]}' is no field of task '{self.spec.name}'", where=where, how=hint)


def _condition(when: str | None) -> str:
    """A `when` as template text; a bare expression may stand without braces."""
    return "" if when is None else when if "{" in when else "{{" + when + "}}"


def _renamed(answer: RowAnswer, names: tuple[str, ...]) -> RowAnswer:
    """The answer where the options go by other names."""
    right = dict(zip(answer.options, names, strict=True))
    known = tuple(right[text] for text in answer.references)
    return replace(answer, text=names[answer.index], options=names, references=known)


@cache
def _names(text: str) -> frozenset[str]:
    """Names that a template reads."""
    return frozenset(meta.find_undeclared_variables(SANDBOX.parse(text)))


@cache
def _compiled(text: str) -> tuple[Compiled, bool]:
    """A template and whether it loops."""
    return SANDBOX.from_string(text), next(SANDBOX.parse(text).find_all(nodes.For), None) is not None


def _run(text: str, context: Mapping[str, Any]) -> str:
    """The text that a template makes of a context that holds the sandbox's globals too."""
    template, loops = _compiled(text)
    parts = template.root_render_func(template.new_context(context, shared=True))  # type: ignore[arg-type]
    if not loops:
        whole = "".join(parts)
        size = len(whole)
    else:
        pieces: list[str] = []
        size = 0
        with metered():
            for part in parts:
                pieces.append(part)
                size += len(part)
                if size > LONGEST:
                    break
        whole = "".join(pieces)
    if size > LONGEST:
        raise OverflowError
    return whole


def _render(text: str, context: Mapping[str, Any], where: str) -> str:
    try:
        return _run(text, {**SANDBOX.globals, **context})
    except Exception as error:  # a stranger's template may fail in any way
        raise _failure(error, where) from None


def _failure(error: Exception, where: str) -> UserError:
    if isinstance(error, OverflowError):
        return UserError(f"renders to over {LONGEST:,} characters", where=where, how="shorten the template")
    if isinstance(error, UndefinedError):
        return UserError(f"{error.message}", where=where, how="the row lacks that field")
    return UserError(f"fails: {error}", where=where, how="mend the template")
