"""Writing a template: edited beside a row, rendered while it is typed, and saved into the user's folder.

    /template?task=rte&template=3&row=0      the third template (`new`: a further one) beside the first row
    POST /template/try                       the row under what is typed, and what `tasks check` would say
    POST /template/change                    what changes in the file
    POST /template/save, /template/remove    the file written

Invariant: a shipped task is never written to; what was typed survives every answer. Cost: 5 ms a keystroke.
"""

from __future__ import annotations  # so that what pages need is imported when they are asked for

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

import openflan
from openflan.studio.pages.new_task import new_task_routes
from openflan.studio.views import Studio

__all__ = ["routes"]

_OTHERS = 24
"""Rows on which faults are looked for besides the one that is shown."""
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Which template of which task, beside which row."""

    task: openflan.Task
    number: int | None
    """From 0; None for a further one."""
    row: int
    """From 0."""
    split: str

    @property
    def query(self) -> str:
        """As an address has it."""
        template = "new" if self.number is None else self.number + 1
        return urlencode({"task": self.task.name, "template": template, "row": self.row, "split": self.split})

    @property
    def written(self) -> openflan.Template | None:
        """The template as the file has it."""
        return None if self.number is None else self.task.spec.templates[self.number]


def routes(studio: Studio) -> list[Route]:
    """The pages of a template, and those of a new task."""
    pages = _Pages(studio)
    return [
        Route("/template", pages.edit),
        Route("/template/try", pages.trial, methods=["POST"]),
        Route("/template/change", pages.change, methods=["POST"]),
        Route("/template/save", pages.save, methods=["POST"]),
        Route("/template/remove", pages.remove, methods=["POST"]),
        *new_task_routes(studio),
    ]


class _Pages:
    """The editor and its answers."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def edit(self, request: Request) -> Response:
        """The editor with a template as the file has it."""
        given = request.query_params
        place = self._place(given)
        written = place.written
        text = written if written is not None else openflan.Template(input=_beginning(place.task))
        content = text.model_dump()
        return self._page(request, place, _typed_of(content), saved=given.get("saved"))

    async def trial(self, request: Request) -> Response:
        """The row under what is typed."""
        form = await request.form()
        return await run_in_threadpool(self._answer, request, form, "template/_beside.html.j2")

    async def change(self, request: Request) -> Response:
        """What changes in the file."""
        form = await request.form()
        return await run_in_threadpool(self._answer, request, form, "template/_change.html.j2", change=True)

    async def save(self, request: Request) -> Response:
        """Write what is typed."""
        form = await request.form()
        return await run_in_threadpool(self._save, form, remove=False)

    async def remove(self, request: Request) -> Response:
        """Take the template out of the task."""
        form = await request.form()
        return await run_in_threadpool(self._save, form, remove=True)

    def _place(self, given: QueryParams | FormData) -> _Place:
        """What an address or a form names.

        Raises:
            UserError: there is no such task or template, or a number is none.
        """
        tasks = self._studio.tasks()
        task = tasks[str(given.get("task") or next(iter(tasks)))]
        template = str(given.get("template") or "1")
        number = None if template == "new" else _whole(template, "template") - 1
        if number is not None and not 0 <= number < len(task.spec.templates):
            how = f"it has {len(task.spec.templates)}; `new` is a further one"
            raise openflan.UserError(f"task '{task.name}' has no template {template}", where="template", how=how)
        split = str(given.get("split") or "train")
        if split not in task.spec.splits:
            split = next((one for one in _SPLITS if one in task.spec.splits), "train")
        row = max(0, _whole(str(given.get("row") or "0"), "row") + _whole(str(given.get("step") or "0"), "step"))
        return _Place(task=task, number=number, row=row, split=split)

    def _answer(self, request: Request, form: FormData, part: str, *, change: bool = False) -> Response:
        """A part of the page where htmx asks for it, else the whole."""
        place, typed = self._place(form), _typed_of(form)
        more: dict[str, Any] = {}
        if change:
            try:
                more["edit"] = self._edited(place, form, typed)
            except openflan.UserError as error:
                more["refused"] = error
        if request.headers.get("HX-Request") == "true":
            return self._page(request, place, typed, part=part, **more)
        return self._page(request, place, typed, **more)

    def _page(
        self, request: Request, place: _Place, typed: Mapping[str, str], *, part: str | None = None, **more: Any
    ) -> Response:
        task = place.task
        folder = self._studio.folders.writable
        inside = folder is not None and task.path.resolve().is_relative_to(folder.resolve())
        context = {
            "place": place,
            "task": task,
            "typed": typed,
            "whole": task.spec.answer.by_template is not None,
            "writable": folder,
            "inside": inside,
            "copy": f"my_{task.name}",
            "first_lines": [_first_line(one) for one in task.spec.templates],
            "names": self._names(task),
            "edit": None,
            "refused": None,
            "saved": None,
            **({} if part == "template/_change.html.j2" else self._tried(place, typed)),
            **more,
        }
        return self._studio.page(request, part or "template/edit.html.j2", **context)

    def _tried(self, place: _Place, typed: Mapping[str, str]) -> dict[str, Any]:
        """The row and what the template makes of it."""
        try:
            row, others = self._rows(place)
        except openflan.UserError as error:
            return {"row": None, "no_row": error, "trial": None, "fields": ()}
        trial = place.task.try_template(_template_of(typed, place.written), row, number=place.number, others=others)
        return {"row": row, "no_row": None, "trial": trial, "fields": [(n, _shown(v)) for n, v in row.fields.items()]}

    def _rows(self, place: _Place) -> tuple[openflan.SourceRow, list[openflan.SourceRow]]:
        """The row that is shown, and others to look for faults on.

        Raises:
            UserError: there are no rows at hand, or fewer.
        """
        rows = self._studio.rows(place.task, place.split)
        first = self._studio.kept(("first", rows), lambda: rows.page(0, _OTHERS).rows)
        return first[place.row] if place.row < len(first) else rows.row(place.row), list(first)

    def _edited(self, place: _Place, form: FormData, typed: Mapping[str, str]) -> openflan.TaskEdit:
        """The change that is typed.

        Raises:
            UserError: it can't be made.
        """
        folder = self._studio.folders.to_write()
        name = str(form.get("name") or "").strip() or None
        inside = place.task.path.resolve().is_relative_to(folder.resolve())
        template = _template_of(typed, place.written)
        return openflan.edit_template(
            place.task, template, folder=folder, number=place.number, name=None if inside else name
        )

    def _save(self, form: FormData, *, remove: bool) -> Response:
        place, typed = self._place(form), _typed_of(form)
        if remove:
            folder = self._studio.folders.to_write()
            edit = openflan.edit_template(place.task, None, folder=folder, number=place.number)
        else:
            edit = self._edited(place, form, typed)
        task = edit.write()
        self._studio.changed()
        last = len(task.spec.templates)
        number = last if place.number is None else min(place.number + 1, last)
        query = urlencode({"task": task.name, "template": number, "row": place.row, "split": place.split, "saved": 1})
        return RedirectResponse(f"/template?{query}", status_code=303)

    @staticmethod
    def _names(task: openflan.Task) -> list[str]:
        """What a template may name."""
        choices = ["options", "option_list"] if task.spec.is_classification else []
        return [*task.spec.names, *task.spec.constants, "answer", *choices]


_KEYS = ("input", "target", "when", "options", "inverted", "whole", "choices")


def _beginning(task: openflan.Task) -> str:
    """Of a further template: the fields that the first one reads, for words to be written around them."""
    named = list(dict.fromkeys(re.findall(r"\{\{\s*(\w+)\s*\}\}", task.spec.templates[0].text)))
    return "\n\n".join(f"{{{{{name}}}}}" for name in named) or "…"


def _typed_of(given: Mapping[str, Any] | FormData) -> dict[str, str]:
    """What stands in the fields: texts as they are typed, options a line each."""
    typed: dict[str, str] = {}
    for key in _KEYS:
        value = given.get(key)
        if key == "options" and isinstance(value, tuple | list):
            value = "\n".join(value)
        elif key == "inverted":
            value = "1" if value else ""
        typed[key] = str(value or "").replace("\r\n", "\n")
    return typed


def _template_of(typed: Mapping[str, str], written: openflan.Template | None) -> dict[str, object]:
    """A template's keys as a task file has them; what the fields do not show stays as it is written."""
    content: dict[str, object] = {} if written is None else written.model_dump(mode="json", exclude_defaults=True)
    for key in _KEYS:
        content.pop(key, None)
    for key in ("input", "target", "when", "whole", "choices"):
        if typed[key].strip():
            content[key] = typed[key].strip()
    if typed["options"].strip():
        content["options"] = [line.strip() for line in typed["options"].splitlines() if line.strip()]
    if typed["inverted"]:
        content["inverted"] = True
    return content


def _first_line(template: openflan.Template) -> str:
    """What a list of templates shows of one."""
    lines = [line.strip() for line in template.text.splitlines() if line.strip()]
    text = next((line for line in lines if not (line.startswith("{{") and line.endswith("}}"))), lines[0])
    return text if len(text) <= 60 else f"{text[:59]}…"


def _shown(value: object) -> str:
    """A field's value as a page has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _whole(text: str, where: str) -> int:
    """A whole number.

    Raises:
        UserError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise openflan.UserError(f"'{text}' is no whole number", where=where, how="write one such as 1") from None
