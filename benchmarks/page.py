"""How fast the page is, in a real browser.

    python -m benchmarks.page [--rows 100000] [--points 1000000] [--searches 40] [--quick] [--json OUT]

A headless Chromium without a graphics card, on the same machine as the server: the page is composed in software, as
Chromium does it there, and WebGL is drawn by SwiftShader. (Were the page itself composed by SwiftShader as well, which
``--use-angle=swiftshader`` asks for, every picture of it would cost four times as much.)

* search: from the wish for *more like this* to the frame that shows its cards, by the page's own User Timing measure
  (web/src/lib/painted.ts), over a library of clustered random rows (those of `benchmarks.search`) behind the real
  server. Thumbnails are sent and shown, though not waited for; they are stand-ins, for these rows have no files.
* first view: the bytes over the wire of the page with its first fifty cards, an empty cache; the stand-ins are noise,
  which compresses worse than sounds do.
* text: from Enter in the field to the painted files that a name or a tag found.
* steer: the same, from a slider's movement to the reordered cards, arrow key after arrow key.
* map: from asking for the points to the first frame that shows some of them, and to the one that shows all; then,
  while the mouse drags the map about, the time from one new picture to the next. The points come from a stand-in that
  only sends bytes, so that the figures are the page's.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import uvicorn
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from benchmarks.search import clustered, filled
from benchmarks.serving import DIM, served
from benchmarks.timing import machine, write_json
from soundloom.server.settings import PAGE

BROWSER = ["--no-sandbox", "--enable-unsafe-swiftshader"]
SMALL = 1000
TEXTS = ("tag-1", "00012", "tag-7", "0009", "000", "tag-3 0001")
"""Of names and tags that `benchmarks.search` gives its rows."""
SENT = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .reduce((sum, { transferSize }) => sum + transferSize, 0)"""
WATCH = """
window.measured = [];
new PerformanceObserver((list) => {
  for (const { name, duration } of list.getEntries()) window.measured.push([name, duration]);
}).observe({ entryTypes: ['measure'] });
window.pictures = [];
window.portions = [];
const { clear, drawElements } = WebGL2RenderingContext.prototype;
WebGL2RenderingContext.prototype.clear = function (bits) {
  window.pictures.push(performance.now());
  clear.call(this, bits);
};
WebGL2RenderingContext.prototype.drawElements = function (mode, count, type, offset) {
  window.portions.push([performance.now(), offset / 4 + count]);
  drawElements.call(this, mode, count, type, offset);
};
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description="time the page in a browser")
    parser.add_argument("--rows", type=int, default=100_000, help="of the large library (%(default)s)")
    parser.add_argument("--points", type=int, default=1_000_000, help="of the map (%(default)s)")
    parser.add_argument("--searches", type=int, default=40, help="and slider movements (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="few of each: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rows, options.points, options.searches = 2000, 50_000, 5
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        Console().print("skipped: no chromium on this machine")
        return

    figures: list[dict[str, object]] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER)
        for rows in (SMALL, options.rows):
            with TemporaryDirectory() as temporary:
                filled(Path(temporary) / "library.loom", clustered(rows, DIM)).index()
                with served(Path(temporary)) as (address, _):
                    page = opened(browser, address)
                    figures += [{"over": f"{rows:,} rows", **told} for told in searched(page, options.searches)]
                    page.close()
        with sending(points(options.points)) as address:
            page = opened(browser, address)
            figures += [{"over": f"{options.points:,} points", **told} for told in mapped(page, options.points)]
            page.close()
        browser.close()
    report(figures, options.json)


def report(figures: Sequence[Mapping[str, object]], out: Path | None) -> None:
    """Print the figures as a table, and write them into a file if one is named."""
    table = Table("over", "figure", "p50", "p95", "target", title=f"{machine()['processor']}, software rendering")
    for told in figures:
        table.add_row(*(f"{value:,.0f}" if isinstance(value, float) else str(value) for value in told.values()))
    Console(width=120).print(table)
    if out is not None:
        write_json(out, figures)


def opened(browser: Any, address: str) -> Page:
    page: Page = browser.new_page(base_url=address, viewport={"width": 1400, "height": 900})
    page.set_default_timeout(120_000)
    page.add_init_script(WATCH)
    return page


def told(figure: str, taken: Sequence[float], target: str) -> dict[str, object]:
    p50, p95 = np.percentile(taken, [50, 95])
    return {"figure": figure, "p50": float(p50), "p95": float(p95), "target": target}


def measures(page: Page, name: str, least: int) -> list[float]:
    page.wait_for_function(
        "([name, least]) => window.measured.filter(([of]) => of === name).length >= least", arg=[name, least]
    )
    return [duration for of, duration in page.evaluate("window.measured") if of == name]


def searched(page: Page, times: int) -> Iterator[dict[str, object]]:
    """Open the page, follow one sound to another, move a slider, then look for texts."""
    page.goto("/", wait_until="networkidle")
    yield told("first view, kB over the wire", [page.evaluate(SENT) / 1000], "200")
    warm = 3
    for number in range(times + warm):
        measures(page, "search", number + 1)
        page.locator("[data-card] .body").nth(1 + number % 8).click()
    taken = measures(page, "search", times + warm + 1)[warm + 1 :]
    slider = page.locator("[data-key=slider]").first
    slider.focus()
    for number in range(times):
        slider.press("ArrowRight" if number % 20 < 10 else "ArrowLeft")
        measures(page, "steer", number + 1)
    yield told("search to painted cards, ms", taken, "150 / 300")
    yield told("slider to reordered cards, ms", measures(page, "steer", times), "p95 100")
    page.goto("/")
    field = page.get_by_role("combobox", name="Find")
    for number in range(times + warm):
        measures(page, "search", number + 1)
        field.fill(TEXTS[number % len(TEXTS)])
        field.press("Enter")
    yield told("text to painted cards, ms", measures(page, "search", times + warm + 1)[warm + 1 :], "100")


def mapped(page: Page, count: int) -> Iterator[dict[str, object]]:
    """Open the map, wait until it is whole, drag it about."""
    page.goto("/?view=map")
    first = measures(page, "map", 1)
    began = page.evaluate("performance.getEntriesByName(location.origin + '/api/v1/map')[0].startTime")
    page.wait_for_function("count => window.portions.some(([, drawn]) => drawn >= count)", arg=count)
    whole = page.evaluate("count => window.portions.find(([, drawn]) => drawn >= count)[0]", count) - began
    page.mouse.move(700, 450)
    page.mouse.down()
    page.evaluate("window.pictures = []")
    end = time.perf_counter() + 5
    step = 0
    while time.perf_counter() < end:
        step += 1
        page.mouse.move(700 + 200 * np.sin(step / 20), 450 + 120 * np.cos(step / 31))
    page.mouse.up()
    between = np.diff(page.evaluate("window.pictures"))
    yield told("map, first paint, ms", first, "3000")
    yield told("map, all points, ms", [whole], "")
    yield told("map, picture to picture while panning, ms", between.tolist(), "reported")


def points(count: int) -> bytes:
    """A map as the server sends it: clusters of several widths."""
    chance = np.random.default_rng(0)
    cluster = chance.integers(40, size=count)
    centre, width = chance.uniform(-0.8, 0.8, (40, 2)), chance.uniform(0.02, 0.12, 40)
    place = (centre[cluster] + width[cluster, None] * chance.standard_normal((count, 2))).clip(-1, 1).astype("<f4")
    kind = cluster.astype("<u2").tobytes()
    return b"SLM1" + struct.pack("<I", count) + place[:, 0].tobytes() + place[:, 1].tobytes() + kind + kind


@contextmanager
def sending(content: bytes) -> Iterator[str]:
    """A stand-in for the server that knows the page and one map."""
    names = [f"cluster {number}" for number in range(40)]
    library = {"name": "stand-in", "model": "none", "parts": [], "segments": 0, "files": 0, "seconds": 0.0}
    about = {"computed": True, "stale": False, "n": 0, "folders": names, "clusters": names, "tags": []}
    answers: dict[str, Any] = {
        "library": {**library, "failures": 0, "tags_searchable": False, "version": "0", "folders": []},
        "search": {"hits": [], "total": 0, "milliseconds": 0.0},
        "map/about": about,
        "map/at": {"segments": []},
    }

    def answer(name: str) -> Route:
        return Route(f"/api/v1/{name}", lambda _: JSONResponse(answers[name]), methods=["GET", "POST"])

    sent = Route("/api/v1/map", lambda _: Response(content, media_type="application/octet-stream"))
    routes = [*map(answer, answers), sent, Mount("/", StaticFiles(directory=PAGE, html=True))]
    with running(Starlette(routes=routes)) as address:
        yield address


@contextmanager
def running(application: Any) -> Iterator[str]:
    """Serve an application on a free port of this machine."""
    # Named as in soundloom.server.run, or every answer would take 40 ms more.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
