"""ASGI middleware: further libraries of one server, each below a path of its own.

The first library is at ``/``, another one at ``/libraries/NAME/``, page and API alike. What comes there is answered by
the other library's application as if it were asked alone, so that nothing but this module knows of the path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["LibraryPaths", "library_address", "library_names"]

_PREFIX = "/libraries/"


def library_names(folders: Iterable[Path]) -> list[str]:
    """A name for each library, in the order given: that of its folder, with a number where several share it.

    >>> library_names([Path("a/birds.loom"), Path("b/birds.loom"), Path("rain")])
    ['birds', 'birds-2', 'rain']
    """
    names: list[str] = []
    for folder in folders:
        stem = folder.name.removesuffix(".loom") or "library"
        number = 1
        while (name := stem if number == 1 else f"{stem}-{number}") in names:
            number += 1
        names.append(name)
    return names


def library_address(name: str, *, first: bool) -> str:
    """The path below which a library's page and API are."""
    return "/" if first else f"{_PREFIX}{name}/"


class LibraryPaths:
    """Passes requests for other libraries to their applications.

    Args:
        app: the application of the first library.
        others: name -> application of another one.
    """

    def __init__(self, app: ASGIApp, others: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by the library that its path names."""
        answering, path = self._app, scope.get("path", "")
        if scope["type"] == "http" and path.startswith(_PREFIX):
            name, _, rest = path.removeprefix(_PREFIX).partition("/")
            if name in self._others:
                answering, scope = (
                    self._others[name],
                    {**scope, "path": f"/{rest}", "raw_path": quote(f"/{rest}").encode()},
                )
        await answering(scope, receive, send)
