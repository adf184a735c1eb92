"""Server process, run until interrupted: uvicorn, with the deadlines and limits of `ConnectionPool`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from soundloom.errors import SoundloomError
from soundloom.library import Library
from soundloom.server.app import create_app
from soundloom.server.http.connections import ConnectionPool
from soundloom.server.http.json_log import log_json
from soundloom.server.settings import ServerSettings

__all__ = ["prepare", "serve"]

_DAY = 86400
_FILES_ASIDE = 512
"""Files that the server may have open beside its connections."""


def serve(
    library: Library,
    settings: ServerSettings | None = None,
    *,
    beside: Sequence[Library] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a library, and others beside it, until interrupted.

    The model is loaded and the search index built before the first request, so that what is wrong shows at once.

    Args:
        library: what is served.
        settings: address, token and limits.
        beside: as for `create_app`.
        ready: called with the page's address, token included, when requests are taken.

    Raises:
        SoundloomError: the address cannot be listened on, or the library cannot be used.
    """
    server, listening = prepare(library, settings or ServerSettings(), ready, beside)
    with listening:
        server.run(sockets=[listening])


def prepare(
    library: Library,
    settings: ServerSettings,
    ready: Callable[[str], None] | None = None,
    beside: Sequence[Library] = (),
) -> tuple[uvicorn.Server, socket.socket]:
    """A server that does not run yet and the socket that it is to listen on; as `serve`."""
    if settings.log_json:
        log_json()
    for one in (library, *beside):
        _ = one.model
        one.index()
    listening = _listening(settings)
    port = listening.getsockname()[1]
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "") else settings.host
    address = f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"
    _allow_open_files(3 * settings.connections + _FILES_ASIDE)
    connections = ConnectionPool(settings)
    config = uvicorn.Config(
        connections.track(create_app(library, settings, beside=beside)),
        http=cast(type[asyncio.Protocol], connections.protocol),
        interface="asgi3",
        ws="none",
        # What clients send wrong is answered, not logged.
        log_level="error",
        log_config=None if settings.log_json else LOGGING_CONFIG,
        access_log=False,
        # The connections keep their own deadlines.
        timeout_keep_alive=_DAY,
        timeout_graceful_shutdown=settings.drain_wait,
        server_header=False,
        proxy_headers=False,
    )
    page = address + (f"?token={settings.token}" if settings.token else "")
    return _Server(config, (lambda: ready(page)) if ready else lambda: None), listening


def _listening(settings: ServerSettings) -> socket.socket:
    """The socket to listen on; bound, so that an address that is taken shows at once.

    The protocol is named because asyncio sends small answers at once (TCP_NODELAY) only on sockets that say that they
    are TCP. Else the body of an answer waits until its head is acknowledged, for which clients take 40 ms.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise SoundloomError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): choose another port with --port, "
            "0 for any that is free"
        ) from None
    return listening


def _allow_open_files(count: int) -> None:
    """Raise the process's limit of open files, if it is lower and may be raised; some systems begin with 256."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        highest = count if hard == resource.RLIM_INFINITY else min(count, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))


class _Server(uvicorn.Server):
    """Reports when it accepts requests."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()
