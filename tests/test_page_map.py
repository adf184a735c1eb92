"""The map in a real browser: choosing, colouring, and hearing what the pointer is on."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from helpers.browser import NEEDS_CHROMIUM, PATIENCE, asked, first, until, until_placed

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

PIXELS = """() => {
    const canvas = document.querySelector('canvas');
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
    copy.drawImage(canvas, 0, 0);
    return [canvas.width, canvas.height, copy.getImageData(0, 0, canvas.width, canvas.height).data];
}"""
BRIGHT = f"""() => {{
    const [width, height, data] = ({PIXELS})();
    let count = 0;
    for (let at = 0; at < data.length; at += 4) count += data[at] > 200 && data[at + 1] > 190 && data[at + 2] > 120;
    return count;
}}"""
"""How many pixels have the colour of the largest amount, in the dark theme."""
SPOT = f"""([left, right]) => {{
    const [width, height, data] = ({PIXELS})();
    const box = document.querySelector('canvas').getBoundingClientRect();
    for (let y = 60; y < height - 120; y++)
        for (let x = left; x < width - right; x++)
            if (data[4 * (y * width + x) + 3] > 200) return [box.left + x, box.top + y + 3];
}}"""
"""A place where a point is drawn, beside the panels."""


@pytest.fixture
def map_(page: Page) -> Page:
    """The page, with a map."""
    page.goto("/?view=map")
    if not asked(page, "/map/about")["computed"]:
        page.get_by_role("button", name="Compute the map").click()
    expect(page.get_by_role("application")).to_be_visible(timeout=120_000)
    return page


def tag(page: Page, tag: str, **marks: Any) -> None:
    assert page.request.post("/api/v1/tags/apply", data={"tag": tag, **marks}).ok


def test_the_lasso_lists_and_tags_what_it_holds(map_: Page) -> None:
    page = map_
    page.get_by_role("button", name="Lasso", exact=True).click()
    box = page.get_by_role("application").bounding_box()
    assert box is not None
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.02)]
    spots = [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in corners]
    # The panels lie over the map: the outline begins in a free corner.
    spots = [spots[1], spots[2], spots[3], spots[0], spots[1]]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=5)
    page.mouse.up()
    selection = page.get_by_role("region", name="Selection")
    expect(selection.get_by_role("heading", name="48 sounds")).to_be_visible()
    expect(selection.locator("[data-card]")).to_have_count(48)
    selection.get_by_role("button", name="Tag all").click()
    page.get_by_role("combobox", name="Tag 48 sounds").fill("everything")
    page.get_by_role("combobox", name="Tag 48 sounds").press("Enter")
    expect(page.get_by_text("Tagged 48 sounds “everything”").first).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(re.compile("^Undone")).first).to_be_visible()


def test_points_are_coloured_by_a_tag_and_follow_its_changes(map_: Page) -> None:
    page = map_
    bells = [hit["id"] for hit in asked(page, "/search", folder="bell")["hits"]]
    tag(page, "brass", add=bells)
    page.reload()
    page.get_by_label("Colour").select_option("tag")
    expect(page.get_by_label("Tag", exact=True)).to_have_value("brass")
    until(page, f"() => ({BRIGHT})() > 100")
    page.get_by_role("application").focus()
    page.keyboard.press("a")
    selection = page.get_by_role("region", name="Selection")
    selection.get_by_role("button", name="Tag all").click()
    some = page.wait_for_function(BRIGHT, timeout=PATIENCE).json_value()  # while it takes its size, nothing is drawn
    page.get_by_role("combobox", name="Tag 48 sounds").fill("brass")
    page.get_by_role("combobox", name="Tag 48 sounds").press("Enter")
    until(page, f"some => ({BRIGHT})() > 4 * some", some)
    page.get_by_role("button", name="Undo").click()
    until(page, f"some => ({BRIGHT})() <= 2 * some", some)
    tag(page, "brass", remove=bells)
    page.reload()  # from a bookmark, the tag is what was asked for though nothing has it
    expect(page.get_by_label("Tag", exact=True)).to_have_value("brass")
    until(page, f"() => ({BRIGHT})() === 0")


def test_what_a_search_finds_takes_the_place_of_a_selection(map_: Page) -> None:
    page = map_
    page.get_by_label("Colour").select_option("part")  # without a sound there is no likeness to colour by
    page.get_by_role("application").focus()
    page.keyboard.press("a")
    expect(page.get_by_role("region", name="Selection")).to_be_visible()
    field = page.locator(".find").get_by_role("combobox")
    field.fill("bell")
    field.press("Enter")
    expect(page.get_by_text(re.compile(r"\d+ files lit on the map"))).to_be_visible()
    expect(page.get_by_role("region", name="Selection")).to_have_count(0)


def test_on_a_phone_the_panels_over_the_map_are_folded(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/?view=map")
    fold = page.get_by_text("Find, colours")
    expect(fold).to_be_visible()
    until_placed(lambda box: box["height"] < 60, page.locator(".fold"))
    fold.click()
    expect(page.get_by_label("Colour")).to_be_visible()


def test_points_are_coloured_by_likeness_in_a_part(map_: Page) -> None:
    page = map_
    page.get_by_label("Colour").select_option("part")
    expect(page.get_by_text("Part similarity needs a sound")).to_be_visible()
    assert page.evaluate(BRIGHT) == 0
    with page.expect_response(lambda answer: "/map/colour?by=part&value=timbre" in answer.url) as told:
        page.goto(f"/?view=map&colour=part&value=timbre&like={first(page, 'bell')}")
    # Asked for again: the browser keeps no body of an answer that a later question took the place of.
    levels = np.frombuffer(page.request.get(told.value.url).body(), np.uint8)
    assert len(levels) == 48
    until(page, f"() => ({BRIGHT})() > 20")  # the sound itself, which is like itself
    with page.expect_response(lambda answer: "/map/colour?by=part&value=pitch" in answer.url) as told:
        page.get_by_label("Part", exact=True).select_option("pitch")
    assert not np.array_equal(levels, np.frombuffer(page.request.get(told.value.url).body(), np.uint8))
    until(page, "() => location.search.includes('value=pitch')")


def _pointed_at(page: Page) -> list[float]:
    """A place where a point is drawn, with the pointer on it and its sound told.

    The page around the map may yet take its size: until it has, what is drawn moves away from the pointer, and for a
    moment nothing is drawn.
    """
    for wait in (2_000, 5_000, PATIENCE):
        page.mouse.move(0, 0)
        spot: list[float] = page.wait_for_function(SPOT, arg=[300, 300], timeout=PATIENCE).json_value()
        page.mouse.move(*spot, steps=3)
        try:
            page.locator(".tip").wait_for(timeout=wait)
        except PlaywrightTimeoutError:
            continue
        return spot
    raise AssertionError(f"nothing is told of the point at {spot}")


def test_the_sound_under_the_pointer_is_told_and_heard(map_: Page) -> None:
    page = map_
    player = page.get_by_role("contentinfo")
    tip = page.locator(".tip")
    spot = _pointed_at(page)
    name = tip.locator("b").inner_text()
    # Browsers play nothing before the first click or key.
    expect(player.get_by_role("button", name="Stop")).to_have_count(0)
    page.keyboard.press("Shift")
    page.mouse.move(0, 0)
    expect(tip).to_have_count(0)
    page.mouse.move(*spot, steps=3)
    expect(player.get_by_role("button", name="Stop")).to_be_visible()
    expect(player).to_contain_text(name)
    page.mouse.move(0, 0)
    expect(player.get_by_role("button", name="Stop")).to_have_count(0)
    # What it stood on has moved on when the map is zoomed.
    page.mouse.move(*spot, steps=3)
    expect(tip).to_be_visible()
    page.mouse.wheel(0, -600)
    expect(tip).to_have_count(0)
    page.get_by_role("application").press("0")
    until(page, "() => !location.search.includes('at=')")
    # What is clicked plays on.
    page.mouse.click(*spot)
    page.mouse.move(0, 0)
    expect(tip).to_have_count(0)
    expect(player.get_by_role("button", name="Stop")).to_be_visible()
