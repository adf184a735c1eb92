"""ASGI middleware: limits of the size of a request body and of the time in which it arrives."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soundloom.server.http.error_responses import ApiError, error_response
from soundloom.server.settings import ServerSettings

__all__ = ["RequestLimits"]

_ENVELOPE = 64 * 1024
"""Bytes that a form adds to the file in it."""


class RequestLimits:
    """Refuses a body that is too large, by its header or as it arrives, or that arrives too slowly.

    Args:
        app: what is protected.
        settings: how large and how slow.
        uploads: the path to which files are sent.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, uploads: str) -> None:
        self._app = app
        self._settings = settings
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        file = scope["path"] == self._uploads
        bound = self._settings.upload_bytes + _ENVELOPE if file else self._settings.body_bytes
        limit = f"at most {(self._settings.upload_bytes if file else bound) / 2**20:g} MiB are taken at a time"
        headers = Headers(scope=scope)
        claimed = headers.get("content-length", "0")
        if not claimed.isdecimal() or len(claimed) > 15 or int(claimed) > bound:
            await error_response(413, "too_large", limit, {"Connection": "close"})(scope, receive, send)
            return
        patience = self._settings.upload_wait if file else self._settings.body_wait
        deadline = time.monotonic() + patience
        taken, whole = 0, headers.get("content-length") == "0"

        async def bounded() -> Message:
            nonlocal taken, whole
            if whole:
                # From here on this only waits for the client to leave, for as long as the answer takes.
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise ApiError(408, "too_slow", f"the request did not arrive within {patience:g} s") from None
            taken += len(message.get("body", b""))
            if taken > bound:
                raise ApiError(413, "too_large", limit)
            whole = not message.get("more_body", False)
            return message

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and not whole:
                # Else the rest would still be taken, and thrown away, for as long as the client likes to send.
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, bounded, closing)
