"""A template tried before any file has it: what it makes of a row, and what is wrong with it.

Faults are those of `openflan tasks check`, of the one template on some rows; which of the task's others it is too like
is told apart from them, for it may be meant so.

Invariant: nothing is raised for a faulty template, and nothing is written. Cost: 1 ms to compile a new text, 40 µs a
row. Rejected: checking the whole task at each letter, which reads every row of its files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from openflan.errors import UserError, strict_error
from openflan.prompts.lint import Fault, alike, check_template_on
from openflan.prompts.render import Prompt, TaskRenderer
from openflan.tasks.catalog import Entry
from openflan.tasks.sources import SourceRow
from openflan.tasks.spec import TaskSpec, Template

__all__ = ["TemplateTrial", "as_template", "try_template", "with_template"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TemplateTrial:
    """What a template made of a row, and what `openflan tasks check` would say of it."""

    number: int
    """Its place among the task's templates, from 0."""
    prompt: Prompt | None
    """The row under it; None where it does not fit the row or fails."""
    fits: bool
    """Whether its `when` holds for the row; False too where that can't be told."""
    rows: int
    """Rows that it was tried on."""
    prompts: int
    """Prompts that it made of them."""
    faults: tuple[Fault, ...]
    alike: tuple[int, ...]
    """Places, from 0, of the task's templates that are nearly the same."""


def try_template(
    entry: Entry,
    template: Template | Mapping[str, object],
    row: SourceRow,
    *,
    number: int | None = None,
    others: Sequence[SourceRow] = (),
) -> TemplateTrial:
    """Try a template of a task on rows.

    Args:
        number: of the template whose place it takes; without one it is a further template.
        others: more rows to look for faults on.
    """
    place = len(entry.spec.templates) if number is None else number
    rows = [row, *(other for other in others if other.index != row.index)]
    try:
        tried = replace(entry, spec=with_template(entry, template, number))
    except UserError as error:
        fault = Fault(task=entry.spec.name, what=_in_full(error), where=error.where or str(entry.path))
        return TemplateTrial(number=place, prompt=None, fits=False, rows=0, prompts=0, faults=(fault,), alike=())
    checked = check_template_on(tried, place, rows)
    prompt, fits = _render(tried, row, place)
    written = tried.spec.templates[place]
    near = [other for other, text in enumerate(tried.spec.templates) if other != place and alike(written, text)]
    return TemplateTrial(
        number=place,
        prompt=prompt,
        fits=fits,
        rows=len(rows),
        prompts=checked.prompts,
        faults=tuple(checked.faults),
        alike=tuple(near),
    )


def with_template(entry: Entry, template: Template | Mapping[str, object] | None, number: int | None) -> TaskSpec:
    """What a task says with a template in the place of one of its own, after them, or (None) without one.

    Raises:
        UserError: it is no template, or the task may not say so.
    """
    spec = entry.spec
    templates = list(spec.templates)
    if number is not None and not 0 <= number < len(templates):
        what = f"task '{spec.name}' has {len(templates)} templates"
        raise UserError(what, where=f"template {number + 1}", how=f"choose one from 1 to {len(templates)}")
    if template is None:
        assert number is not None, "a template that is taken out has a number"
        del templates[number]
    else:
        place = len(templates) if number is None else number
        templates[place : place + 1] = [as_template(template, where=f"{entry.path}, template {place + 1}")]
    try:
        return TaskSpec.model_validate(spec.model_copy(update={"templates": tuple(templates)}).model_dump())
    except ValidationError as error:
        raise strict_error(error, str(entry.path), TaskSpec) from None


def as_template(template: Template | Mapping[str, object], *, where: str) -> Template:
    """A template, or its keys as in a task file.

    Raises:
        UserError: a key is unknown or a value is not allowed.
    """
    if isinstance(template, Template):
        return template
    try:
        return Template.model_validate_json(json.dumps(dict(template)))
    except ValidationError as error:
        raise strict_error(error, where, Template) from None


def _render(entry: Entry, row: SourceRow, number: int) -> tuple[Prompt | None, bool]:
    """The row's prompt, and whether the template fits it; what fails is among the faults."""
    try:
        renderer = TaskRenderer(entry)
        fits = number in renderer.applicable(row)
        return (renderer.render(row, number) if fits else None), fits
    except UserError:
        return None, False


def _in_full(error: UserError) -> str:
    return f"{error.what}; {error.how}" if error.how else error.what
