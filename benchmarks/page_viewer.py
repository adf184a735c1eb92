"""How fast the page's viewer opens an hour of sound and zooms into it, in a real browser.

    python -m benchmarks.page_viewer [--seconds 3600] [--steps 30] [--quick] [--json OUT]

A headless Chromium as in `benchmarks.page`, and recordings as WAV, FLAC, MP3 and Opus behind the real server with an
empty cache, its decoding processes warm.

* opened: from the wish to view the file to the frame that shows its spectrogram from end to end, by the page's own
  User Timing measure.
* zoom: from a step of the wheel to the frame after it is painted, thirty steps with 60 ms between.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import numpy as np
import soundfile
from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from benchmarks.page import BROWSER, measures, opened, report, running, told
from soundloom.library import Library
from soundloom.server import ServerSettings, create_app

RATE = 24_000
ENDINGS = ("wav", "flac", "mp3", "opus")
ZOOM = """async (steps) => {
  const box = document.querySelector('dialog [role=img]');
  const taken = [];
  for (let step = 0; step < steps; step++) {
    const began = performance.now();
    box.dispatchEvent(new WheelEvent('wheel', { deltaY: -120, clientX: 600, clientY: 300, bubbles: true }));
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    taken.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  return taken;
}"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page_viewer", description="time the page's viewer")
    parser.add_argument("--seconds", type=int, default=3600, help="of each recording (%(default)s)")
    parser.add_argument("--steps", type=int, default=30, help="of the wheel (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="short recordings: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds, options.steps = 200, 5
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        Console().print("skipped: no chromium on this machine")
        return
    figures: list[dict[str, object]] = []
    with TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        recorded(folder / "sounds", options.seconds)
        library = Library.create(folder / "library.loom", "logmel", window=10.0, hop=10.0)
        library.add(folder / "sounds")
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER)
        with running(create_app(library, ServerSettings(cache=folder / "cache"))) as address:
            page = opened(browser, address)
            for ending in ENDINGS:
                figures += [
                    {"over": f"{options.seconds:,} s of {ending}", **one} for one in viewed(page, ending, options.steps)
                ]
        browser.close()
    report(figures, options.json)


def recorded(folder: Path, seconds: int) -> None:
    """Write one recording in every format: noise, and a call a second."""
    folder.mkdir()
    chance, times = np.random.default_rng(0), np.arange(RATE) / RATE
    call = 0.3 * np.sin(2 * np.pi * (2000 + 3000 * times) * times) * np.exp(-8 * times)
    files = [
        soundfile.SoundFile(
            folder / f"hour-{ending}.{ending}",
            "w",
            RATE,
            1,
            **({"format": "OGG", "subtype": "OPUS"} if ending == "opus" else {}),
        )
        for ending in ENDINGS
    ]
    for _ in range(seconds):
        block = call + 0.02 * chance.standard_normal(RATE)
        for file in files:
            file.write(block)
    for file in files:
        file.close()


def viewed(page: Page, ending: str, steps: int) -> Iterator[dict[str, object]]:
    """Open one recording from end to end, then zoom in."""
    page.goto(f"/?text={quote(f'hour-{ending}')}", wait_until="networkidle")
    page.locator("[data-card]").first.focus()
    page.keyboard.press("v")
    yield told("opened, ms", measures(page, "viewer", 1), "1000")
    page.wait_for_load_state("networkidle")
    yield told("zoom to painted, ms", page.evaluate(ZOOM, steps), "100")


if __name__ == "__main__":
    main()
