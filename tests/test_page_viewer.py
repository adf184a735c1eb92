"""The viewer in a real browser, over a long recording: excerpts first, and nothing decoded that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, Route, expect

from helpers.browser import NEEDS_CHROMIUM, asked, serving, until, until_placed, visit

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

SECONDS, RATE = 600, 8000
LOUD = """([left, right]) => {
    const canvas = document.querySelector('dialog canvas');
    const wave = Math.round(64 * devicePixelRatio);
    const { data, width } = canvas.getContext('2d').getImageData(0, canvas.height - wave, canvas.width, wave);
    let drawn = 0;
    for (let at = 0; at < data.length; at += 4) {
        const x = ((at / 4) % width) / width;
        drawn += x > left && x < right && Math.abs(data[at] - data[0]) > 40;
    }
    return drawn;
}"""
"""How much of the waveform is drawn between two places, from 0 to 1."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a page is served over forty-eight sounds and one of ten minutes, of which the second half is loud."""
    folder = tmp_path_factory.mktemp("viewer")
    (folder / "sounds").mkdir()
    samples = np.sin(np.arange(SECONDS * RATE, dtype=np.float32) * 0.5) * 0.02
    samples[len(samples) // 2 :] *= 40
    soundfile.write(folder / "sounds" / "long.flac", samples, RATE)
    with serving(folder) as address:
        yield address


def test_a_long_file_is_seen_by_excerpts_and_decoded_when_it_is_played(page: Page, address: str) -> None:
    visit(page, "/?text=long")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url.removeprefix(address)))
    page.locator("[data-card]").first.focus()
    page.keyboard.press("v")
    until(page, "() => Number(document.querySelector('[data-tiles]')?.dataset.tiles) > 2")
    tiles = [url for url in sent if "spectrogram.png" in url]
    assert "excerpts=16" in tiles[0]  # few at first, then more
    assert len(tiles) > 1
    assert not any("excerpts=" in url for url in tiles[1:])
    until(page, f"() => ({LOUD})([0.6, 0.9]) > 10 * ({LOUD})([0.1, 0.4])")
    assert not [url for url in sent if "/peaks" in url or "/audio" in url]
    with page.expect_request("**/audio*"):
        page.get_by_role("dialog").get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Pause")).to_be_visible()


def test_a_picture_on_its_way_says_so(page: Page) -> None:
    visit(page, "/?text=long")
    held: list[Route] = []
    holding = True
    page.route("**/spectrogram.png*", lambda route: held.append(route) if holding else route.abort())
    page.locator("[data-card]").first.focus()
    page.keyboard.press("v")
    expect(page.get_by_role("dialog").get_by_text("Drawing …")).to_be_visible()
    holding = False  # what will not come is not waited for
    for route in held:
        route.abort()
    expect(page.get_by_role("dialog").get_by_text("Drawing …")).to_have_count(0)


def test_a_long_name_leaves_the_examples_button_in_reach(page: Page) -> None:
    one = asked(page, "/search", folder="bell")["hits"][0]
    page.route(
        f"**/segments/{one['id']}", lambda route: route.fulfill(json={**one, "name": "long name " * 30 + ".wav"})
    )
    visit(page, f"/?view=tag&name=x&yes={one['id']}")
    away = page.get_by_role("button", name="Take long name")
    expect(away).to_be_visible()
    until_placed(
        lambda panel, button: button["x"] + button["width"] <= panel["x"] + panel["width"],
        page.get_by_role("complementary"),
        away,
    )
