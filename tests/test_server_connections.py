"""Clients that send slowly, read slowly or hold connections: what they lose, and that the owner is served meanwhile."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from helpers.server import API, write_sound
from soundloom.library import Library
from soundloom.server import ServerSettings
from soundloom.server.http.connections import client_network
from soundloom.server.run import prepare

TOKEN = "a-token-that-nobody-guesses"
HEAD = b"GET /api/v1/library HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("library")
    library = Library.create(folder / "sounds.loom", "mfcc")
    write_sound(folder / "sounds" / "a.wav", 300)
    library.add(folder / "sounds")
    return library


@contextmanager
def running(library: Library, cache: Path, **settings: Any) -> Iterator[int]:
    """The port of a real server of the library."""
    ready = threading.Event()
    server, listening = prepare(library, ServerSettings(port=0, cache=cache, **settings), lambda _: ready.set())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        assert ready.wait(30)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()


def connect(port: int, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(sent)
    return connection


def owner(port: int) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20))


def ask(connection: http.client.HTTPConnection, path: str = f"{API}/library") -> float:
    """Seconds until the answer."""
    began = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return time.perf_counter() - began


def left(connection: socket.socket) -> bytes:
    """All that the server sends until it closes the connection."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        connection.settimeout(20)


def test_the_owner_is_answered_while_others_hold_more_connections_than_there_are(
    library: Library, tmp_path: Path
) -> None:
    with running(library, tmp_path, host="0.0.0.0", token=TOKEN, connections=20) as port, ExitStack() as held:
        kept = held.enter_context(owner(port))
        ask(kept)
        slow = (b"", b"GET / HT", b"POST /api/v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\nx")
        strangers = [held.enter_context(connect(port, slow[number % 3])) for number in range(60)]
        assert ask(held.enter_context(owner(port))) < 1
        # The owner's connection was not closed for a stranger's: no new one is made.
        socket_before = kept.sock
        assert ask(kept) < 1
        assert kept.sock is socket_before
        time.sleep(1.3)
        # The oldest had to go, the newest are there: nobody is refused.
        idle = strangers[::3]
        assert [is_open(one) for one in idle[:8]] == [False] * 8
        assert is_open(idle[-1])


def test_a_burst_of_connections_does_not_close_one_whose_request_is_not_read_yet(
    library: Library, tmp_path: Path
) -> None:
    request = HEAD + b"Authorization: Bearer %s\r\nConnection: close\r\n\r\n" % TOKEN.encode()
    with running(library, tmp_path, host="0.0.0.0", token=TOKEN, connections=8) as port, ExitStack() as held:
        for _ in range(3):
            mine = held.enter_context(connect(port, request))
            for _ in range(10):
                held.enter_context(connect(port))
            assert left(mine).startswith(b"HTTP/1.1 200")


def test_who_is_refused_asks_once_a_connection(library: Library, tmp_path: Path) -> None:
    requests = 50 * (HEAD + b"\r\n")
    with running(library, tmp_path, host="0.0.0.0", token=TOKEN) as port, connect(port, requests) as stranger:
        assert left(stranger).count(b"HTTP/1.1 401") == 1


def test_one_client_takes_no_room_from_another(library: Library, tmp_path: Path) -> None:
    with running(library, tmp_path, host="0.0.0.0", token=TOKEN, connections=20) as port, ExitStack() as held:
        other = held.enter_context(socket.socket())
        other.bind(("127.0.0.2", 0))
        other.connect(("127.0.0.1", port))
        many = [held.enter_context(connect(port)) for _ in range(30)]
        time.sleep(1.3)
        assert is_open(other)
        assert sum(map(is_open, many)) == 9


def test_the_connections_of_a_client_are_limited(library: Library, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"host": "0.0.0.0", "token": TOKEN, "connections_per_client": 4}
    with running(library, tmp_path, **settings) as port, ExitStack() as held:
        many = [held.enter_context(connect(port)) for _ in range(10)]
        time.sleep(1.3)
        assert [is_open(one) for one in many] == [False] * 6 + [True] * 4
        owners = [held.enter_context(owner(port)) for _ in range(6)]
        for one in owners:
            ask(one)
        time.sleep(0.2)
        assert [is_open(one.sock) for one in owners] == [False] * 2 + [True] * 4


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHo", b"a"),
        (HEAD + b"Authorization: Bearer %s\r\n\r\n" % TOKEN.encode(), b""),
        (HEAD + b"Authorization: Bearer %s\r\nContent-Length: 100000\r\n\r\n" % TOKEN.encode(), b"a"),
    ],
    ids=["nothing", "trickled head", "kept alive", "trickled body that nobody asked for"],
)
def test_a_request_that_does_not_arrive_ends_its_connection(
    library: Library, tmp_path: Path, first: bytes, then: bytes
) -> None:
    with (
        running(library, tmp_path, host="0.0.0.0", token=TOKEN, head_wait=0.4, idle_wait=0.4) as port,
        connect(port, first) as slow,
    ):
        began = time.monotonic()
        with suppress(OSError):
            while time.monotonic() < began + 3:
                slow.sendall(then)
                time.sleep(0.05)
                if not then or not is_open(slow):
                    break
        left(slow)
        assert 0.3 < time.monotonic() - began < 2


def test_a_head_that_is_not_finished_is_answered(library: Library, tmp_path: Path) -> None:
    with running(library, tmp_path, head_wait=0.3) as port, connect(port, HEAD) as slow:
        answer = left(slow)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"the request did not arrive in time")


def test_a_body_that_trickles_is_refused_in_time(library: Library, tmp_path: Path) -> None:
    with running(library, tmp_path, body_wait=0.4, upload_wait=0.4) as port:
        for path, kind in (("tags/apply", "application/json"), ("uploads", "multipart/form-data; boundary=x")):
            head = f"POST {API}/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\n"
            form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
            with connect(port, head.encode() + b"Content-Length: 1000\r\n\r\n" + form) as slow:
                began = time.monotonic()
                with suppress(OSError):
                    for _ in range(6):
                        slow.sendall(b"-")
                        time.sleep(0.05)
                answer = left(slow)
                assert time.monotonic() < began + 15
                assert answer.startswith(b"HTTP/1.1 408")
                assert b"too_slow" in answer


def test_idle_connections_of_the_owner_are_kept_longer_and_not_for_ever(library: Library, tmp_path: Path) -> None:
    with running(library, tmp_path, token=TOKEN, head_wait=0.2, idle_wait=1.0) as port, owner(port) as connection:
        ask(connection)
        time.sleep(0.5)
        assert is_open(connection.sock)
        began = time.monotonic()
        assert left(connection.sock) == b""
        assert time.monotonic() < began + 15


def test_an_answer_that_is_not_read_is_given_up(tmp_path: Path) -> None:
    library = Library.create(tmp_path / "sounds.loom", "mfcc")
    size = write_sound(tmp_path / "sounds" / "long.wav", 300, seconds=300).stat().st_size
    library.add(tmp_path / "sounds")
    address = f"{API}/segments/{library.index().segments.at([0])[0].id}/audio"
    with running(library, tmp_path / "cache", stall_wait=0.5) as port, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", port))
        slow.sendall(f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        time.sleep(1.2)
        assert len(left(slow)) < size
        # Whoever reads gets the whole.
        with owner(port) as reader:
            reader.request("GET", address)
            assert len(reader.getresponse().read()) == size


def test_pipelined_requests_are_all_answered(library: Library, tmp_path: Path) -> None:
    with running(library, tmp_path, head_wait=0.5) as port:
        request = HEAD.replace(b"127.0.0.1", b"127.0.0.1:%d" % port)
        with connect(port, 5 * (request + b"\r\n") + request + b"Connection: close\r\n\r\n") as one:
            assert left(one).count(b"HTTP/1.1 200") == 6


def test_addresses_count_for_the_client_that_has_them() -> None:
    assert client_network("2001:db8::1") == client_network("2001:db8::ffff:1") != client_network("2001:db8:0:1::1")
    assert client_network("fe80::1%eth0") == client_network("fe80::2")
    assert client_network("192.0.2.1") != client_network("192.0.2.2")
