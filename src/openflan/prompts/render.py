"""Templates become prompts, in a sandbox.

Jinja over a row's fields and four reserved names: `answer`, `options` (the block), `option_list`, `row` (the raw
row, for fields that share a reserved name). Templates are data from strangers: they run sandboxed, may use no
name their spec does not declare, and their work and output are limited. What they write goes through one gate
(openflan.prompts.values); a reserved name that is a column too is refused where either could be meant.

Invariant: a prompt is a pure function of (spec, row, template); input and target are never empty.
Cost: about 20 µs a prompt. Rejected: str.format, which has no conditions, and raw Jinja, which can reach Python.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Literal

from openflan.errors import UserError
from openflan.prompts.options import RowAnswer, drawn_block, find_answer, list_order, options_block
from openflan.prompts.running import check_text, condition_text, failure_of, names_in, render_text, run_template
from openflan.prompts.sandbox import SANDBOX
from openflan.prompts.styles import bare_text, label_fields
from openflan.prompts.template_check import JUST_THE_ANSWER, check_template
from openflan.prompts.values import UnfitValueError, faulty_places
from openflan.prompts.whole import WholeTemplates, used_fields
from openflan.recipes.parts import StylePart
from openflan.tasks.catalog import Entry
from openflan.tasks.columns import may_be_null
from openflan.tasks.sources import SourceRow
from openflan.tasks.spec import RESERVED, FewShot, Template

__all__ = ["BASELINE", "Prompt", "TaskRenderer", "TemplateId"]

TemplateId = int | Literal["baseline"]
"""A template of a task by its number, or the task's baseline."""

BASELINE: Final = "baseline"
"""The text to continue, for models that were never tuned."""


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
    listed: tuple[int, ...] = ()
    """The options in the order in which the input lists them, by their places in class order; empty where it has no
    list, or one that its template writes itself."""
    turn: int = 0
    """By how many places that order is class order turned."""

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
        names = {*self.spec.names, *self.spec.constants, *RESERVED}
        for number, template in enumerate(self.spec.templates):
            check_template(self.spec, template, names, where=self.where(number))
        if self.spec.baseline is not None:
            check_template(self.spec, self.spec.baseline, names, where=self.where(BASELINE))
        for text in self.spec.answer.options or ():
            check_text(text, {*self.spec.names, "row"}, self.spec, where=f"{self._path}, answer.options")
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
        part = (
            self.spec.answer
            if own is None
            else self.spec.answer.model_copy(update={"options": own, "options_field": None})
        )

        def render(text: str) -> str | None:
            try:
                return run_template(text, {**SANDBOX.globals, **row.fields, "row": row.fields})
            except UnfitValueError as fault:
                empty = [place for place, what in _faults(row, names_in(text)) if what == str(fault) == "is null"]
                if empty and all(may_be_null(self.spec.columns, place) for place in empty):
                    return None
                raise self._value_error(fault, row, names_in(text), "answer.options") from None
            except Exception as error:  # a stranger's template may fail in any way
                raise failure_of(error, f"{row.place}, answer.options") from None

        answer = find_answer(part, row.fields, render, where=self._place(row), columns=self.spec.columns)
        if own is None:
            self._last = (row, answer)
        if key is not None:
            self._by_label[key] = answer
        return answer

    @property
    def same_options(self) -> bool:
        """Whether every row has the same options, though each template may have its own words for them."""
        own = [template.options for template in self.spec.templates if template.options is not None]
        lists = [self.spec.answer.options, *own]
        return (
            self._whole is None
            and self.spec.answer.sample is None
            and all(options is not None and not any("{" in text for text in options) for options in lists)
        )

    def _fixed(self, own: tuple[str, ...] | None) -> bool:
        """Whether the label alone determines the answer: options that no row changes, and no group."""
        answer = self.spec.answer
        options = own or answer.options
        fixed = options is not None and _plain(options)
        return fixed and answer.group is None and answer.sample is None

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

    def render(
        self, row: SourceRow, number: TemplateId, *, style: StylePart | None = None, key: int = 0, turn: int = 0
    ) -> Prompt:
        """The prompt of a row under template `number`.

        Args:
            key: 64-bit hash that draws the option list's format and order where the style says so.
            turn: by how many places the list is turned where its order is not drawn.

        Raises:
            UserError: the template fails on this row or leaves the input or the target empty.
        """
        style = style or self._style
        template = self.template(number)
        answer = self.answer(row, number)
        order = list_order(len(answer.options), drawn=style.option_order == "drawn", key=key, turn=turn)
        options = tuple([answer.options[place] for place in order])
        block = _block(options) if options and style.options == "shown" else ""
        blocked = bool(block) and self._has_block(number, style)
        marked = blocked and style.option_markers == "random"
        if marked:
            block, names = drawn_block(options, key)
            answer = self._renamed(row, answer, tuple(names[order.index(place)] for place in range(len(order))))
            options = names
        context = self._context(row, answer, block, options)
        listed = blocked or (bool(options) and "option_list" in self._written(number, style))
        try:
            if style.form != "instruction" and number != BASELINE:
                text = self._bare(row, number, block, style)
            elif self._whole is not None and number != BASELINE:
                text = self._whole.input(row, number)
            else:
                text = run_template(template.input, context).strip()
            target = (
                answer.text if template.target == JUST_THE_ANSWER else run_template(template.target, context)
            ).strip()
        except Exception as error:
            raise self._failure(error, number, row) from None
        if marked and block.strip() not in text:
            raise UserError(
                f"the answer would be {answer.text!r}, or {answer.options[answer.index]!r}, but the input has no list"
                if answer.text not in answer.options
                else f"the answer would be the marker {answer.text!r}, but the input does not list the options",
                where=f"{self.where(number)}, row {row.index + 1}",
                how="write {{options}} into it as it is, or set option_markers: dash",
            )
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
            listed=order if listed else (),
            turn=turn if listed else 0,
        )

    @contextmanager
    def _failing(self, number: TemplateId, row: SourceRow) -> Iterator[None]:
        """Turn what a stranger's template may do on a row, which is anything, into one line."""
        try:
            yield
        except Exception as error:
            raise self._failure(error, number, row) from None

    def _failure(self, error: Exception, number: TemplateId, row: SourceRow) -> UserError:
        if isinstance(error, UserError):
            return error
        if isinstance(error, UnfitValueError):
            return self._value_error(error, row, self._read(number), self._named(number))
        return failure_of(error, f"{self.where(number)}, row {row.index + 1}")

    def _read(self, number: TemplateId) -> AbstractSet[str]:
        """Names that a template reads from the row."""
        template = self.template(number)
        if template.whole is not None:
            return {*used_fields(template.whole), *used_fields(template.choices or "")}
        return names_in(template.input) | names_in(template.target)

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
        context = self._context(row, answer, _block(answer.options))
        fields = {**row.fields}
        if "." not in field:
            keys = self.spec.answer.keys
            fields[field] = keys[others[0]] if isinstance(keys, tuple) else others[0]
        changed = {**context, **fields, "row": fields, "answer": answer.options[others[0]]}
        text, where = self.template(number).input, self.where(number)
        return render_text(text, context, where) != render_text(text, changed | {"options": context["options"]}, where)

    def where(self, number: TemplateId) -> str:
        """A template's place in the words of an error."""
        return f"{self._path}, {'baseline' if number == BASELINE else f'template {number + 1}'}"

    def _context(
        self, row: SourceRow, answer: RowAnswer, block: str, options: tuple[str, ...] | None = None
    ) -> dict[str, Any]:
        return {
            **SANDBOX.globals,
            **row.fields,
            "row": row.fields,
            "answer": answer.text,
            "options": block,
            "option_list": answer.options if options is None else options,
        }

    def _written(self, number: TemplateId, style: StylePart) -> AbstractSet[str]:
        """Names that the input is written with."""
        if style.form != "instruction" and number != BASELINE:
            return frozenset({"options"})  # after the bare fields
        if self._whole is not None and number != BASELINE:
            return frozenset()
        return names_in(self.template(number).input)

    def _has_block(self, number: TemplateId, style: StylePart) -> bool:
        """Whether an input has the option list in it."""
        return self.spec.is_classification and "options" in self._written(number, style)

    def _bare(self, row: SourceRow, number: TemplateId, block: str, style: StylePart) -> str:
        """The input without an instruction, or with the names of cluster and dataset for one."""
        text = bare_text(self.spec, row.fields, names_in(self.template(number).text))
        if style.form == "dataset-name":
            kind = (self.spec.subcluster or self.spec.cluster).replace("_", " ")
            text = f"[{kind}: {self.spec.dataset or self.spec.name}] {text}"
        if not text and label_fields(self.spec).issuperset(self.spec.names):
            return block  # a question that is nothing but its options
        return f"{text}\n\n{block}" if block and text else text

    def _holds(self, row: SourceRow, number: int) -> bool:
        answer = self.answer(row, number)
        context = self._context(row, answer, _block(answer.options))
        try:
            text = run_template(condition_text(self.template(number).when), context, gated=False)
        except Exception as error:  # a stranger's template may fail in any way
            raise failure_of(error, self.where(number)) from None
        return text.strip().lower() not in ("", "false", "0", "none")

    def _renamed(self, row: SourceRow, answer: RowAnswer, names: tuple[str, ...]) -> RowAnswer:
        """The answer where the options go by other names.

        Raises:
            UserError: two options are the same text, so that two names would be right.
        """
        named = dict(zip(answer.options, names, strict=True))
        if len(named) < len(names):
            text = next(text for text in named if answer.options.count(text) > 1)
            which = [name for name, option in zip(names, answer.options, strict=True) if option == text]
            raise UserError(
                f"the option {text!r} stands there as {' and as '.join(which)}",
                where=self._place(row),
                how="drop rows with an option twice, or set option_markers: dash",
            )
        references = tuple(named[text] for text in answer.references)
        return replace(answer, text=names[answer.index], options=names, references=references)

    def _place(self, row: SourceRow) -> str:
        return row.place if row.source else f"{self.spec.name}, {row.place}"

    def _named(self, number: TemplateId) -> str:
        return "the baseline" if number == BASELINE else f"template {number + 1}"

    def _value_error(self, fault: UnfitValueError, row: SourceRow, names: AbstractSet[str], user: str) -> UserError:
        """A value that may not stand in a prompt, with its column as far as it can be told."""
        columns = [place for place, what in _faults(row, names) if what == str(fault)]
        what = f"column '{columns[0]}' {fault}" if columns else f"a value {fault}"
        remedy = "say there what is to stand for it, or drop such rows"
        if "a list" in str(fault):
            remedy = "join its parts there: {{ names | join(', ') }}"
        elif "an object" in str(fault):
            remedy = "name there the part that is meant: {{choice.text}}"
        elif "truth value" in str(fault):
            remedy = "say there in words what it means: {{ 'yes' if flag else 'no' }}"
        elif "half a character" in str(fault):
            remedy = "mend or drop the row"
        return UserError(what, where=self._place(row), how=f"{user} of {self._path.name} writes it; {remedy}")


_block = lru_cache(maxsize=1_024)(options_block)


@lru_cache(maxsize=1_024)
def _plain(options: tuple[str, ...]) -> bool:
    """Whether options are the same in every row."""
    return not any("{" in text for text in options)


def _faults(row: SourceRow, names: AbstractSet[str]) -> list[tuple[str, str]]:
    """The places that templates may read by some names and whose values may not stand in a prompt."""
    read = row.fields if "row" in names else {name: value for name, value in row.fields.items() if name in names}
    return list(faulty_places(read, ""))
