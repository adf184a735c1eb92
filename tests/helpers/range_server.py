"""HTTP server of files in memory that honours ranges, counts the bytes it sends, and fails when it is told to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class FileServer:
    """Files by name, and what was asked of them.

    Attributes:
        files: name -> content.
        address: of the server.
        sent: bytes of content sent.
        requests: ranges asked for.
        failures: answers of 503 that come next.
        cut: answers that end after half of what they promise, that come next.
        ranges: whether ranges are known.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.address = ""
        self.sent = self.failures = self.cut = 0
        self.requests: list[str] = []
        self.ranges = True


@contextmanager
def serving_files(files: Mapping[str, bytes]) -> Iterator[FileServer]:
    """A server on this machine while the context lasts."""
    state = FileServer(files)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            state.requests.append(asked)
            content = state.files.get(self.path.removeprefix("/"))
            if content is None or state.failures:
                state.failures -= content is not None
                self.send_error(404 if content is None else 503)
                return
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked) if state.ranges else None
            first, last = (0, len(content) - 1) if found is None else (int(found[1]), int(found[2]))
            part = content[first : last + 1]
            self.send_response(200 if found is None else 206)
            if found is not None:
                self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
            self.send_header("ETag", f'"{hash(content)}"')
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if state.cut:
                state.cut -= 1
                part = part[: len(part) // 2]
            state.sent += len(part)
            self.wfile.write(part)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
