"""The leak certificate of a run's mixture: what was compared, what was found, and the worst pairs side by side.

Invariant: shows what the certificate in the run's folder says; texts are the recipe's own rows, read again.
Cost: both tasks' rows as far as those that are shown.
"""

from __future__ import annotations  # so that what pages need is imported when they are asked for

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import openflan
from openflan.studio.views import Studio

__all__ = ["certificate_routes"]

_PAIRS = 8
"""Pairs of rows on one page."""


def certificate_routes(studio: Studio) -> list[Route]:
    """The page of certificates."""

    def certificate(request: Request) -> Response:
        """The certificate of one run, and pairs of two of its tasks."""
        given = request.query_params
        runs = _mixed(studio)
        name = given.get("run") or next(iter(runs), "")
        context: dict[str, Any] = {"runs": list(runs), "run": name, "certificate": None}
        if name:
            if name not in runs:
                raise openflan.UserError(f"no mixed run '{name}'", how=f"there are {', '.join(runs) or 'none'}")
            context |= _context(runs[name], given.get("task"), given.get("held_out"))
        return studio.page(request, "mixture/certificate.html.j2", **context)

    return [Route("/mixture/certificate", certificate)]


def _mixed(studio: Studio) -> dict[str, Path]:
    """Runs with a whole mixture, the latest first."""
    places = sorted(studio.folders.in_runs("*/mixture/leakage.json"), key=lambda path: -path.stat().st_mtime)
    return {path.parents[1].name: path.parents[1] for path in places}


def _context(folder: Path, task: str | None, held_out: str | None) -> dict[str, Any]:
    """A certificate, its edges worst first, and the pairs of one edge with their rows."""
    certificate = openflan.Mixture(folder).certificate
    edges = sorted(certificate.edges, key=lambda edge: (-edge.items, -edge.rows, edge.task, edge.held_out))
    chosen = next((edge for edge in edges if (edge.task, edge.held_out) == (task, held_out)), next(iter(edges), None))
    pairs = [
        pair for pair in certificate.pairs if chosen and (pair.task, pair.held_out) == (chosen.task, chosen.held_out)
    ]
    pairs = sorted(pairs, key=lambda pair: (pair.kind != "exact", -len(pair.shared)))[:_PAIRS]
    fault: openflan.UserError | None = None
    texts: tuple[openflan.LeakTexts, ...] = ()
    try:
        texts = openflan.leak_texts(folder, pairs)
    except openflan.UserError as error:  # the rows may have gone since
        fault = error
    return {"certificate": certificate, "edges": edges, "edge": chosen, "pairs": pairs, "texts": texts, "fault": fault}
