"""Errors as answers: one shape for all of them, with a code for programs and a sentence for people."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from soundloom.errors import AudioError, LibraryError, ModelError, QueryError, SoundloomError
from soundloom.server.schemas import ErrorResponse

__all__ = ["ApiError", "add_handlers", "answer", "documented"]

_log = logging.getLogger(__name__)

_CODES = {
    400: "bad_request",
    401: "unauthorised",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    413: "too_large",
    415: "not_audio",
    416: "no_such_range",
    421: "wrong_host",
    422: "invalid",
    500: "defect",
    501: "not_possible",
    503: "busy",
}

_STATUS: tuple[tuple[type[SoundloomError], int, str], ...] = (
    (QueryError, 422, "bad_query"),
    (AudioError, 422, "unreadable"),
    (LibraryError, 409, "library"),
    (ModelError, 409, "model"),
    (SoundloomError, 409, "refused"),
)
"""Kind of error -> status and code; the first that fits."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of these statuses, and of those that any request may meet."""
    every = sorted({400, 401, 403, 408, 413, 421, 422, *statuses})
    return {status: {"model": ErrorResponse, "description": _CODES[status].replace("_", " ")} for status in every}


class ApiError(HTTPException):
    """A request that is refused, with a code of its own."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.code = code
        super().__init__(status, message)


def answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error as every error looks."""
    # What was asked may be repeated in it, and JSON can hold halves of characters, which no answer can.
    told = message.encode("utf-8", "backslashreplace").decode("utf-8")
    return JSONResponse({"error": {"code": code, "message": told}}, status, headers)


def add_handlers(app: FastAPI) -> None:
    """Make an application answer errors in that shape."""

    @app.exception_handler(StarletteHTTPException)
    async def http(_: Request, error: StarletteHTTPException) -> Response:
        code = error.code if isinstance(error, ApiError) else _CODES.get(error.status_code, "refused")
        return answer(error.status_code, code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        return answer(422, "invalid", f"the request is not understood: {told[:500]}")

    @app.exception_handler(SoundloomError)
    async def ours(_: Request, error: SoundloomError) -> Response:
        status, code = next((status, code) for kind, status, code in _STATUS if isinstance(error, kind))
        return answer(status, code, str(error))

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return answer(500, "defect", "the server has a defect: its log holds the details")
