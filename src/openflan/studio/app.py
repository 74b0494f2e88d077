"""The studio as a program: its pages behind the guard, and the server that listens.

Invariant: nothing leaves the machine; what a page needs is under `static/`. Cost: 0.6 s from start to the first page,
most of it Python's imports. What a page's neighbours need is imported in a thread once that page is out: libraries for
figures and comparisons after one of runs (.6 s, 80 MB), torch and transformers after Ask (2 s, 270 MB).
"""

import errno
import importlib
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import openflan
from openflan.studio.folders import StudioFolders

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["make_app", "serve_studio"]

_PAGES = ("tasks", "template", "mixture", "runs", "ask")
_REPORT = Path(openflan.__file__).parent / "report" / "page.css"
_LOCAL = ("127.0.0.1", "localhost", "::1")
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")
"""What is set for this process and those that it starts."""


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

    from openflan.studio.guard import HEADERS, Guard
    from openflan.studio.views import Studio

    studio = Studio(folders)

    def fault(request: Request, error: Exception) -> Response:
        return studio.error(request, error)

    def missing(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        what = "there is no such page" if status == 404 else str(getattr(error, "detail", "can't be done"))
        return studio.error(request, openflan.UserError(what, where=request.url.path), status=status)

    def broken(request: Request, error: Exception) -> Response:
        """A fault of ours: one line here, the traceback in the terminal. It stands outside the guard."""
        failure = openflan.UserError(
            f"openflan is at fault here ({type(error).__name__})", how="the terminal says where"
        )
        answer = studio.error(request, failure, status=500)
        answer.headers.update(HEADERS)
        return answer

    place = Path(__file__).parent
    routes: list[Route | Mount] = []
    for name in _PAGES:
        if (place / "pages" / f"{name}.py").is_file():
            routes += importlib.import_module(f"openflan.studio.pages.{name}").routes(studio)
    paths = {route.path for route in routes}
    studio.menu = tuple(entry for entry in studio.menu if entry[0] in paths)
    if "/" not in paths:
        routes.append(Route("/", lambda _request: RedirectResponse(studio.menu[0][0])))
    routes.append(
        Route("/static/page.css", lambda _request: FileResponse(_REPORT))
    )  # type and colours are the report's
    routes.append(Mount("/static", StaticFiles(directory=place / "static")))
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={openflan.UserError: fault, HTTPException: missing, Exception: broken},
    )


def serve_studio(folders: StudioFolders, *, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve the studio until it is interrupted; from then on this process asks no hub, nor does any that it starts.

    Args:
        folders: what it may read and write.
        host: the address to listen on; on any but the machine's own a token is asked for, which is printed.
        port: the port to listen on.

    Raises:
        UserError: a folder is missing, the address can't be listened on, or what the studio needs is not installed.
    """
    _go_offline()
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
    listening = _listening(host, port)
    name, bound = listening.getsockname()[:2] if host in _LOCAL else (host, listening.getsockname()[1])
    shown = f"http://{f'[{name}]' if ':' in name else name}:{bound}/"
    sys.stdout.write(f"openflan studio: {shown}{f'?token={token}' if token else ''}\n")
    sys.stdout.flush()
    with listening, suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(Warming(app), log_level="warning", server_header=False)).run(sockets=[listening])


_NEXT: Mapping[str, tuple[Literal["answers", "figures", "models"], ...]] = {
    "/runs": ("answers", "figures"),
    "/compare": ("answers",),
    "/ask": ("models",),
}
"""What is asked for next from a page: imported while somebody looks at it. Who opens none of these pays for none."""


class Warming:
    """Imports what is needed next once a page is out.

    Args:
        app: answers the requests.
        pause: seconds after an answer, in which the page fetches what it is drawn with.
    """

    def __init__(self, app: "ASGIApp", *, pause: float = 0.5) -> None:
        self._app, self._pause = app, pause
        self._begun: set[str] = set()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request."""
        await self._app(scope, receive, send)
        part = f"/{scope['path'].split('/')[1]}" if scope["type"] == "http" else ""
        if part in _NEXT and part not in self._begun:
            self._begun.add(part)
            threading.Thread(target=self._warm, args=_NEXT[part], daemon=True).start()

    def _warm(self, *parts: Literal["answers", "figures", "models"]) -> None:
        time.sleep(self._pause)
        openflan.warm_up(*parts)


def _go_offline() -> None:
    """Let the hub's clients read their cache alone."""
    os.environ.update(dict.fromkeys(OFFLINE, "1"))
    for loaded in ("huggingface_hub.constants", "datasets.config"):  # they looked at the environment when imported
        if loaded in sys.modules:
            sys.modules[loaded].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens; what it accepts sends at once, or each page of a connection would wait for 40 ms.

    Raises:
        UserError: the address is not this machine's, or the port is taken or not to be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listening = socket.create_server((host, port), family=family)
        # asyncio sets this only where the socket's protocol is named
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        number = error.errno or 0  # below 0 where a name leads nowhere
        reason = (os.strerror(number) if number > 0 else str(error.strerror or error)).lower()
        how = "choose another --port, or 0 for any that is free" if error.errno == errno.EADDRINUSE else None
        raise openflan.UserError(f"can't listen there ({reason})", where=f"{host}, port {port}", how=how) from None
