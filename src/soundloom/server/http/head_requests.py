"""ASGI middleware: HEAD (RFC 9110, section 9.3.2) on every route that answers GET, by GET without its body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HeadRequests", "only_headers"]

_KEY = "soundloom.only_headers"


def only_headers(scope: Scope) -> bool:
    """Whether the client asked for the headers of an answer alone."""
    return bool(scope.get(_KEY))


class HeadRequests:
    """Answers HEAD as GET and drops the body.

    Args:
        app: what answers GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        inner = {**scope, "method": "GET", _KEY: True}
        await self._app(inner, receive, without_body)
        if "route" in inner:
            scope["route"] = inner["route"]
