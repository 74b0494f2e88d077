"""Runs: every run, study and evaluation in the folder, how each stands, its figures, and two held side by side.

Invariant: reads what they wrote and nothing else; closing the page stops nothing. A page of work in progress asks for
itself again every few seconds. Rejected: a connection that is kept open, which says no more and ends with the laptop's
lid.
"""

from pathlib import Path
from threading import Lock

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import openflan
from openflan.studio.pages import answers
from openflan.studio.views import Studio

__all__ = ["routes"]

_FIGURES = {
    "own": "Your own tasks",
    "scores": "Scores by cluster",
    "loss": "Loss",
    "task_loss": "Loss by task",
    "reliability": "How sure, how right",
}
_MEASURED = ("own", "scores", "reliability")
"""Figures that are there only when the run is done."""
_ROLES = {
    "own": "Your own tasks",
    "held_out": "Held out: never tuned on",
    "seen": "Seen: test rows of tuned clusters",
}


def routes(studio: Studio) -> list[Route]:
    """The addresses of these pages."""
    pages = _Runs(studio)
    return [
        *answers.routes(studio),
        Route("/runs", pages.every),
        Route("/runs/{name}", pages.one),
        Route("/runs/{name}/figure/{figure}.csv", pages.numbers),
        Route("/runs/{name}/figure/{figure}", pages.figure),
        Route("/studies/{name}", pages.study),
        Route("/studies/{name}/plot.svg", pages.plot),
        Route("/compare", pages.compare),
    ]


class _Runs:
    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._drawing = Lock()
        """matplotlib draws one figure at a time."""

    def every(self, request: Request) -> Response:
        folder = self._studio.folders.runs
        return self._studio.page(
            request,
            "runs/list.html.j2",
            folder=folder,
            runs=openflan.list_runs(folder, links=False) if folder.is_dir() else [],
            studies=openflan.list_studies(folder, links=False) if folder.is_dir() else [],
            evaluations=openflan.list_evaluations(folder, links=False) if folder.is_dir() else [],
        )

    def one(self, request: Request) -> Response:
        status = openflan.run_status(self._folder(request))
        own = any(gain.role == "own" for gain in status.gains)
        there = [name for name in _FIGURES if name not in _MEASURED or (status.gains and (own or name != "own"))]
        return self._studio.page(
            request,
            "runs/run.html.j2",
            run=status,
            figures={name: _FIGURES[name] for name in there},
            groups={
                title: [gain for gain in status.gains if gain.role == role]
                for role, title in _ROLES.items()
                if any(gain.role == role for gain in status.gains)
            },
        )

    def figure(self, request: Request) -> Response:
        status = openflan.run_status(self._folder(request))
        name = request.path_params["figure"]
        return self._studio.page(
            request,
            "runs/_figure.html.j2" if "hx-request" in request.headers else "runs/figure.html.j2",
            run=status,
            name=name,
            title=_FIGURES.get(name, name),
            drawing=self._drawn(status, name),
            live=status.works and name not in _MEASURED,
        )

    def numbers(self, request: Request) -> Response:
        drawing = self._drawn(openflan.run_status(self._folder(request)), request.path_params["figure"])
        if drawing is None:
            raise openflan.UserError("nothing to draw yet", where=request.url.path, how="wait for the first steps")
        return PlainTextResponse(drawing.data.text, media_type="text/csv")

    def study(self, request: Request) -> Response:
        folder = self._studio.folders.confined(self._studio.folders.runs / request.path_params["name"])
        return self._studio.page(request, "runs/study.html.j2", study=openflan.study_status(folder))

    def plot(self, request: Request) -> Response:
        folder = self._studio.folders.confined(self._studio.folders.runs / request.path_params["name"] / "plot.svg")
        try:
            return Response(folder.read_bytes(), media_type="image/svg+xml")
        except OSError:
            raise openflan.UserError("no plot yet", where=folder.parent.name, how="it is drawn at the end") from None

    def compare(self, request: Request) -> Response:
        a, b = (request.query_params.get(side, "") for side in "ab")
        now = "now" in request.query_params or "hx-request" in request.headers
        comparison = self._compared(a, b) if a and b and now else None
        return self._studio.page(request, "runs/compare.html.j2", a=a, b=b, sides=self._sides(), comparison=comparison)

    def _folder(self, request: Request) -> Path:
        return self._studio.folders.confined(self._studio.folders.runs / request.path_params["name"])

    def _drawn(self, status: "openflan.RunStatus", name: str) -> "openflan.Drawing | None":
        if name not in _FIGURES:
            raise openflan.UserError(f"no figure '{name}'", where=status.name, how=f"one of {', '.join(_FIGURES)}")

        def draw() -> "openflan.Drawing | None":
            with self._drawing:
                drawing: openflan.Drawing | None = getattr(openflan.RunPlots(status.folder), name)()
                return drawing

        if status.works:
            return draw()
        return self._studio.kept(("figure", str(status.folder), name, status.changed), draw)

    def _sides(self) -> dict[str, str]:
        """What can be compared, by what it is called: relative to the runs folder."""
        folder = self._studio.folders.runs
        sides: dict[str, str] = {}
        for run in openflan.list_runs(folder, links=False) if folder.is_dir() else []:
            models = openflan.RunPlaces(run.folder).asked
            if any(name != "untuned" for name in models):
                sides[run.name] = f"{run.name}, tuned"
            sides |= {f"{run.name}/evaluation/{name}": f"{run.name}, {name}" for name in models}
        for one in openflan.list_evaluations(folder, links=False) if folder.is_dir() else []:
            sides[one.name] = f"{one.name} ({one.model})"
        return sides

    def _compared(self, a: str, b: str) -> "openflan.Comparison":
        runs, sides = self._studio.folders.runs, self._sides()
        for side in (a, b):
            if side not in sides:
                raise openflan.UserError("nothing to compare", where=side, how="choose two of the list")
        left, right = (self._studio.folders.confined(runs / side) for side in (a, b))
        stamp = [max((p.stat().st_mtime_ns for p in side.rglob("*.parquet")), default=0) for side in (left, right)]
        comparison: openflan.Comparison = self._studio.kept(
            ("compare", str(left), str(right), *stamp), lambda: openflan.compare(left, right)
        )
        words = comparison.sentence.replace(str(right), sides[b]).replace(str(left), sides[a])
        return comparison.model_copy(update={"sentence": words})
