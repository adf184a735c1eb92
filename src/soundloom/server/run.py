"""Running the server until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from soundloom.errors import SoundloomError
from soundloom.library import Library
from soundloom.server.app import create_app
from soundloom.server.settings import ServerSettings

__all__ = ["serve"]

_CONNECTIONS = 512
"""Further ones are told that the server is busy."""


def serve(
    library: Library, settings: ServerSettings | None = None, *, ready: Callable[[str], None] | None = None
) -> None:
    """Serve a library until interrupted.

    The model is loaded and the search index built before the first request, so that what is wrong shows at once.

    Args:
        library: what is served.
        settings: where, and to whom.
        ready: called with the page's address, token included, when requests are taken.

    Raises:
        SoundloomError: the address cannot be listened on, or the library cannot be used.
    """
    settings = settings or ServerSettings()
    _ = library.model
    library.index()
    listening = _listening(settings)
    port = listening.getsockname()[1]
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "") else settings.host
    address = f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"
    server = _Server(
        uvicorn.Config(
            create_app(library, settings),
            log_level="warning",
            access_log=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=3,
            server_header=False,
            proxy_headers=False,
        ),
        lambda: ready(address + (f"?token={settings.token}" if settings.token else "")) if ready else None,
    )
    with listening:
        server.run(sockets=[listening])


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


class _Server(uvicorn.Server):
    """Tells when it takes requests."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()
