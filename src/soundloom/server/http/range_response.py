"""An open file as a response, whole or the range that was asked for (RFC 9110, section 14).

One range a request, which is what players ask; several at once are answered with the whole file, as the standard
allows. The file is the one that was opened and checked, whatever its name leads to by now.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import quote

from anyio import CancelScope, to_thread
from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from soundloom.remote import RangedFile
from soundloom.server.http.head_requests import only_headers

__all__ = ["BYTES", "binary", "file_response", "parse_range", "saved_as"]

BYTES = "application/octet-stream"

_CHUNK = 256 * 1024
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE | re.ASCII)


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and one past the last of a range header; None where the whole file is meant.

    A header that is malformed, or names several ranges, is to be ignored.

    >>> parse_range("bytes=2-5", 10), parse_range("bytes=-3", 10), parse_range("bytes=8-", 10), parse_range("x", 10)
    ((2, 6), (7, 10), (8, 10), None)

    Raises:
        HTTPException: 416, no byte of the file lies in the range.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        first, last = max(0, size - int(found[2])), size
    else:
        first, last = int(found[1]), size if found[2] == "" else min(size, int(found[2]) + 1)
        if found[2] != "" and int(found[2]) < first:
            return None
    if first >= last:
        raise HTTPException(
            416, f"the file has {size} bytes: there is nothing in {header!r}", {"Content-Range": f"bytes */{size}"}
        )
    return first, last


def binary(*media_types: str) -> dict[str, Any]:
    """The OpenAPI entry of an answer that is no JSON, of one of some media types; of any bytes if none is given."""
    return {"content": {one: {"schema": {"type": "string", "format": "binary"}} for one in media_types or (BYTES,)}}


def saved_as(name: str) -> dict[str, str]:
    """The header by which browsers save an answer under a name (RFC 6266)."""
    plain = f'filename="{name}"' if quote(name) == name else f"filename*=UTF-8''{quote(name)}"
    return {"Content-Disposition": f"attachment; {plain}"}


def file_response(
    file: BinaryIO, request: Request, media_type: str = BYTES, headers: Mapping[str, str] | None = None
) -> Response:
    """A response of a file, which is closed when it was sent.

    Args:
        file: open, regular.
        request: what was asked; its Range, If-Range and If-None-Match are heeded.
        media_type: of the file.
        headers: further headers.

    Raises:
        HTTPException: as for `parse_range`.
    """
    identity, size = _state_of(file)
    etag = f'"{hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()}"'
    # A copy may be used again only after asking: the same address gives another sound when the file changes.
    about = {"Accept-Ranges": "bytes", "ETag": etag, "Cache-Control": "private, no-cache", **(headers or {})}
    if request.headers.get("if-none-match", "").removeprefix("W/") == etag:
        file.close()
        return Response(status_code=304, headers=about)
    asked = None
    if request.headers.get("if-range") in (None, etag):
        try:
            asked = parse_range(request.headers.get("range"), size)
        except HTTPException:
            file.close()
            raise
    first, last = asked or (0, size)
    about["Content-Length"] = str(last - first)
    if asked is not None:
        about["Content-Range"] = f"bytes {first}-{last - 1}/{size}"
    return _FileResponse(file, first, last, 206 if asked else 200, about, media_type)


def _state_of(file: BinaryIO) -> tuple[str, int]:
    """What names the state of an open file, and its bytes."""
    remote = getattr(file, "raw", None)
    if isinstance(remote, RangedFile):
        return f"{remote.size}-{remote.mtime_ns}", remote.size
    status = os.fstat(file.fileno())
    return f"{status.st_dev}-{status.st_ino}-{status.st_size}-{status.st_mtime_ns}", status.st_size


class _FileResponse(StreamingResponse):
    """Sends a part of a file, and closes it whatever happens to the connection."""

    def __init__(
        self, file: BinaryIO, first: int, last: int, status: int, headers: Mapping[str, str], media_type: str
    ) -> None:
        self._file = file
        super().__init__(self._chunks(first, last), status, headers, media_type)

    async def __call__(self, scope: dict[str, object], receive: object, send: object) -> None:  # type: ignore[override]
        try:
            if only_headers(scope):
                await Response(status_code=self.status_code, headers=dict(self.headers))(scope, receive, send)  # type: ignore[arg-type]
            else:
                await super().__call__(scope, receive, send)  # type: ignore[arg-type]
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._file.close)

    async def _chunks(self, first: int, last: int) -> AsyncIterator[bytes]:
        while first < last:
            chunk = await to_thread.run_sync(_read, self._file, first, min(_CHUNK, last - first))
            if not chunk:
                break
            first += len(chunk)
            yield chunk


def _read(file: BinaryIO, position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)
