"""ASGI middleware: which requests are answered, by Host, Origin, fetch metadata and token.

A web page of another origin can make a browser send requests to a server on its user's machine. Against that:

- the Host header must name this server, or a foreign domain that resolves to 127.0.0.1 (DNS rebinding) would share its
  origin;
- a request that writes must come from this origin, scheme and port included, by its Origin header and by
  Sec-Fetch-Site (fetch metadata);
- a request from another site may only be a navigation, by a link.

Programs such as curl send neither Origin nor Sec-Fetch-Site and pass: they can be made to send anything.
With a token, every request but those of `OPEN` must carry it: as ``Authorization: Bearer``, or as the cookie that a
visit with ``?token=`` sets. The cookie's value is derived from the token and does not reveal it. Browsers send the
cookies of a host to all of its ports, so its name is made of the port and the library: servers beside each other keep
their own.
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

from soundloom.server.http.connections import CONNECTION
from soundloom.server.http.error_responses import error_response
from soundloom.server.http.token_form import token_form
from soundloom.server.settings import ServerSettings, is_loopback, scheme_and_name

__all__ = ["HEADERS", "OPEN", "Guard", "cookie_name", "from_this_machine"]

HEADERS = {
    # Pictures and sounds that the page itself makes are blobs; nothing comes from another host.
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
"""On every answer that does not set them itself."""

OPEN = ("/health", "/ready")
"""Paths that need no token: probes have none. A connection that asked for them alone is no authenticated one."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_READS = ("GET", "HEAD", "OPTIONS")
_PORTS = {"http": 80, "https": 443}
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Guard:
    """Passes on the requests that may be answered, and puts the headers on every answer.

    Args:
        app: what is guarded.
        settings: where the server listens, and its token.
        library: identifies this library among others, for the name of the cookie.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, library: str) -> None:
        self._app = app
        self._settings = settings
        self._library = library
        self._anywhere = settings.host in ("0.0.0.0", "::", "")
        self._local = is_loopback(settings.host)
        names = [("http", settings.host), *map(scheme_and_name, settings.allowed_hosts)]
        self._schemes = {name.lower().strip("[]"): scheme for scheme, name in names if name}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if (
            refusal is None
            and scope["path"] not in OPEN
            and CONNECTION in scope
            and not scope[CONNECTION].authenticate()
        ):
            refusal = error_response(
                503, "busy", "too many requests are being answered: try again in a moment", {"Connection": "close"}
            )
        if refusal is not None and refusal.status_code >= 400:
            # Neither its body nor further requests are waited for.
            refusal.headers["Connection"] = "close"
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that is refused; None for one that is not."""
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if not self._knows(host):
            return error_response(
                421, "wrong_host", f"this server does not answer to {host!r}: start it with --allow-host to let it"
            )
        site = headers.get("sec-fetch-site", "none")
        reads = scope["method"] in _READS
        origin = headers.get("origin")
        if origin is not None and not reads:
            own = _origin(f"{self._schemes.get(_name(host), 'http')}://{host}")
            if own is None or _origin(origin) != own:
                return error_response(
                    403,
                    "wrong_origin",
                    f"pages of {origin!r} may not write here, only those of {own and own[0]}://{host}; behind a proxy "
                    "that speaks https, start the server with --allow-host https://NAME",
                )
        if site not in ("none", "same-origin") and not (reads and headers.get("sec-fetch-mode") == "navigate"):
            return error_response(403, "wrong_origin", "other sites may only link to this page, not send it requests")
        if self._settings.token is None or scope["path"] in OPEN:
            return None
        return self._without_token(scope, headers, self._settings.token)

    def _knows(self, host: str) -> bool:
        """Whether a Host header names this server, on any port."""
        name = _name(host)
        if not name:
            return False
        if name in self._schemes or (self._local and is_loopback(name)):
            return True
        # Listening on every address, it answers to every address; a name could be anybody's.
        return self._anywhere and (is_loopback(name) or _is_address(name))

    def _without_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        """The answer to a request without the token; None for one with it."""
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(value.strip(), token):
            return None
        cookie = cookie_name(scope, self._library)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        if given and scope["method"] == "GET" and _same(given[-1], token):
            # Out of the address bar, where it would be bookmarked and sent.
            rest = urlencode([(name, value) for name, value in query if name != "token"], errors="surrogatepass")
            response = RedirectResponse(_local(scope["path"]) + (f"?{rest}" if rest else ""), 303)
            secure = self._schemes.get(_name(headers.get("host", "").lower())) == "https"
            response.set_cookie(
                cookie, _sealed(token, cookie), httponly=True, samesite="strict", secure=secure, max_age=30 * 86400
            )
            return response
        cookies = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        if any(name == cookie and _same(value, _sealed(token, cookie)) for name, _, value in cookies):
            return None
        if scope["method"] in ("GET", "HEAD") and "text/html" in headers.get("accept", ""):
            return token_form(query, wrong=bool(given))
        return error_response(
            401,
            "unauthorised",
            "a token is needed: open the address that the server printed when it started, or send it as "
            "Authorization: Bearer TOKEN",
            {"WWW-Authenticate": "Bearer"},
        )


def cookie_name(scope: Scope, library: str) -> str:
    """The name of the cookie of one server: by its port and its library."""
    port = (scope.get("server") or ("", 0))[1]
    return f"soundloom_{port}_{hashlib.sha256(library.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def from_this_machine(scope: Scope, settings: ServerSettings) -> bool:
    """Whether a request comes from a person at the server's own machine, and through no proxy.

    Args:
        scope: the request's.
        settings: the server's.
    """
    headers = Headers(scope=scope)
    client = scope.get("client")
    return (
        client is not None
        and is_loopback(client[0])
        and is_loopback(settings.host)
        and is_loopback(_name(headers.get("host", "").lower()))
        and not any(name in headers for name in _FORWARDED)
    )


def _name(host: str) -> str:
    """The name or address in a Host header, without its port; empty where it is malformed."""
    match = _HOST.fullmatch(host)
    return match[1].strip("[]") if match else ""


def _origin(text: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None where it is malformed or opaque."""
    try:
        parts = urlsplit(text.lower())
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _local(path: str) -> str:
    """A path that cannot be taken for another host's address."""
    return "/" + path.lstrip("/\\")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _sealed(token: str, name: str) -> str:
    return hmac.new(token.encode(), name.encode(), hashlib.sha256).hexdigest()
