"""ASGI middleware: gzip (RFC 1952) for pages, scripts and JSON; sounds, pictures and ranges pass as they are."""

from __future__ import annotations

import re
import zlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Compression", "accepts_gzip"]

_COMPRESSIBLE = ("text/", "application/json", "image/svg+xml")
_SMALLEST = 1024
"""Bytes below which the answer fits into one packet anyway."""
_LEVEL = 4
_GZIP = 16 + zlib.MAX_WBITS
_REFUSED = re.compile(r"(?:gzip|\*)\s*;\s*q\s*=\s*0(?:\.0*)?\s*")


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header names gzip and does not refuse it.

    >>> accepts_gzip("br, gzip;q=0.8"), accepts_gzip("gzip;q=0"), accepts_gzip("br")
    (True, False, False)
    """
    codings = [coding.strip().lower() for coding in header.split(",")]
    return any(coding.split(";")[0].strip() == "gzip" and not _REFUSED.fullmatch(coding) for coding in codings)


class Compression:
    """Compresses what is worth it, for clients that accept it.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and accepts_gzip(Headers(scope=scope).get("accept-encoding", "")):
            send = _Compressor(send).send
        await self._app(scope, receive, send)


class _Compressor:
    """The sending side of one answer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._gzip: zlib._Compress | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on, compressed if the answer is."""
        if message["type"] == "http.response.start" and _compressible(message):
            # Held until the first piece of the body shows whether its length is known.
            self._start, self._gzip = message, zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
            return
        if self._gzip is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        more = message.get("more_body", False)
        content = self._gzip.compress(message.get("body", b"")) + (b"" if more else self._gzip.flush())
        if self._start is not None:
            _describe(self._start, None if more else len(content))
            await self._send(self._start)
            self._start = None
        await self._send({"type": "http.response.body", "body": content, "more_body": more})


def _compressible(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    length = headers.get("content-length", "")
    return (
        start["status"] == 200
        and headers.get("content-type", "").startswith(_COMPRESSIBLE)
        and "content-encoding" not in headers
        and not (length.isdecimal() and int(length) < _SMALLEST)
    )


def _describe(start: Message, length: int | None) -> None:
    """Say in the headers that the body is compressed, and how long it is if that is known."""
    headers = MutableHeaders(scope=start)
    headers["Content-Encoding"] = "gzip"
    headers.add_vary_header("Accept-Encoding")
    if length is not None:
        headers["Content-Length"] = str(length)
    elif "content-length" in headers:
        del headers["content-length"]
    # The bytes differ from those of the plain answer, so the tag may only stand for the same content.
    tag = headers.get("etag", "")
    if tag and not tag.startswith("W/"):
        headers["ETag"] = f"W/{tag}"
