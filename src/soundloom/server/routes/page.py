"""Routes of the built page: index.html and its assets, shipped in the package."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from soundloom.server.http.error_responses import ApiError

__all__ = ["page_routes"]

_MISSING = """\
The API of this library runs at /api/v1 (its description: /api/v1/openapi.json).
The page is not built. In a checkout of soundloom, with Node at hand:

    make page

and load this address again.
"""
_NAME = re.compile(r"\w[\w.-]{0,199}", re.ASCII)
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""By our own table: a system's registry may call a script plain text, which browsers then refuse to run."""


_VIEWS = ("search", "map", "tag", "detect")
"""Views whose names are addresses too; /health is that of the server's own health."""


async def _view(request: Request) -> Response:
    """From an address typed by hand to the page's own, relative because libraries have paths of their own."""
    return RedirectResponse(f"./?view={request.scope['path'].rpartition('/')[2]}")


def page_routes(folder: Path) -> APIRouter:
    """The routes of the page that lies in a folder."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def index(request: Request) -> Response:
        file = folder / "index.html"
        if not file.is_file():
            return PlainTextResponse(_MISSING, headers={"Cache-Control": "no-store"})
        # Requested each time, and answered by 304 where unchanged: it names the assets of this version.
        page = FileResponse(
            file, media_type=_TYPES[".html"], headers={"Cache-Control": "no-cache"}, stat_result=file.stat()
        )
        known = request.headers.get("if-none-match", "").removeprefix("W/")
        if known == page.headers["etag"]:
            return Response(status_code=304, headers={"ETag": known, "Cache-Control": "no-cache"})
        return page

    for view in _VIEWS:
        routes.add_api_route(f"/{view}", _view)

    @routes.get("/assets/{name:path}")
    async def asset(request: Request, name: str) -> Response:
        assets = (folder / "assets").resolve()
        # One folder deep, as the build writes them; a link may not lead out of it.
        file = (assets / name).resolve() if _NAME.fullmatch(name) else assets
        if not (file.parent == assets and file.suffix in _TYPES and file.is_file()):
            raise ApiError(404, "not_found", f"the page has no {request.url.path[:200]!r}")
        # The build puts a hash of the content into the name, so that a copy is good for ever.
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return FileResponse(file, media_type=_TYPES[file.suffix], headers=headers)

    return routes
