"""Who may talk to the studio, and what a page may load.

A browser sends every page's requests to 127.0.0.1, another site's too. So the Host must be one of ours (else a name
that was pointed here could read pages), what changes something must come from a page of ours (Origin), and where the
studio listens to other machines, a token is asked for and kept in a cookie that no script and no other site can use.

Invariant: no request gets past it unchecked. Cost: microseconds. Rejected: a token in every address, which ends in
histories and logs.
"""

import hmac
from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "LARGEST", "Guard"]

LARGEST = 64 << 20
"""Bytes of a request: an uploaded table."""
_COOKIE = "openflan_studio_"
"""With the port after it: a browser sends a host's cookies to all of its ports."""
_LOCAL = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
"""Figures of the report carry their styles in attributes, so inline styles are allowed; scripts are not."""


class Guard:
    """Checks host, origin, token and size before anything else looks at a request.

    Args:
        app: what is guarded.
        hosts: names that the studio goes by, besides the local ones.
        token: asked for where it is not None.
    """

    def __init__(self, app: ASGIApp, *, hosts: tuple[str, ...] = (), token: str | None = None) -> None:
        self._app = app
        self._hosts = {*_LOCAL, *hosts}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused is not None:
            await refused(scope, receive, _with_headers(send))
            return
        await self._app(scope, receive, _with_headers(send))

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in self._hosts and self._token is None:
            return PlainTextResponse("openflan studio goes by another name; open the address that it printed", 421)
        if scope["method"] not in ("GET", "HEAD"):
            origin = headers.get("origin") or headers.get("referer") or ""
            if urlsplit(origin).netloc != host:
                return PlainTextResponse("this came from another site's page, and is refused", 403)
            length = headers.get("content-length", "")
            if not length.isdecimal() or int(length) > LARGEST:
                return PlainTextResponse(f"too large: at most {LARGEST >> 20} MB, and the length said before", 413)
        return None if self._token is None else self._without_token(scope, headers)

    def _without_token(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        """The answer to who has not shown the token yet; None to who has."""
        assert self._token is not None
        name = _COOKIE + _port(headers.get("host", ""))
        shown = cookie_parser(headers.get("cookie", "")).get(name, "")
        if hmac.compare_digest(shown.encode(), self._token.encode()):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token", "")
        others = [(key, value) for key, value in query if key != "token"]
        if hmac.compare_digest(given.encode(), self._token.encode()):
            rest = urlencode(others)
            path = "/" + scope["path"].lstrip("/\\")  # else `//name` would lead to another host
            answer: Response = RedirectResponse(f"{quote(path)}{'?' if rest else ''}{rest}", status_code=303)
            answer.set_cookie(name, self._token, httponly=True, samesite="strict", path="/")
            return answer
        inputs = "".join(f'<input type="hidden" name="{escape(key)}" value="{escape(value)}">' for key, value in others)
        fault = "That is not it." if given else ""
        return Response(_ASK.format(fault=fault, kept=inputs), 401, media_type="text/html")


_ASK = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>openflan studio</title><main><h1>openflan studio</h1>'
    '<form><label for="token">Token, as the command printed it</label> <input id="token" name="token" type="password"'
    " required autofocus>{kept} <button>Open</button> {fault}</form></main></html>"
)


def _name(host: str) -> str:
    """A host without its port."""
    return host.removesuffix(f":{_port(host)}")


def _port(host: str) -> str:
    """A host's port; empty where it says none."""
    _, colon, port = host.rpartition(":")
    return port if colon and port.isdecimal() else ""


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending
