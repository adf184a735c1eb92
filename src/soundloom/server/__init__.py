"""The HTTP API and the page over a library: every answer is a call of the library's own API.

    from soundloom.server import ServerSettings, create_app, serve

    serve(library, ServerSettings())  # until interrupted
    app = create_app(library, ServerSettings())  # an ASGI application, for any server

Needs the extra ``serve``. Nothing heavy is imported until one of the names is used: the child processes that
decode (:mod:`soundloom.server.media.decode_worker`) live in this package too, and must start at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from soundloom.errors import MissingExtraError

if TYPE_CHECKING:
    from soundloom.server.app import create_app
    from soundloom.server.run import serve
    from soundloom.server.settings import ServerSettings

__all__ = ["ServerSettings", "create_app", "serve"]

_HOMES = {"ServerSettings": "settings", "create_app": "app", "serve": "run"}
_EXTRA = {"fastapi": "fastapi", "starlette": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        if name != "ServerSettings":
            # FastAPI asks for it only when the first upload route is made, and then with an error of its own.
            import_module("python_multipart")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise MissingExtraError(_EXTRA[error.name], "serve", "the server") from None


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
