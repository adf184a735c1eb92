"""A web server on the loopback interface, with the manners, good and bad, of those that publish checkpoints."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Shelf:
    """What the server serves at its one address.

    Attributes:
        content: the file.
        ranges: whether it honours Range.
        etag: the validator it sends; empty for none.
        length: whether it says how long the file is.
        cuts: for each request in turn, after how many bytes of the body the connection breaks; then no more.
        status: an error to answer with, for the first ``failures`` requests.
        failures: how many requests fail with ``status``; -1 for all.
        silence: seconds before it answers.
        pause: seconds between pieces of 1000 bytes.
        shift: bytes by which its ranges are wrong.
    """

    content: bytes
    ranges: bool = True
    etag: str = '"one"'
    length: bool = True
    cuts: list[int] = field(default_factory=list)
    status: int = 404
    failures: int = 0
    silence: float = 0.0
    pause: float = 0.0
    shift: int = 0
    address: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0


@contextmanager
def serving(shelf: Shelf) -> Iterator[Shelf]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shelf.requests.append(dict(self.headers.items()))
            time.sleep(shelf.silence)
            if shelf.failures:
                shelf.failures -= 1
                self.send_error(shelf.status)
                return
            start = 0
            if shelf.ranges and "Range" in self.headers and self.headers.get("If-Range", shelf.etag) == shelf.etag:
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")) + shelf.shift
                if start >= len(shelf.content):
                    self.send_error(416)
                    return
            body = shelf.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(shelf.content) - 1}/{len(shelf.content)}")
            if shelf.length:
                self.send_header("Content-Length", str(len(body)))
            if shelf.etag:
                self.send_header("ETag", shelf.etag)
            self.end_headers()
            body = body[: shelf.cuts.pop(0)] if shelf.cuts else body
            piece = 1000 if shelf.pause else max(len(body), 1)
            try:
                for at in range(0, len(body), piece):
                    self.wfile.write(body[at : at + piece])
                    shelf.sent += len(body[at : at + piece])
                    time.sleep(shelf.pause)
            except OSError:
                pass  # the client has gone: some tests kill it

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    shelf.address = f"http://127.0.0.1:{server.server_port}/weights.pth"
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
