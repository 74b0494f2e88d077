"""Answers of a run: the wrong ones, the unsure ones, those that tuning changed, each with its prompt and options.

Invariant: what is asked for stands in the address, so that a page of answers can be sent as a link.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import openflan
from openflan.studio.views import Studio

__all__ = ["routes"]

_PAGE = 20
_SHOWN = {
    "all": "all answers",
    "wrong": "wrong answers",
    "unsure": "unsure answers, the least sure first",
    "disagree": "answers to rows whose templates disagree",
    "lost": "untuned right and tuned wrong",
    "gained": "untuned wrong and tuned right",
}


def routes(studio: Studio) -> list[Route]:
    """The addresses of these pages."""

    def answers(request: Request) -> Response:
        query, name = request.query_params, request.path_params["name"]
        folder = studio.folders.confined(studio.folders.runs / name)
        show = query.get("show", "wrong")
        task = query.get("task") or None
        tuned = [model for model in openflan.RunPlaces(folder).asked if model != "untuned"]
        model = query.get("model") or (tuned[0] if tuned else "untuned")
        page, fault = None, ""
        try:
            page = openflan.browse_answers(
                folder,
                model=model,
                show=show,
                task=task,
                template=_number(query.get("template")),
                row=_number(query.get("row")),
                start=_number(query.get("start")) or 0,
                limit=_PAGE,
            )
        except openflan.UserError as error:  # said where the answers would stand, below what can be changed
            fault = str(error)
        listing = openflan.browse_answers(folder, limit=0) if page is None else page
        return studio.page(
            request,
            "runs/answers.html.j2",
            status=422 if fault else 200,
            run=name,
            page=page,
            fault=fault,
            models=listing.models,
            tasks=tuple(listing.by_task),
            model=model,
            show=show,
            shown=_SHOWN,
            task=task,
            number=query.get("template", ""),
            row=query.get("row", ""),
            unsure=openflan.UNSURE,
            last=0 if page is None else max(0, (page.total - 1) // _PAGE * _PAGE),
            step=_PAGE,
        )

    return [Route("/runs/{name}/answers", answers)]


def _number(text: str | None) -> int | None:
    """A whole number of an address; None where there is none."""
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise openflan.UserError(f"'{text}' is no whole number", where="address", how="leave it out") from None
