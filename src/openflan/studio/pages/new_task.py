"""A new task from a table: uploaded, recognised, asked about where it is unsure, and written into the user's folder.

The logic is that of `openflan tasks new`; its questions are the form's fields. An uploaded table waits in a hidden
folder of the user's, and moves beside the task file when that is written.

Invariant: nothing but the table waits before the task is written. Cost: one reading of the table an answer.
"""

from __future__ import annotations  # so that what pages need is imported when they are asked for

import hashlib
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

import openflan
from openflan.studio.views import Studio

__all__ = ["new_task_routes"]

_WAITING = ".openflan-uploads"
"""Where tables wait; tasks are not looked for in hidden folders."""
_DAY = 86_400
_UPLOAD = re.compile(r"[0-9a-f]{16}\Z")
_SAID = "said-"
"""Before the name of a question's field."""


@dataclass(kw_only=True)
class _Answers:
    """Answers from a form, and the questions that were asked."""

    texts: Mapping[str, str]
    questions: list[tuple[str, openflan.TableGuess, str]] = field(default_factory=list)
    """Field, question, and what is wrong with the answer."""

    def __call__(self, guess: openflan.TableGuess) -> str | None:
        """Answer a question; one that comes again is answered by its guess."""
        fault, _, question = guess.question.rpartition("\n")
        name = _SAID + hashlib.sha256(f"{guess.about} {question}".encode()).hexdigest()[:12]
        if fault:
            first = next(n for n, one in enumerate(self.questions) if one[0] == name)
            self.questions[first] = (name, self.questions[first][1], fault)
            return None
        self.questions.append((name, guess, ""))
        return self.texts.get(name)


def new_task_routes(studio: Studio) -> list[Route]:
    """The pages of a new task."""
    pages = _Pages(studio)
    return [
        Route("/new", pages.show, methods=["GET"]),
        Route("/new", pages.upload, methods=["POST"]),
        Route("/new/draft", pages.draft, methods=["POST"]),
        Route("/new/save", pages.save, methods=["POST"]),
    ]


class _Pages:
    """Upload, questions, writing."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def show(self, request: Request) -> Response:
        """The form for a table, or what is guessed of one that waits."""
        given = request.query_params
        return self._page(request, given) if given.get("upload") else self._studio.page(
            request, "template/new.html.j2", writable=self._studio.folders.writable, draft=None, upload=None
        )  # fmt: skip

    async def upload(self, request: Request) -> Response:
        """Keep a table until it is a task."""
        form = await request.form()
        table = form.get("table")
        if not isinstance(table, UploadFile) or not table.filename:
            raise openflan.UserError("no table was chosen", how="choose a file first")
        upload = await run_in_threadpool(self._keep, table)
        return RedirectResponse(f"/new?upload={upload}", status_code=303)

    async def draft(self, request: Request) -> Response:
        """The task as answered so far."""
        form = await request.form()
        return await run_in_threadpool(self._page, request, form)

    async def save(self, request: Request) -> Response:
        """Write the task."""
        form = await request.form()
        name = await run_in_threadpool(self._write, form)
        return RedirectResponse(f"/template?task={name}&saved=1", status_code=303)

    def _keep(self, table: UploadFile) -> str:
        """Store an uploaded table; tables that nobody came back for within a day are removed."""
        waiting = self._studio.folders.to_write() / _WAITING
        if waiting.is_dir():
            for old in waiting.iterdir():
                if time.time() - old.stat().st_mtime > _DAY:
                    shutil.rmtree(old, ignore_errors=True)
        upload = secrets.token_hex(8)
        place = waiting / upload
        place.mkdir(parents=True)
        name = re.sub(r"[^\w.-]", "_", Path(str(table.filename)).name)[-60:].lstrip(".") or "table"
        with (place / name).open("wb") as file:
            shutil.copyfileobj(table.file, file)
        return upload

    def _table(self, given: Any) -> Path:
        """A table that waits.

        Raises:
            UserError: there is none of that name.
        """
        upload = str(given.get("upload") or "")
        place = self._studio.folders.to_write() / _WAITING / upload
        files = sorted(place.iterdir()) if _UPLOAD.match(upload) and place.is_dir() else []
        if not files:
            raise openflan.UserError("that table is not here any more", how="upload it again")
        return files[0]

    def _page(self, request: Request, given: Any) -> Response:
        table = self._table(given)
        answers = _Answers(texts={key: str(value) for key, value in given.items() if key.startswith(_SAID)})
        draft, fault = None, None
        try:
            draft = self._drafted(table, given, answers, out=table.parent, write=False)
        except openflan.UserError as error:
            fault = openflan.UserError(
                error.what, where=(error.where or "").replace(str(table), table.name), how=error.how
            )
        context = {
            "writable": self._studio.folders.writable,
            "upload": given.get("upload"),
            "table": table.name,
            "draft": draft,
            "fault": fault,
            "asked": answers.questions,
            "said": answers.texts,
            "taken": [] if draft is None else [guess for guess in draft.guesses if not guess.asked],
            "options": {key: str(given.get(key) or "") for key in ("name", "cluster", "encoding", "separator")},
            "clusters": list(openflan.Tasks().clusters),
        }
        return self._studio.page(request, "template/new.html.j2", **context)

    def _write(self, given: FormData) -> str:
        """Move the table beside the task file and write that; the task's name."""
        table, folder = self._table(given), self._studio.folders.to_write()
        target = folder / table.name
        if target.exists():
            raise openflan.UserError(
                "is already there", where=table.name, how="call the table otherwise, and upload it"
            )
        answers = _Answers(texts={key: str(value) for key, value in given.items() if key.startswith(_SAID)})
        try:
            table.rename(target)
            task = self._drafted(target, given, answers, out=folder, write=True)
        except BaseException:
            if target.exists():
                target.rename(table)
            raise
        shutil.rmtree(table.parent, ignore_errors=True)
        self._studio.changed()
        return task.entry.spec.name

    def _drafted(self, table: Path, given: Any, answers: _Answers, *, out: Path, write: bool) -> openflan.OwnTask:
        """The task of a table.

        Raises:
            UserError: none can be made, or another task is called so.
        """
        name, cluster, encoding, separator = (
            str(given.get(key) or "").strip() or None for key in ("name", "cluster", "encoding", "separator")
        )

        def draft(*, write: bool) -> openflan.OwnTask:
            return openflan.draft_task(
                table,
                name=name,
                out=out,
                cluster=cluster,
                encoding=encoding,
                separator="\t" if separator == "tab" else separator,
                ask=answers,
                write=write,
            )

        task = draft(write=False)
        called = task.entry.spec.name
        if called in self._studio.tasks():
            raise openflan.UserError(f"there is a task '{called}' already", where="name", how="give it another name")
        return draft(write=True) if write else task
