"""Errors as HTTP answers of one shape: a code for programs and a sentence for people."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from soundloom.errors import (
    AudioError,
    ComponentError,
    InvalidArgumentError,
    LibraryAbsentError,
    LibraryError,
    MissingExtraError,
    ModelError,
    QueryError,
    SoundloomError,
)
from soundloom.option_hints import hints_for_page
from soundloom.server.http.validation_messages import describe
from soundloom.server.schemas import ErrorResponse

__all__ = ["ApiError", "add_handlers", "documented", "error_response"]

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
    (LibraryAbsentError, 503, "library_absent"),
    (QueryError, 422, "bad_query"),
    (InvalidArgumentError, 422, "bad_query"),
    (ComponentError, 422, "bad_query"),
    (AudioError, 422, "unreadable"),
    (LibraryError, 409, "library"),
    (ModelError, 409, "model"),
    (SoundloomError, 409, "refused"),
)
"""Class of error -> status and code; the first that fits."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of these statuses, and of those that any request may get."""
    every = sorted({400, 401, 403, 408, 413, 421, 422, 503, *statuses})
    return {status: {"model": ErrorResponse, "description": _CODES[status].replace("_", " ")} for status in every}


class ApiError(HTTPException):
    """Refuses a request, with a code of its own."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.code = code
        super().__init__(status, message)


def error_response(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error in the shape that all errors have."""
    # The message may repeat parts of the request, and JSON can hold halves of characters, which UTF-8 cannot.
    text = message.encode("utf-8", "backslashreplace").decode("utf-8")
    if status == 503:
        headers = {"Retry-After": "5", **(headers or {})}
    return JSONResponse({"error": {"code": code, "message": text}}, status, headers)


def add_handlers(app: FastAPI, check_present: Callable[[], None]) -> None:
    """Make an application answer errors in that shape.

    Args:
        app: the application.
        check_present: raises `LibraryAbsentError` where the library is gone, which then is the reported error,
            whatever came of it.
    """

    @app.exception_handler(StarletteHTTPException)
    async def http(_: Request, error: StarletteHTTPException) -> Response:
        code = error.code if isinstance(error, ApiError) else _CODES.get(error.status_code, "refused")
        return error_response(error.status_code, code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return error_response(422, "invalid", describe(error.errors()))

    @app.exception_handler(SoundloomError)
    async def known(_: Request, error: SoundloomError) -> Response:
        return _known(absence() or error)

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> Response:
        absent = absence()
        known = absent or MissingExtraError.of_torch(error)
        if known is not None:
            return _known(known)
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return error_response(500, "defect", "the server has a defect: its log holds the details")

    def absence() -> LibraryAbsentError | None:
        try:
            check_present()
        except LibraryAbsentError as absent:
            return absent
        return None


def _known(error: SoundloomError) -> Response:
    status, code = next((status, code) for kind, status, code in _STATUS if isinstance(error, kind))
    return error_response(status, code, hints_for_page(str(error)))
