"""Tasks: clusters, tasks, rows, and a row under every template as text and as tokens.

    /?cluster=sentiment&kind=classification          tasks by cluster, collection, licence, metric, kind, source
    /tasks/rte?split=train&start=300000              what a task is, and its rows a page at a time
    /tasks/rte/row?row=3&template=2&markers=random   one row under every template, one of them as tokens
    /hold-out?cluster=sentiment                      what leaves tuning with a cluster, and why

Invariant: a page reads the rows that it shows and no others; numbers of rows are those of `Task.show`. Cost: a task's
page takes some 20 ms; the first with tokens of another model than the starter or a tuned one waits for transformers.
"""

from __future__ import annotations  # so that what pages need is imported when they are asked for

import json
import threading
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import openflan
from openflan.studio.pages.hold_out import hold_out_routes
from openflan.studio.pages.task_list import TaskFilter
from openflan.studio.views import Studio

__all__ = ["routes"]

_A_PAGE = 50
"""Rows of a page."""
_CELL = 400
"""Characters of a cell that a table of rows shows."""
_SPLITS = ("train", "validation", "test")
_MARKERS = ("dash", "random")


def routes(studio: Studio) -> list[Route]:
    """The addresses of these pages."""
    pages = _Tasks(studio)
    return [
        Route("/", pages.all),
        Route("/tasks/{name}", pages.one),
        Route("/tasks/{name}/count", pages.count),
        Route("/tasks/{name}/row", pages.row),
        Route("/tasks/{name}/tokens", pages.tokens),
        *hold_out_routes(studio),
    ]


class _Tasks:
    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.Lock()

    def all(self, request: Request) -> Response:
        tasks = self._studio.tasks()
        chosen = TaskFilter.of(request.query_params)
        every = [tasks[name] for name in tasks]
        return self._studio.page(
            request,
            "tasks/all.html.j2",
            filter=chosen,
            choices=TaskFilter.choices(every),
            tasks=chosen.of_tasks(every),
            every=len(every),
            clusters=self._clusters(tasks, every),
            official=sum(task.official_rows or 0 for task in chosen.of_tasks(every)),
        )

    def one(self, request: Request) -> Response:
        task, split, query = *self._task(request), request.query_params
        start = _whole(query.get("start", "0"), "start")
        page, fault = None, None
        try:
            page = self._studio.rows(task, split).page(start, _A_PAGE)
        except openflan.UserError as error:  # what the task is can be shown without its rows
            fault = error
        part = request.headers.get("HX-Target") == "rows"
        return self._studio.page(
            request,
            "tasks/_rows.html.j2" if part else "tasks/one.html.j2",
            task=task,
            split=split,
            splits=[name for name in _SPLITS if name in task.spec.splits],
            page=page,
            fault=fault,
            size=_A_PAGE,
            columns=self._columns(task, page),
            cell=lambda row, name: _cell(task, row, name),
            twin=page is not None and self._studio.rows(task, split).twin,
            official=openflan.official_rows(task.spec, split),  # type: ignore[arg-type]
            official_of={name: openflan.official_rows(task.spec, name) for name in task.spec.splits},
        )

    def count(self, request: Request) -> Response:
        """How many rows there are, for a page that was shown before they were counted."""
        task, split = self._task(request)
        total = self._studio.rows(task, split).count()
        return self._studio.page(request, "tasks/_count.html.j2", task=task, split=split, total=total, size=_A_PAGE)

    def row(self, request: Request) -> Response:
        task, split, query = *self._task(request), request.query_params
        number = _whole(query.get("row", "0"), "row")
        rows = self._studio.rows(task, split)
        style, key = self._style(request)
        shown = task.show_row(rows.row(number), style=style, key=key)
        fitting = {prompt.number: prompt for prompt in shown.prompts}
        chosen = _whole(query.get("template", "0"), "template")
        if chosen not in fitting:
            chosen = next(iter(fitting), 0)
        return self._studio.page(
            request,
            "tasks/row.html.j2",
            task=task,
            split=split,
            number=number,
            twin=rows.twin,
            shown=shown,
            prompts=fitting,
            chosen=chosen,
            style=style,
            key=key,
            fields=[(name, _shown(value), _class_of(task, name, value)) for name, value in shown.row.fields.items()],
            listed=_listed,
            marked=_marked,
            models=self._models(),
            model=self._model(request),
            reading=self._reading(request, fitting.get(chosen)) if "tokens" in query else None,
            address=lambda **more: _address(task, split, number, style, key, self._model(request), **more),
            more=bool(rows.page(number + 1, 1).rows),
        )

    def tokens(self, request: Request) -> Response:
        """A row's prompt under one template as tokens, a part of the row's page."""
        task, split = self._task(request)
        query = request.query_params
        number, template = (_whole(query.get(name, "0"), name) for name in ("row", "template"))
        style, key = self._style(request)
        shown = task.show_row(self._studio.rows(task, split).row(number), style=style, key=key)
        prompt = next((prompt for prompt in shown.prompts if prompt.number == template), None)
        if prompt is None:
            how = "choose another template"
            raise openflan.UserError(f"template {template + 1} does not fit the row", where=task.name, how=how)
        reading = self._reading(request, prompt)
        return self._studio.page(request, "tasks/_tokens.html.j2", reading=reading, model=self._model(request))

    def _reading(self, request: Request, prompt: openflan.Prompt | None) -> openflan.ReadPrompt | None:
        if prompt is None:
            return None
        name = self._model(request)
        with self._lock:  # a tokenizer is loaded once, whoever asks
            place = self._models()[name]
            reader = self._studio.kept(("reader", place), lambda: openflan.PromptReader(place))
        return reader.read(prompt)

    def _models(self) -> dict[str, str]:
        """Whose tokenizer may be chosen, by name: that of --model, the starter's, and those of tuned runs."""
        folder = self._studio.folders.runs
        runs = openflan.list_runs(folder, links=False) if folder.is_dir() else []
        tuned = {run.name: str(run.folder) for run in runs if openflan.RunPlaces(run.folder).tuned}
        named = str(self._studio.folders.model or "starter")
        return {named: named, "starter": "starter", **tuned}

    def _model(self, request: Request) -> str:
        name, models = request.query_params.get("model"), self._models()
        if name and name not in models:
            raise openflan.UserError(f"no tokenizer '{name}'", where="model", how="start the studio with --model")
        return name or next(iter(models))

    def _style(self, request: Request) -> tuple[openflan.StylePart, int]:
        markers = request.query_params.get("markers", "dash")
        if markers not in _MARKERS:
            raise openflan.UserError(f"no markers '{markers}'", where="markers", how="dash or random")
        key = _whole(request.query_params.get("draw", "0"), "draw")
        return openflan.StylePart(option_markers="random" if markers == "random" else "dash"), key

    def _task(self, request: Request) -> tuple[openflan.Task, str]:
        task = self._studio.tasks()[request.path_params["name"]]
        there = [name for name in _SPLITS if name in task.spec.splits]
        split = request.query_params.get("split") or there[0]
        if split not in there:
            raise openflan.UserError(f"no split '{split}'", where=task.name, how=f"choose {' or '.join(there)}")
        return task, split

    @staticmethod
    def _columns(task: openflan.Task, page: openflan.RowsPage | None) -> list[str]:
        """The fields that a table of rows shows: those that templates may name, then what else the rows have."""
        there = dict.fromkeys(name for row in (page.rows if page else ()) for name in row.fields)
        named = [name for name in task.spec.names if name in there]
        return [*named, *(name for name in there if name not in named and name not in task.spec.constants)]

    @staticmethod
    def _clusters(tasks: openflan.Tasks, every: list[openflan.Task]) -> list[dict[str, Any]]:
        """The clusters with how many tasks each has; below `misc`, those that it is made of."""

        def line(name: str, what: str, *, below: bool = False) -> dict[str, Any]:
            inside = [task for task in every if name in (task.cluster, task.spec.code_cluster)]
            return {"name": name, "what": what, "tasks": len(inside), "below": below}

        lines = []
        for name, what in tasks.clusters.items():
            lines.append(line(name, what))
            if name == "misc":
                lines += [line(below, meaning, below=True) for below, meaning in tasks.subclusters.items()]
        return [one for one in lines if one["tasks"]]


def _address(
    task: openflan.Task, split: str, number: int, style: openflan.StylePart, key: int, model: str, **more: object
) -> str:
    """The query of a row's page, changed in some points."""
    query: dict[str, object] = {"split": split, "row": number}
    if style.option_markers != "dash":
        query |= {"markers": style.option_markers, "draw": key}
    query["model"] = model
    return urlencode({**query, **more})


def _listed(prompt: openflan.Prompt) -> list[tuple[str, bool]]:
    """A prompt's options in the order of its list, and whether each is right."""
    answer = prompt.answer
    order = prompt.listed or range(len(answer.options))
    return [(answer.options[place], place in answer.places or place == answer.index) for place in order]


def _marked(prompt: openflan.Prompt) -> list[tuple[str, bool]]:
    """A prompt's input in pieces, and whether each came from the row: its longest texts, where they stand whole."""
    texts = {value.strip() for value in prompt.fields.values() if isinstance(value, str)}
    spans: list[tuple[int, int]] = []
    for text in sorted((text for text in texts if len(text) > 2), key=len, reverse=True):
        start = prompt.input.find(text)
        if start >= 0 and all(start >= stop or start + len(text) <= begin for begin, stop in spans):
            spans.append((start, start + len(text)))
    pieces, at = [], 0
    for start, stop in sorted(spans):
        pieces += [(prompt.input[at:start], False), (prompt.input[start:stop], True)]
        at = stop
    pieces.append((prompt.input[at:], False))
    return [(text, own) for text, own in pieces if text]


def _cell(task: openflan.Task, row: openflan.SourceRow, name: str) -> dict[str, Any]:
    """What a table of rows shows of a field."""
    value = row.fields.get(name)
    text = "" if value is None else _shown(value)
    cut = len(text) > _CELL
    return {
        "text": f"{text[:_CELL]}…" if cut else text,
        "none": value is None,
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "class": _class_of(task, name, value),
    }


def _class_of(task: openflan.Task, name: str, value: object) -> str | None:
    """The name of a class that a number stands for."""
    column = task.spec.columns.get(name)
    classes = column.get("classes") if isinstance(column, dict) else None
    if isinstance(classes, list) and isinstance(value, int) and 0 <= value < len(classes):
        return str(classes[value])
    return None


def _shown(value: object) -> str:
    """A field's value as a page has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _whole(text: str, where: str) -> int:
    """A whole number from 0.

    Raises:
        UserError: it is none.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise openflan.UserError(f"'{text[:40]}' is no whole number", where=where, how="write one such as 0")
    return int(text)
