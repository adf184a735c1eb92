"""Who may ask: the checks that every request passes before anything else looks at it.

A page of another origin can make the browser of a person ask a server on that person's machine. Against that:

- the Host header must name this server, or a stranger's domain that resolves to 127.0.0.1 (DNS rebinding) would
  share its origin;
- a request that writes must come from this origin, by its Origin header and by Sec-Fetch-Site (fetch metadata);
- a request from another site may only be a person's following of a link.

Programs such as curl send neither Origin nor Sec-Fetch-Site, and are let through: they can be told to send anything.
With a token, every request must show it: as ``Authorization: Bearer``, or as the cookie that a visit with ``?token=``
leaves. The cookie is derived from the token and does not tell it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soundloom.server.http.errors import answer
from soundloom.server.settings import ServerSettings, is_loopback

__all__ = ["COOKIE", "HEADERS", "Guard"]

COOKIE = "soundloom_token"

HEADERS = {
    # Pictures and sounds that the page itself makes are blobs; nothing at all comes from another host.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}
"""On every answer."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_READS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware: lets through who may ask, and puts the headers on every answer.

    Args:
        app: what is guarded.
        settings: where the server listens, and its token.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._token = settings.token
        self._anywhere = settings.host in ("0.0.0.0", "::", "")
        self._local = is_loopback(settings.host)
        self._names = {name.lower().strip("[]") for name in (settings.host, *settings.allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None and scope["method"] not in _READS:
            refusal.headers["Connection"] = "close"  # its body is not waited for
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to who may not ask; None for who may."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._knows(host):
            return answer(
                421, "wrong_host", f"this server does not answer to {host!r}: start it with --allow-host to let it"
            )
        site = headers.get("sec-fetch-site", "none")
        reads = scope["method"] in _READS
        origin = headers.get("origin")
        if origin is not None and _authority(origin) != host.lower() and not reads:
            return answer(403, "wrong_origin", f"pages of {origin!r} may not write here")
        if site not in ("none", "same-origin") and not (reads and headers.get("sec-fetch-mode") == "navigate"):
            return answer(403, "wrong_origin", "pages of other sites may not ask here: only links to here work")
        return None if self._token is None else self._without_token(scope, headers)

    def _knows(self, host: str) -> bool:
        """Whether a Host header names this server, on any port."""
        found = _HOST.fullmatch(host.lower())
        if found is None:
            return False
        name = found[1].strip("[]")
        if name in self._names or (self._local and is_loopback(name)):
            return True
        # Listening on every address, it answers to every address; a name could be anybody's.
        return self._anywhere and (is_loopback(name) or _is_address(name))

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to who does not show the token."""
        assert self._token is not None
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(shown.strip(), self._token):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        asked = [value for name, value in query if name == "token"]
        if asked and scope["method"] == "GET" and _same(asked[-1], self._token):
            # Out of the address bar, where it would be bookmarked and sent.
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            response = RedirectResponse(_local(scope["path"]) + (f"?{rest}" if rest else ""), 303)
            response.set_cookie(COOKIE, _sealed(self._token), httponly=True, samesite="strict", max_age=30 * 86400)
            return response
        cookies = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        if any(name == COOKIE and _same(value, _sealed(self._token)) for name, _, value in cookies):
            return None
        return answer(
            401,
            "unauthorised",
            "a token is needed: open the address that the server printed when it started, or send it as "
            "Authorization: Bearer TOKEN",
            {"WWW-Authenticate": "Bearer"},
        )


def _authority(origin: str) -> str:
    """Host and port of an origin, as a Host header spells them."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _local(path: str) -> str:
    """A path that cannot be taken for another host's address."""
    return "/" + path.lstrip("/\\")


def _same(shown: str, wanted: str) -> bool:
    return hmac.compare_digest(shown.encode(), wanted.encode())


def _sealed(token: str) -> str:
    return hmac.new(token.encode(), COOKIE.encode(), hashlib.sha256).hexdigest()
