"""The ASGI application: routes, middleware and error handlers put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

import soundloom
from soundloom.library import Library
from soundloom.server.http.compression import Compression
from soundloom.server.http.error_responses import add_handlers
from soundloom.server.http.head_requests import HeadRequests
from soundloom.server.http.library_paths import LibraryPaths, library_address, library_names
from soundloom.server.http.limits import RequestLimits
from soundloom.server.http.metrics import ObservedRequests, RequestMetrics
from soundloom.server.http.security import Guard
from soundloom.server.routes import annotations as annotation_routes
from soundloom.server.routes import (
    chosen_segments,
    detectors,
    duplicates,
    jobs,
    map,
    operations,
    search,
    segments,
    status,
    tags,
    uploads,
)
from soundloom.server.routes.page import page_routes
from soundloom.server.schemas import ServedLibrary
from soundloom.server.service import Service
from soundloom.server.settings import ServerSettings

__all__ = ["API", "create_app"]

API = "/api/v1"

_RESOURCES = (
    status,
    search,
    segments,
    uploads,
    tags,
    chosen_segments,
    map,
    jobs,
    annotation_routes,
    detectors,
    duplicates,
)


def create_app(library: Library, settings: ServerSettings | None = None, *, beside: Sequence[Library] = ()) -> FastAPI:
    """The ASGI application that serves a library, and others beside it.

    Its lifespan ends the child processes and forgets the uploads; a server runs it, and so does a test client that
    is used as a context manager.

    Args:
        library: what is served.
        settings: address, token and limits.
        beside: other libraries, each below ``/libraries/NAME/``.
    """
    settings = settings or ServerSettings()
    libraries = [library, *beside]
    names = library_names(one.folder for one in libraries)
    served = [
        ServedLibrary(name=name, address=library_address(name, first=not number)) for number, name in enumerate(names)
    ]
    services = [Service(one, settings, served) for one in libraries]
    # One cookie opens them all.
    owner = "\0".join(str(one.folder) for one in libraries)
    first, *others = [_library_app(service, settings, owner, services) for service in services]
    if others:
        first.add_middleware(LibraryPaths, others=dict(zip(names[1:], others, strict=True)))
    return first


def _library_app(service: Service, settings: ServerSettings, owner: str, services: Sequence[Service]) -> FastAPI:
    """The application of one library; the end of its lifespan closes all services."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            for one in services:
                one.close()

    # FastAPI's own pages of documentation load scripts from another host.
    app = FastAPI(
        title="soundloom",
        version=soundloom.__version__,
        description="Search, map and tag a library of sounds.",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.metrics = RequestMetrics()
    api = APIRouter(prefix=API)
    for resource in _RESOURCES:
        api.include_router(resource.routes)
    app.include_router(api)
    app.include_router(operations.routes)
    app.include_router(page_routes(settings.page))
    add_handlers(app, service.library.check_present)
    # The last one added is called first.
    app.add_middleware(HeadRequests)
    app.add_middleware(Compression)
    app.add_middleware(RequestLimits, settings=settings, uploads=f"{API}/uploads")
    app.add_middleware(Guard, settings=settings, library=owner)
    app.add_middleware(ObservedRequests, metrics=app.state.metrics, prefix=API)
    return app
