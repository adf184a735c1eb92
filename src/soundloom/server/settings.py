"""Settings of a server: address, token, accepted hosts, limits and deadlines."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from soundloom.errors import InvalidArgumentError

__all__ = ["PAGE", "ServerSettings", "is_loopback", "scheme_and_name"]

PAGE = Path(__file__).parent / "page"
"""Where the built page lies."""

_SHORTEST_TOKEN = 16
_ALLOWED = re.compile(r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?/?")


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """The settings of one server.

    Attributes:
        host: the address to listen on.
        port: the port; 0 lets the system choose.
        token: what clients must send; None on a loopback address only.
        allowed_hosts: further names that the server answers to, such as that of a proxy; ``https://NAME`` where the
            proxy speaks https.
        upload_bytes: the largest upload.
        upload_seconds: the longest sound that may be uploaded.
        upload_wait: seconds that an upload may take to arrive.
        decode_wait: seconds that an upload may take to be decoded.
        uploads_kept: how many uploads are remembered; the one asked for longest ago is forgotten first.
        uploads_bytes: what they may take on disk together.
        body_bytes: the largest request of any other kind.
        body_wait: seconds that it may take to arrive.
        head_wait: seconds that the head of a request may take to arrive.
        idle_wait: seconds that a connection is kept between requests.
        stall_wait: seconds after which a client that does not read its answer is disconnected.
        drain_wait: whole seconds that requests being answered may still take when the server is stopped.
        connections: how many there may be at a time: half of them for clients that have shown the token.
        connections_per_client: how many of each kind one client address may have.
        cache_bytes: how much of what was made of sounds (thumbnails, transcoded files) is kept on disk.
        cache: where it is kept; the user's cache if not given.
        searches: how many searches are computed at a time; the others wait.
        page: the folder of the built page.
        log_json: log requests, warnings and errors as lines of JSON on standard error; else errors only, as text.

    Raises:
        InvalidArgumentError: an address that others can reach without a token, a token that can be guessed, or a
            bound that is not positive.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    upload_bytes: int = 64 * 2**20
    upload_seconds: float = 600.0
    upload_wait: float = 120.0
    decode_wait: float = 20.0
    uploads_kept: int = 64
    uploads_bytes: int = 2**30
    body_bytes: int = 8 * 2**20
    body_wait: float = 30.0
    head_wait: float = 10.0
    idle_wait: float = 30.0
    stall_wait: float = 60.0
    drain_wait: int = 5
    connections: int = 512
    connections_per_client: int = 128
    cache_bytes: int = 2 * 2**30
    cache: Path | None = None
    searches: int = max(2, os.cpu_count() or 1)
    page: Path = PAGE
    log_json: bool = False

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise InvalidArgumentError(
                f"the address {self.host!r} can be reached by others, so a token is needed: give one, or listen on "
                "127.0.0.1"
            )
        if self.token is not None and (len(self.token) < _SHORTEST_TOKEN or not self.token.isascii()):
            raise InvalidArgumentError(
                f"the token must be {_SHORTEST_TOKEN} ASCII characters or more, got {len(self.token)}: "
                "make one with python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        if not 0 <= self.port < 2**16:
            raise InvalidArgumentError(f"port must lie between 0 and 65535, got {self.port}")
        bounds = (
            *("upload_bytes", "upload_seconds", "upload_wait", "decode_wait"),
            *("uploads_kept", "uploads_bytes", "body_bytes", "body_wait", "cache_bytes", "searches"),
            *("head_wait", "idle_wait", "stall_wait", "drain_wait", "connections_per_client"),
        )
        for name in bounds:
            if not getattr(self, name) > 0:
                raise InvalidArgumentError(f"{name} must be positive, got {getattr(self, name)}")
        if self.connections < 2:
            raise InvalidArgumentError(f"connections must be at least 2, got {self.connections}")
        for host in self.allowed_hosts:
            scheme_and_name(host)


def scheme_and_name(host: str) -> tuple[str, str]:
    """Scheme and name of a host to answer to.

    >>> scheme_and_name("sounds.lan"), scheme_and_name("https://sounds.lan")
    (('http', 'sounds.lan'), ('https', 'sounds.lan'))

    Raises:
        InvalidArgumentError: not a host name or address.
    """
    if ":" in host and _is_ipv6(host):
        return "http", host
    match = _ALLOWED.fullmatch(host)
    if match is None:
        raise InvalidArgumentError(
            f"allowed hosts are names or addresses, as in sounds.lan or https://sounds.lan; got {host!r}"
        )
    return match[1] or "http", match[2]


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
