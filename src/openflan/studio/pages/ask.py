"""Ask: an instruction put to the untuned and the tuned model side by side, with what they read and how sure they are.

Invariant: a model is asked as its run's evaluation asks it, so a stored prompt asked again says what was stored.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

import openflan
from openflan.studio.asking import AskedOnce, Asker, Reply, Session
from openflan.studio.views import Studio

__all__ = ["routes"]

_LONGEST = 100_000
"""Characters of a field of the form."""
_MOST_TOKENS = 512

Loader = tuple[tuple[object, ...], Callable[[], "openflan.Model"]]


def routes(studio: Studio) -> list[Route]:
    """The addresses of these pages."""
    pages = _Ask(studio)
    return [
        Route("/ask", pages.form, methods=["GET"]),
        Route("/ask", pages.put, methods=["POST"]),
        Route("/ask/session.jsonl", pages.download),
        Route("/ask/{number:int}", pages.reply),
    ]


class _Ask:
    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        place = studio.folders.writable
        name = time.strftime("session-%Y%m%d-%H%M%S.jsonl")
        self._asker = Asker(Session(None if place is None else place / "asked" / name))

    def form(self, request: Request) -> Response:
        query = request.query_params
        return self._page(request, _question(query) if "instruction" in query else self._of_row(query), query)

    async def put(self, request: Request) -> Response:
        form = await request.form()
        question, run, seed = AskedOnce(instruction=""), str(form.get("run", "")), str(form.get("seed", ""))
        try:
            question = _question(form)
            question = replace(question, fields=self._fields(question.origin))
            if not question.instruction.strip():
                raise openflan.UserError("the instruction is empty", how='for example "Name a colour."')
            if question.options and len(set(question.options)) < 2:
                raise openflan.UserError(
                    "needs two different options or more", where="options", how="or leave them out"
                )
            reply = self._asker.ask(question, self._models(run, seed))
        except openflan.UserError as error:  # said where the reply would stand; nothing that was written is lost
            refused = Reply(number=0, question=question, fault=str(error), done=True)
            return self._page(request, question, {"run": run, "seed": seed}, status=422, reply=refused)
        address = urlencode({"run": run, "seed": seed})
        return RedirectResponse(f"/ask/{reply.number}?{address}", status_code=303)

    def reply(self, request: Request) -> Response:
        reply = self._asker.reply(request.path_params["number"])
        return self._page(request, reply.question, request.query_params, reply=reply)

    def download(self, _request: Request) -> Response:
        name = "attachment; filename=asked.jsonl"
        lines = self._asker.session.lines
        return Response(lines, media_type="application/jsonl", headers={"content-disposition": name})

    def _page(
        self,
        request: Request,
        question: AskedOnce,
        query: Mapping[str, str],
        *,
        status: int = 200,
        reply: Reply | None = None,
    ) -> Response:
        runs = self._runs()
        run = query.get("run") or next(iter(runs), "")
        return self._studio.page(
            request,
            "ask/ask.html.j2",
            status=status,
            question=question,
            runs=runs,
            run=run,
            seed=query.get("seed", ""),
            kept=len(self._asker.session),
            file=self._asker.session.file,
            reply=reply,
        )

    def _runs(self) -> dict[str, list[int]]:
        """What can be asked, by name: runs with their tuned seeds, and the model that the studio was started with."""
        folder = self._studio.folders.runs
        by_name = {
            run.name: openflan.RunPlaces(run.folder).tuned
            for run in (openflan.list_runs(folder, links=False) if folder.is_dir() else [])
        }
        runs = {name: seeds for name, seeds in by_name.items() if seeds}
        model = self._studio.folders.model or (None if runs else "starter")
        return runs if model is None else {**runs, str(model): []}

    def _models(self, run: str, seed: str) -> dict[str, Loader]:
        """What is to be asked, by what it is called."""
        runs = self._runs()
        if run not in runs:
            raise openflan.UserError(f"no model '{run}'", where="model", how="choose one of the list")
        if not runs[run]:
            return {"model": (("model", run), lambda: openflan.Model(run))}
        folder = self._studio.folders.confined(self._studio.folders.runs / run)
        chosen = int(seed) if seed.isdecimal() and int(seed) in runs[run] else runs[run][0]
        opened = openflan.Run.open(folder)
        base = str(opened.recipe.model.path)
        stamp = openflan.RunPlaces(folder).model(chosen).stat().st_mtime_ns
        return {
            "untuned": (("untuned", str(folder), base), lambda: opened.model("untuned")),
            f"tuned, seed {chosen}": (("tuned", str(folder), chosen, stamp), lambda: opened.model(chosen)),
        }

    def _of_row(self, query: QueryParams) -> AskedOnce:
        """The prompt of a task's row, or one that a run's evaluation asked."""
        task, row = query.get("task"), query.get("row")
        if not task or row is None or not row.isdecimal():
            return AskedOnce(instruction="")
        template = query.get("template") or "0"
        if query.get("stored"):
            return self._stored(Path(query.get("run", "")).name, task, int(row), query.get("template") or "-1")
        role: Literal["train", "test"] = "test" if query.get("split") == "test" else "train"
        shown = self._shown(task, role, int(row))
        for prompt in shown.prompts:
            if str(prompt.template) == template:
                answer = prompt.answer
                return AskedOnce(
                    instruction=prompt.input,
                    options=answer.options,
                    listed=False,
                    expected=prompt.target.strip(),
                    origin={"task": task, "row": row, "split": role},
                )
        how = "choose another template"
        raise openflan.UserError(f"template {template} does not fit the row", where=f"{task}, row {row}", how=how)

    def _shown(self, name: str, role: Literal["train", "test"], row: int) -> openflan.ShownRow:
        task = self._studio.tasks()[name]
        return task.show_row(self._studio.rows(task, role).row(row))

    def _stored(self, run: str, task: str, row: int, template: str) -> AskedOnce:
        folder = self._studio.folders.confined(self._studio.folders.runs / run)
        number = int(template) if template.lstrip("-").isdecimal() else -1
        page = openflan.browse_answers(folder, task=task, row=row, template=number, limit=1)
        if not page.answers:
            raise openflan.UserError("no such answer", where=f"{task}, row {row}", how="choose one of the answers")
        (answer,) = page.answers
        options = tuple(option.text for option in answer.options)
        return AskedOnce(
            instruction=answer.prompt,
            options=options,
            listed=False,
            expected=answer.expected,
            origin={"task": task, "row": str(row), "of_run": run},
        )

    def _fields(self, origin: Mapping[str, str]) -> Mapping[str, object]:
        """The row that a prompt was rendered from; nothing where it can't be read any more."""
        task, row = origin.get("task", ""), origin.get("row", "")
        if not row.isdecimal():
            return {}
        try:
            if "of_run" in origin:
                folder = self._studio.folders.confined(self._studio.folders.runs / Path(origin["of_run"]).name)
                return openflan.run_row(folder, task, int(row))
            role = "test" if origin.get("split") == "test" else "train"
            return self._studio.rows(self._studio.tasks()[task], role).row(int(row)).fields
        except openflan.UserError:
            return {}


def _question(fields: FormData | QueryParams) -> AskedOnce:
    """What a form or an address asks."""

    def text(name: str) -> str:
        value = fields.get(name, "")
        whole = (value if isinstance(value, str) else "").replace("\r\n", "\n")
        if len(whole) > _LONGEST:
            raise openflan.UserError(f"has over {_LONGEST:,} characters", where=name, how="shorten it")
        return whole

    options = tuple(line.strip() for line in text("options").split("\n") if line.strip())
    most = text("most_tokens")
    return AskedOnce(
        instruction=text("instruction"),
        text=text("text"),
        options=options,
        listed=bool(fields.get("listed")) if "sent" in fields else True,
        expected=text("expected").strip(),
        origin={name: text(name) for name in ("task", "row", "split", "of_run") if text(name)},
        most_tokens=max(1, min(_MOST_TOKENS, int(most))) if most.isdecimal() else 64,
    )
