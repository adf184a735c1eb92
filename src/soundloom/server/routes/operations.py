"""Routes for the operator of a server: liveness, readiness and metrics (Prometheus's text format).

``/health`` and ``/ready`` need no token, as the probes of proxies and orchestrators have none; they reveal nothing.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

import soundloom
from soundloom.server.http.metrics import CONTENT_TYPE, RequestMetrics, metric_lines
from soundloom.server.service import Service, ServiceDep

__all__ = ["routes"]

routes = APIRouter(include_in_schema=False)

_STARTED = time.time()


@routes.get("/health")
async def health() -> Response:
    """Whether the process answers: always."""
    return JSONResponse({"status": "alive"})


@routes.get("/ready")
async def ready(service: ServiceDep) -> Response:
    """Whether searches can be answered: the library is there and its index is loaded."""
    await service.run("search", service.library.index)
    return JSONResponse({"status": "ready"})


@routes.get("/metrics")
async def metrics(request: Request) -> Response:
    """Requests, work in progress, the size of the library, and the process's own use of the machine."""
    service: Service = request.app.state.service
    requests: RequestMetrics = request.app.state.metrics
    lines = [*requests.lines(), *_library(service), *_process()]
    return PlainTextResponse("\n".join(lines) + "\n", media_type=CONTENT_TYPE)


def _library(service: Service) -> list[str]:
    model = {"version": soundloom.__version__, "model": service.library.settings.model}
    waiting = [("", {"pool": pool}, count) for pool, count in service.in_progress.items()]
    lines = [
        *metric_lines("soundloom_build_info", "gauge", "Version and model.", [("", model, 1)]),
        *metric_lines("soundloom_work_in_progress", "gauge", "Pieces of work being done or waiting, by pool.", waiting),
    ]
    # As it was seen last: a scrape neither reads the store nor waits for it.
    latest = service.latest_catalogue
    if latest is not None:
        lines += _one("soundloom_library_segments", "gauge", "Segments in the library.", len(latest.segments))
        lines += _one("soundloom_library_files", "gauge", "Files in the library.", latest.files)
    return lines


def _process() -> list[str]:
    lines = [
        *_one("process_cpu_seconds_total", "counter", "Processor time, user and system.", time.process_time()),
        *_one("process_start_time_seconds", "gauge", "Start, in Unix time.", _STARTED),
    ]
    pages = Path("/proc/self/statm")
    if pages.exists():
        resident = int(pages.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        lines += _one("process_resident_memory_bytes", "gauge", "Resident memory.", resident)
    return lines


def _one(name: str, kind: str, text: str, value: float) -> list[str]:
    return metric_lines(name, kind, text, [("", {}, value)])
