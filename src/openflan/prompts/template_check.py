"""What a template may read, seen before any row is rendered: only declared names, and none that means two things.

Invariant: what passes here reads nothing that no row of the task has. Cost: 0.1 ms a template, once a process.
"""

from collections.abc import Set as AbstractSet

from openflan.errors import UserError
from openflan.prompts.running import check_text, condition_text, names_in, reaches, stands_alone
from openflan.prompts.whole import unfit_whole
from openflan.tasks.spec import RESERVED, TaskSpec, Template

__all__ = ["JUST_THE_ANSWER", "check_template"]

JUST_THE_ANSWER = "{{answer}}"
"""The target of most templates."""


def check_template(spec: TaskSpec, template: Template, names: AbstractSet[str], *, where: str) -> None:
    """Refuse a template that reads what no row of its task has, or a name that may be a column or our own.

    Args:
        names: what it may read.
        where: its place in the words of an error.

    Raises:
        UserError: it does.
    """
    if template.whole is not None:
        for text in (template.whole, template.choices or ""):
            if why := unfit_whole(text):
                raise UserError(f"a template may not do that: {why}", where=where, how="write it without")
        return
    for text in (template.input, template.target, condition_text(template.when), *(template.options or ())):
        check_text(text, names, spec, where=where)
    if template.options is not None and not spec.is_classification:
        raise UserError("has options, but the task has none", where=where, how="add answer.options")
    if (fault := _unlike_the_tasks(spec.answer.options, template.options)) is not None:
        raise UserError(fault, where=where, how="write one for each of the task's, in their order")
    for text in (template.input, template.target):
        if name := _two_meanings(spec, template, text):
            own = "the row itself" if name == "row" else f"what openflan calls '{name}'"
            raise UserError(
                f"'{name}' may be the column of that name, or {own}",
                where=where,
                how=f"write row.{name} for the column, or leave it out of 'fields' where no template needs it",
            )


def _unlike_the_tasks(options: tuple[str, ...] | None, own: tuple[str, ...] | None) -> str | None:
    """Why a template's own options can't stand for the task's; None where they can."""
    if own is None or options is None:
        return None
    if len(own) != len(options):
        return f"has {len(own)} options, the task has {len(options)}"
    twice = next((option for option in own if own.count(option) > 1), None)
    return None if twice is None else f"has the option {twice!r} twice"


def _two_meanings(spec: TaskSpec, template: Template, text: str) -> str | None:
    """A reserved name in a template's text that is a column of another meaning too; None where there is none.

    A template that reaches the column through the row shows that it knows the difference.
    """
    about = spec.answer
    same = {"answer": about.field, "options": about.options_field, "option_list": about.options_field}
    for name in sorted(names_in(text).intersection(RESERVED, spec.names)):
        if name == "row":
            if stands_alone(text, name):
                return name
        elif name == "answer" and text == JUST_THE_ANSWER and not template.inverted:
            continue  # a target is the answer, unless the template is turned around
        elif name != (same[name] or "").partition(".")[0] and not reaches(template.input + template.target, name):
            return name
    return None
