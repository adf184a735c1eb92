"""Request metrics in Prometheus's text format (version 0.0.4), and the ASGI middleware that measures them."""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BUCKETS", "CONTENT_TYPE", "ObservedRequests", "RequestMetrics", "metric_lines"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of request times, in seconds."""

_log = logging.getLogger("soundloom.server.requests")

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Others are counted together: a client may send any word."""

Labels = Mapping[str, str]


class RequestMetrics:
    """Counts and times of the requests that were answered. Safe to read from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answered: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self.in_progress = 0

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            method: of the request.
            route: the path's pattern, of which there are few.
            status: of the answer.
            seconds: from the request's head to the end of the answer.
        """
        with self._lock:
            self._answered[method if method in _METHODS else "other", route, status] += 1
            self._buckets.setdefault(route, [0] * (len(BUCKETS) + 1))[bisect_left(BUCKETS, seconds)] += 1
            self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def lines(self) -> list[str]:
        """The metrics as text."""
        with self._lock:
            answered = sorted(self._answered.items())
            histograms = [
                (route, list(counts), self._seconds[route]) for route, counts in sorted(self._buckets.items())
            ]
        requests = [
            ("", {"method": method, "route": route, "status": str(status)}, count)
            for (method, route, status), count in answered
        ]
        times: list[tuple[str, Labels, float]] = []
        for route, counts, seconds in histograms:
            total = 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
                total += count
                times.append(("_bucket", {"route": route, "le": bound}, total))
            times += [("_sum", {"route": route}, seconds), ("_count", {"route": route}, total)]
        name = "soundloom_http_request"
        return [
            *metric_lines(f"{name}s_total", "counter", "Requests that were answered.", requests),
            *metric_lines(f"{name}_seconds", "histogram", "From a request's head to the end of its answer.", times),
            *metric_lines(f"{name}s_in_progress", "gauge", "Requests being answered.", [("", {}, self.in_progress)]),
        ]


def metric_lines(name: str, kind: str, text: str, samples: Iterable[tuple[str, Labels, float]]) -> list[str]:
    """The lines of one metric; each sample is the suffix of its name, its labels and its value.

    >>> metric_lines("files", "gauge", "Files.", [("", {"folder": 'a"b'}, 3)])
    ['# HELP files Files.', '# TYPE files gauge', 'files{folder="a\\\\"b"} 3']
    """
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for suffix, labels, value in samples:
        pairs = ",".join(f'{label}="{_escaped(one)}"' for label, one in labels.items())
        lines.append(f"{name}{suffix}{f'{{{pairs}}}' if pairs else ''} {value!r}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class ObservedRequests:
    """ASGI middleware: measures every request and logs it at the level INFO.

    The log has the path without its query, which may hold the token.

    Args:
        app: what answers.
        metrics: where requests are counted.
        prefix: of the routes that are included under it; releases of FastAPI differ in whether such a route knows it.
    """

    def __init__(self, app: ASGIApp, metrics: RequestMetrics, prefix: str) -> None:
        self._prefix = prefix
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status, size = 500, 0

        async def observed(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        self._metrics.in_progress += 1
        try:
            await self._app(scope, receive, observed)
        finally:
            self._metrics.in_progress -= 1
            seconds = time.perf_counter() - began
            self._metrics.add(scope["method"], self._route(scope), status, seconds)
            if _log.isEnabledFor(logging.INFO):
                _log.info("request", extra={"fields": _fields(scope, status, size, seconds)})

    def _route(self, scope: Scope) -> str:
        # What no route answers (refused, not found) counts together, or a scanner would make a metric of each try.
        route: str = getattr(scope.get("route"), "path", "none")
        within = scope["path"].startswith(f"{self._prefix}/") and not route.startswith(self._prefix)
        return self._prefix + route if within and route != "none" else route


def _fields(scope: Scope, status: int, size: int, seconds: float) -> dict[str, object]:
    headers = Headers(scope=scope)
    fields: dict[str, object] = {
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "bytes": size,
        "seconds": round(seconds, 6),
        "client": (scope.get("client") or ("",))[0],
    }
    for header in ("x-forwarded-for", "x-request-id"):
        if header in headers:
            fields[header.replace("-", "_")] = headers[header]
    return fields
