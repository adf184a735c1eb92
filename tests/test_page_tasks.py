"""The page in a real browser: folders, copies, comparing, the model's balance, and the map as a place to work in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import soundfile
from playwright.sync_api import Page, Route, expect

from helpers.browser import NEEDS_CHROMIUM, asked, first, serving, visit
from soundloom.synth import render

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

MISPLACED = """() => [...document.querySelectorAll('[data-card]')].filter((card) => {
    const image = card.querySelector('img');
    return image.naturalWidth > 0 && !image.currentSrc.includes(card.dataset.card);
}).length"""
"""How many cards show the picture of another sound."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a page over forty-eight sounds is served, and over a copy of two in folders below others."""
    folder = tmp_path_factory.mktemp("tasks")
    for place, name in (("field/north", "bell"), ("field/south", "rain")):
        sound = render(name, 0)
        (folder / "sounds" / place).mkdir(parents=True)
        soundfile.write(folder / "sounds" / place / f"{name}-again.wav", sound.samples, sound.sample_rate)
    with serving(folder) as address:
        yield address


def test_no_card_shows_the_picture_of_the_sound_before(page: Page) -> None:
    visit(page)
    page.wait_for_function("() => document.querySelector('[data-card] img').naturalWidth > 0")
    held: list[Route] = []
    page.route("**/thumbnail.webp*", lambda route: held.append(route))
    page.get_by_role("combobox", name="Find").fill("siren")
    page.get_by_role("combobox", name="Find").press("Enter")
    expect(page.get_by_role("heading", name="Found")).to_be_visible()
    expect(page.locator("[data-card] .name").first).to_contain_text("siren")
    page.wait_for_function("() => !document.querySelector('[data-card] img[src]')?.naturalWidth")
    assert page.evaluate(MISPLACED) == 0


def test_the_sliders_stand_where_the_model_balances_its_parts(page: Page) -> None:
    balance = {part["name"]: part["balance"] for part in asked(page, "/library")["parts"]}
    assert len(set(balance.values())) > 1
    like = first(page, "bell")
    visit(page, f"/?like={like}")
    for name, value in balance.items():
        expect(page.get_by_role("slider", name=name)).to_have_value(f"{value:g}")
    name, value = min(balance.items(), key=lambda one: one[1])
    page.get_by_role("slider", name=name).press("End")
    # The address has what the API takes: the number that multiplies the balance.
    page.wait_for_function(
        "([part, weight]) => location.search.includes(`weights=${part}:${weight}`)",
        arg=[name, f"{round(2 * max(balance.values()) / value, 3):g}"],
    )
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("slider", name=name)).to_have_value(f"{value:g}")
