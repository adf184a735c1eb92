"""Deadlines, per-client limits and fair eviction of HTTP connections, around uvicorn's HTTP/1.1 protocol.

uvicorn bounds neither the time in which a request head arrives nor the time in which an answer is read, and its own
limit of connections refuses everybody once it is reached. Here a connection is always in one of three phases:

    HEAD     a request head is awaited          `head_wait` seconds, which further bytes do not renew
    ANSWER   the application answers            no deadline, but `stall_wait` seconds while the client reads nothing
    IDLE     kept alive after an answer         `idle_wait` seconds, or `head_wait` if not authenticated

A connection is unauthenticated until one of its requests has passed the checks of `soundloom.server.http.security`.
Unauthenticated connections share a room of their own. When it is full the oldest connection of the client address
that has most of them is closed, so that a new one is always accepted, and a client with the token is answered however
many others wait. Connections of the last second are spared, as the room may overflow for so long: a burst would
otherwise close connections whose request has arrived and not been read yet. Authenticated connections have a second
room, where only idle ones make place for new ones.

The protocol is wrapped, not inherited: of uvicorn only the constructor and `asyncio.Protocol` are used.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from soundloom.server.settings import ServerSettings

__all__ = ["CONNECTION", "Connection", "ConnectionPool", "client_network"]

CONNECTION = "soundloom.connection"
"""The key of the ASGI scope under which a request's `Connection` is found."""

_GRACE = 1.0
"""Seconds for which a new connection is not closed for another one."""
_OVERFLOW = 4
"""How many times the size of its room the unauthenticated connections may be in that time."""
_CLOSING = 2.0
"""Seconds in which a closed connection may send what is still in its buffer."""
_TOO_SLOW = b"the request did not arrive in time"
_TIMED_OUT = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_TOO_SLOW), _TOO_SLOW)
)


class Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()
    ANSWER = auto()
    IDLE = auto()


class Connection(asyncio.Protocol):
    """One client connection: passes everything on to uvicorn's protocol and keeps the deadlines.

    Args:
        pool: where it is counted.
        protocol: uvicorn's protocol of this connection.

    Attributes:
        peer: address and port of the client.
        network: the client that it counts for, `client_network`.
        authenticated: whether a request of it has passed the checks.
    """

    def __init__(self, pool: ConnectionPool, protocol: asyncio.Protocol) -> None:
        self._pool = pool
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._phase = Phase.HEAD
        self._received = False
        self._answers = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._made = self._loop.time()
        self.peer: tuple[str, int] = ("", 0)
        self.network = ""
        self.authenticated = False

    @property
    def busy(self) -> bool:
        """Whether a request of it is being answered."""
        return self._phase is Phase.ANSWER

    @property
    def age(self) -> float:
        """Seconds since it was made."""
        return self._loop.time() - self._made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, which may close another one."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        self.peer, self.network = (str(host), int(port)), client_network(str(host))
        self._protocol.connection_made(transport)
        self._pool.admit(self)
        self._enter(Phase.HEAD)

    def data_received(self, data: bytes) -> None:
        """Pass on what has arrived."""
        if self._phase is Phase.IDLE:
            self._enter(Phase.HEAD)
        self._received = True
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on that the client sends nothing more."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        assert self._transport is not None
        self._stalled = self._loop.call_later(self._pool.settings.stall_wait, self._transport.abort)
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """The client has read on."""
        if self._stalled is not None:
            self._stalled.cancel()
        self._protocol.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self._pool.forget(self)
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()
        self._protocol.connection_lost(error)

    def begin_answer(self) -> None:
        """Called when the application begins to answer a request."""
        self._answers += 1
        self._enter(Phase.ANSWER)

    def end_answer(self) -> None:
        """Called when it has answered; the next request of a pipeline may have begun already."""
        self._answers -= 1
        if not self._answers:
            self._received = False
            self._enter(Phase.IDLE)

    def authenticate(self) -> bool:
        """Called when a request has passed the checks; returns whether there is room for the connection."""
        return self._pool.promote(self)

    def abort(self) -> None:
        """Close the connection at once."""
        self._pool.forget(self)
        if self._transport is not None:
            self._transport.abort()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
        settings = self._pool.settings
        if phase is Phase.ANSWER:
            self._deadline = None
            return
        patient = phase is Phase.IDLE and self.authenticated
        self._deadline = self._loop.call_later(settings.idle_wait if patient else settings.head_wait, self._expire)

    def _expire(self) -> None:
        """Close a connection whose time is up; one that does not let itself be closed, at once."""
        assert self._transport is not None
        if self._transport.is_closing() or self._transport.get_write_buffer_size():
            self._transport.abort()
            return
        if self._phase is Phase.HEAD and self._received:
            self._transport.write(_TIMED_OUT)
        self._transport.close()
        self._deadline = self._loop.call_later(_CLOSING, self._transport.abort)


class _Room:
    """Connections that share a limit, by client and in the order of their last use.

    Args:
        size: how many there may be.
        per_client: how many of one client.
    """

    def __init__(self, size: int, per_client: int) -> None:
        self._size = size
        self._per_client = per_client
        self._count = 0
        self._clients: dict[str, dict[Connection, None]] = {}

    @property
    def count(self) -> int:
        """How many there are."""
        return self._count

    def surplus(self) -> dict[Connection, None] | None:
        """The connections of the client that has most, the oldest first, where there are too many; else None."""
        most = max(self._clients.values(), key=len, default={})
        return most if self._count > self._size or len(most) > self._per_client else None

    def no_room_for(self, connection: Connection) -> dict[Connection, None] | None:
        """The connections of which one has to go before this one comes; None if there is room."""
        mine = self._clients.get(connection.network, {})
        if len(mine) >= self._per_client:
            return mine
        return max(self._clients.values(), key=len) if self._count >= self._size else None

    def add(self, connection: Connection) -> None:
        """Add a connection, or mark it as used last."""
        self.discard(connection)
        self._clients.setdefault(connection.network, {})[connection] = None
        self._count += 1

    def discard(self, connection: Connection) -> None:
        """Remove a connection, if it is here."""
        mine = self._clients.get(connection.network, {})
        if connection in mine:
            del mine[connection]
            self._count -= 1
            if not mine:
                del self._clients[connection.network]


class ConnectionPool:
    """The connections of a server; used in the thread of its event loop only.

    Args:
        settings: limits and deadlines.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._strangers = _Room(settings.connections // 2, settings.connections_per_client)
        self._trusted = _Room(settings.connections // 2, settings.connections_per_client)
        self._most = _OVERFLOW * (settings.connections // 2)
        self._trimming: asyncio.TimerHandle | None = None
        self._by_peer: dict[tuple[str, int], Connection] = {}

    def protocol(self, **arguments: Any) -> Connection:
        """A connection around uvicorn's HTTP/1.1 protocol, made of uvicorn's arguments."""
        return Connection(self, H11Protocol(**arguments))

    def admit(self, connection: Connection) -> None:
        """Count a new connection, and close the oldest unauthenticated ones where there are too many."""
        self._strangers.add(connection)
        self._by_peer[connection.peer] = connection
        self._trim()

    def _trim(self) -> None:
        """Close surplus unauthenticated connections, now or when they are old enough."""
        while (surplus := self._strangers.surplus()) is not None:
            oldest = next(iter(surplus))
            if oldest.age < _GRACE and self._strangers.count < self._most:
                if self._trimming is None or self._trimming.when() < asyncio.get_running_loop().time():
                    self._trimming = asyncio.get_running_loop().call_later(_GRACE - oldest.age + 0.01, self._trim)
                return
            oldest.abort()

    def promote(self, connection: Connection) -> bool:
        """Count a connection as authenticated and used last; False where all others are busy."""
        if not connection.authenticated:
            rivals = self._trusted.no_room_for(connection)
            if rivals is not None:
                idle = next((one for one in rivals if not one.busy), None)
                if idle is None:
                    return False
                idle.abort()
            self._strangers.discard(connection)
            connection.authenticated = True
        self._trusted.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """A connection is closed."""
        self._strangers.discard(connection)
        self._trusted.discard(connection)
        if self._by_peer.get(connection.peer) is connection:
            del self._by_peer[connection.peer]

    def track(self, app: ASGIApp) -> Callable[[Scope, Receive, Send], Any]:
        """The same application; it reports answers to the connections that it finds in the scope."""

        async def tracked(scope: Scope, receive: Receive, send: Send) -> None:
            connection = self._by_peer.get(tuple(scope.get("client") or ("", 0)))
            if scope["type"] != "http" or connection is None:
                await app(scope, receive, send)
                return
            connection.begin_answer()
            try:
                await app({**scope, CONNECTION: connection}, receive, send)
            finally:
                connection.end_answer()

        return tracked


def client_network(host: str) -> str:
    """The client that an address counts for: itself, or its /64, which one IPv6 client has to itself.

    >>> client_network("192.0.2.7"), client_network("2001:db8:1:2:3::4"), client_network("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8:1:2::', '192.0.2.7')
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)
