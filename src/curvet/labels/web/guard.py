"""Who may ask the server, and what a request may look like.

The server listens on 127.0.0.1 alone, but every page in the browser and every user of the machine
can reach that. So each request needs the token of this start; `Host` has to be this very address,
since a foreign name may be made to point here; a request that changes something has to come from
our own page, as JSON, and be small.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64 * 1024  # bytes
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_OWN_SITE = ("same-origin", "none")  # of Sec-Fetch-Site; none: the reader has typed the address
_ADDRESS = "open the address that curvet label has printed"


class Guard:
    """Let through what comes from our own page; everything else gets a line of text.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    port : int
        At which the server listens.
    token : str
        What every request has to know.
    """

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self.app, self.token = app, token
        end = "" if port == 80 else f":{port}"  # browsers leave that one out
        self.hosts = (f"127.0.0.1{end}", f"localhost{end}")
        # Cookies are the same for all ports, so the name tells one server from another.
        self.cookie = f"curvet_{port}"
        self.tickets: set[str] = set()

    def ticket(self) -> str:
        """Return a token that opens the page once.

        The address with which a browser is started can be read by other users of the machine.
        """
        made = secrets.token_urlsafe()
        self.tickets.add(made)
        return made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            return
        from starlette.datastructures import Headers, MutableHeaders
        from starlette.responses import PlainTextResponse

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        if refused := self._refused(scope, headers):
            status, text = refused
            await PlainTextResponse(f"{text}\n", status)(scope, receive, send_safely)
        elif scope["path"] == "/" and scope["query_string"]:
            await self._welcome(scope, receive, send_safely)
        elif scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send_safely)
        elif (body := await _body(receive)) is None:
            await PlainTextResponse(_TOO_LARGE, 413)(scope, receive, send_safely)
        else:
            await self.app(scope, _again(body, receive), send_safely)

    def _refused(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return status and reason, or None."""
        if headers.getlist("host") not in ([host] for host in self.hosts):
            return 403, f"this server answers at 127.0.0.1 and localhost only; {_ADDRESS}"
        opens = scope["path"] == "/" and scope["method"] == "GET"
        if not opens and headers.get("sec-fetch-site", _OWN_SITE[0]) not in _OWN_SITE:
            return 403, "this request comes from another site"
        if not (self._known(headers) or (opens and self._may_open(scope))):
            return 403, f"the token is missing or wrong; {_ADDRESS}"
        if scope["method"] in ("GET", "HEAD"):
            return None
        if headers.get("origin") != f"http://{headers['host']}":
            return 403, "this request does not come from the page"
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415, "this request is no application/json"
        length = headers.get("content-length", "0")
        if len(length) > 9 or not length.isdecimal() or int(length) > MAX_BODY:
            return 413, _TOO_LARGE
        return None

    def _known(self, headers: Headers) -> bool:
        try:
            cookies = SimpleCookie("; ".join(headers.getlist("cookie")))
        except CookieError:
            return False
        found = cookies.get(self.cookie)
        return found is not None and same(found.value, self.token)

    def _may_open(self, scope: Scope) -> bool:
        given = _given(scope)
        return same(given, self.token) or any(same(given, ticket) for ticket in self.tickets)

    async def _welcome(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the token into a cookie and drop it from the address.

        The browser is sent on by the page, not by a redirection: after one that began on another
        site it would keep a strict cookie to itself.
        """
        from starlette.responses import HTMLResponse

        self.tickets.discard(_given(scope))
        response = HTMLResponse(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>curvet</title>'
            '<meta http-equiv="refresh" content="0;url=/"><a href="/">curvet label</a></html>'
        )
        response.set_cookie(self.cookie, self.token, path="/", httponly=True, samesite="strict")
        await response(scope, receive, send)


def same(one: str, other: str) -> bool:
    """Compare two secrets in a time that does not tell where they differ."""
    return secrets.compare_digest(one.encode("utf-8", "replace"), other.encode())


def _given(scope: Scope) -> str:
    query: str = scope["query_string"].decode("latin-1")
    return parse_qs(query).get("token", [""])[0]


_TOO_LARGE = f"this request is larger than {MAX_BODY} bytes"


async def _body(receive: Receive) -> bytes | None:
    """Read a body; None if it grows too large, whatever its headers have said."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        more = message.get("more_body", False)
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that has been read to one who has not read it."""
    waiting = [body]

    async def read() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return read
