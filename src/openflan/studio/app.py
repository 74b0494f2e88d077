"""The studio as a program: its pages behind the guard, and the server that listens.

Invariant: nothing leaves the machine; what a page needs is under `static/`. Cost: 0.6 s from start to the first page,
most of it Python's imports.
"""

import importlib
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import openflan
from openflan.studio.folders import StudioFolders

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["make_app", "serve_studio"]

_PAGES = ("tasks", "template", "mixture", "runs", "ask")
_REPORT = Path(openflan.__file__).parent / "report" / "page.css"
_LOCAL = ("127.0.0.1", "localhost", "::1")


def make_app(folders: StudioFolders, *, token: str | None = None) -> "Starlette":
    """The studio as an ASGI application.

    Args:
        folders: what it may read and write.
        token: asked for where it is not None.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import FileResponse, RedirectResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    from openflan.studio.guard import Guard
    from openflan.studio.views import Studio

    studio = Studio(folders)

    def fault(request: Request, error: Exception) -> Response:
        return studio.error(request, error)

    def missing(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        return studio.error(request, openflan.UserError("there is no such page", where=request.url.path), status=status)

    place = Path(__file__).parent
    routes: list[Route | Mount] = []
    for name in _PAGES:
        if (place / "pages" / f"{name}.py").is_file():
            routes += importlib.import_module(f"openflan.studio.pages.{name}").routes(studio)
    known = {route.path for route in routes}
    studio.menu = tuple(entry for entry in studio.menu if entry[0] in known)
    if "/" not in known:
        routes.append(Route("/", lambda _request: RedirectResponse(studio.menu[0][0])))
    routes.append(
        Route("/static/page.css", lambda _request: FileResponse(_REPORT))
    )  # type and colours are the report's
    routes.append(Mount("/static", StaticFiles(directory=place / "static")))
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={openflan.UserError: fault, HTTPException: missing},
    )


def serve_studio(folders: StudioFolders, *, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve the studio until it is interrupted.

    Args:
        folders: what it may read and write.
        host: the address to listen on; on any but the machine's own a token is asked for, which is printed.
        port: the port to listen on.

    Raises:
        UserError: a folder is missing, or what the studio needs is not installed.
    """
    for folder in folders.folders:
        if not folder.is_dir():
            raise openflan.UserError("no such folder", where=f"--folder {folder}", how="make it first")
    try:
        import uvicorn

        importlib.import_module("starlette")
        importlib.import_module("python_multipart")
    except ImportError:
        raise openflan.UserError("the studio is not installed", how='pip install "openflan[studio]"') from None
    token = None if host in _LOCAL else secrets.token_urlsafe(18)
    app = make_app(folders, token=token)
    shown = f"http://{'127.0.0.1' if host in _LOCAL else host}:{port}/"
    sys.stdout.write(f"openflan studio: {shown}{f'?token={token}' if token else ''}\n")
    sys.stdout.flush()
    uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False)
