"""A small library, the page over it, and a real browser that looks at it: for the tests of the page."""

from __future__ import annotations

import base64
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import BrowserContext, FloatRect, Locator, Page, expect, sync_playwright

from helpers.quick_map import without_umap
from soundloom.library import Library
from soundloom.server import ServerSettings, create_app
from soundloom.synth import write_set

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
AXE = files("axe_playwright_python") / "axe.min.js"
WEBGL = ["--enable-unsafe-swiftshader"]
PATIENCE = 30_000
"""Milliseconds; generous, because a busy machine is no fault of the page."""
expect.set_options(timeout=PATIENCE)

MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""A microphone that hears a beep a second, and somebody who lets it."""

SHOWN = """wanted => JSON.stringify(wanted) === JSON.stringify(
    [...document.querySelectorAll('[data-card]')].map((card) => card.dataset.card))"""


@contextmanager
def serving(folder: Path, beside: Sequence[Library] = ()) -> Iterator[str]:
    """The address of the page over a library of forty-eight sounds, and over others beside it."""
    write_set(folder / "sounds", count=3)
    library = Library.create(folder / "page.loom")
    library.add(folder / "sounds")
    with socket.socket() as listening, pytest.MonkeyPatch.context() as patch:
        without_umap(patch)
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        application = create_app(library, ServerSettings(port=port, cache=folder / "cache"), beside=beside)
        # An idle connection stays open: a request that meets its end is reset.
        config = uvicorn.Config(
            application, log_level="warning", timeout_keep_alive=24 * 3600, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()


@contextmanager
def browsing(address: str) -> Iterator[BrowserContext]:
    """A browser at that address."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *WEBGL, *MICROPHONE])
        opened = browser.new_context(base_url=address, color_scheme="dark", viewport={"width": 1280, "height": 800})
        opened.set_default_timeout(PATIENCE)
        yield opened
        browser.close()


@contextmanager
def watched(context: BrowserContext, address: str) -> Iterator[Page]:
    """A page that asks no other host and breaks no rule of the content security policy."""
    opened = context.new_page()
    strangers: list[str] = []
    complaints: list[str] = []
    opened.on("request", lambda asked: None if asked.url.startswith(address) else strangers.append(asked.url))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    # The browser itself reports every 4xx here; tests that provoke one look at what the page makes of it.
    opened.on(
        "console",
        lambda said: (
            complaints.append(said.text)
            if said.type == "error" and "Failed to load resource" not in said.text
            else None
        ),
    )
    yield opened
    opened.close()
    assert strangers == []
    assert complaints == []


def visit(page: Page, place: str = "/") -> None:
    page.goto(place)
    expect(page.locator("[data-ready=true]")).to_be_visible(timeout=PATIENCE)


def violations(page: Page) -> list[object]:
    """What axe finds wrong with the accessibility of what is shown, with some of the elements."""
    found: list[object] = page.evaluate(
        AXE.read_text("utf-8") + ";axe.run().then(({ violations }) => violations.map(({ id, nodes }) => "
        "[id, ...nodes.slice(0, 3).map(({ html, failureSummary }) => html.slice(0, 160) + failureSummary)]))"
    )
    return found


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file onto the page."""
    page.evaluate(
        """([name, content]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name));
            document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [name, base64.b64encode(content).decode()],
    )


def cards(page: Page, label: str = "Sounds") -> list[str]:
    shown = page.get_by_role("list", name=label, exact=True).locator("[data-card]")
    return shown.evaluate_all("cards => cards.map((card) => card.dataset.card)")


def names(page: Page, label: str = "Sounds") -> list[str]:
    return page.get_by_role("list", name=label, exact=True).locator(".name").all_inner_texts()


def asked(page: Page, path: str, **parameters: str) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    for _ in range(20):
        response = page.request.get(f"/api/v1{path}", params=parameters)
        answer = response.json()
        if response.status != 503:  # busy: the machine has other work
            break
        page.wait_for_timeout(1000)
    assert "error" not in answer, answer
    return answer


def first(page: Page, folder: str) -> str:
    return str(asked(page, "/search", folder=folder)["hits"][0]["id"])


def until(page: Page, condition: str, argument: object = None) -> None:
    page.wait_for_function(condition, arg=argument, timeout=PATIENCE)


def until_placed(fits: Callable[..., bool], *places: Locator) -> None:
    """Wait until the boxes of the places fit: an answer that comes late moves what stands below it."""
    end = time.monotonic() + PATIENCE / 1000
    while not fits(*(boxes := [_box(place) for place in places])):
        assert time.monotonic() < end, boxes
        places[0].page.wait_for_timeout(100)


def _box(place: Locator) -> FloatRect:
    box = place.bounding_box()
    assert box is not None
    return box
