"""The page in a real browser: sliders, limits, the table of results, picked sounds, and sizes for a finger."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from helpers.browser import NEEDS_CHROMIUM, asked, first, until, until_placed, visit

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]


def test_sliders_at_zero_are_said_once_and_ask_nothing(page: Page) -> None:
    parts = [part["name"] for part in asked(page, "/library")["parts"]]
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    page.goto(f"/?like={first(page, 'bell')}&weights={','.join(f'{part}:0' for part in parts)}")
    expect(page.get_by_role("alert")).to_contain_text("Every slider is at 0")
    expect(page.locator(".toast")).to_have_count(0)
    assert refused == []


def test_limits_that_exclude_each_other_are_called_so(page: Page) -> None:
    page.goto("/?min_duration=10&max_duration=2")
    expect(page.get_by_text("the limits exclude each other")).to_be_visible()


def test_a_view_typed_into_the_address_is_the_page(page: Page) -> None:
    visit(page, "/detect")
    expect(page.get_by_role("heading", name="Detectors")).to_be_visible()


def test_results_are_a_table_with_chosen_columns_that_sorts(page: Page) -> None:
    visit(page, "/?folder=bell")
    page.get_by_role("button", name="Table").click()
    table = page.get_by_role("region", name="Table of sounds")
    expect(table.get_by_role("row")).to_have_count(4)
    # The server orders all results, so that the address and a reload have the order.
    table.get_by_role("button", name="Name").click()
    until(page, "() => location.search.includes('sort=name')")
    table.get_by_role("button", name="Name").click()
    expect(table.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "descending")
    expect(page.get_by_role("button", name="by name, from high to low")).to_be_visible()
    expect(table.locator("tbody .link").first).to_have_text(re.compile("02"))
    shown = table.locator("tbody .link").all_inner_texts()
    assert shown == sorted(shown, reverse=True)
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("Path").check()
    expect(page.locator(".choice").get_by_label("Similarity")).to_be_disabled()
    page.locator(".choice").get_by_label("Codec").check()
    expect(table.locator("tbody tr").first).to_contain_text("FLAC")
    expect(table.get_by_role("columnheader", name="Path")).to_be_visible()
    table.locator("tbody tr").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("() => document.activeElement.rowIndex") == 2
    page.keyboard.press("x")
    expect(page.get_by_text("1 sound selected")).to_be_visible()
    page.reload()  # what a person likes is kept in the browser
    expect(table.get_by_role("columnheader", name="Path")).to_be_visible()
    page.get_by_role("button", name="Table").click()
    expect(page.locator("[data-card]").first).to_be_visible()


def test_picked_sounds_are_tagged_and_exported_together(page: Page) -> None:
    visit(page, "/?folder=bell")
    page.locator("[data-card]").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(page.get_by_text("2 sounds selected")).to_be_visible()
    page.keyboard.press("t")
    expect(page.get_by_role("dialog").get_by_text("Tag 2 sounds")).to_be_visible()
    page.keyboard.press("Escape")
    for form, name in (("csv", "soundloom.csv"), ("sounds", "sounds.zip")):
        with page.expect_download() as downloading:
            page.get_by_label("Export the selected sounds").select_option(form)
        assert downloading.value.suggested_filename == name
        content = Path(downloading.value.path()).read_bytes()
        assert content.count(b"bell-0") >= 2
    page.get_by_role("button", name="Clear", exact=True).first.click()


def test_buttons_are_large_enough_for_a_finger_and_results_come_first(address: str, context: BrowserContext) -> None:
    phone = context.browser.new_context(
        base_url=address, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    page = phone.new_page()
    visit(page)
    small = page.evaluate(
        "() => [...document.querySelectorAll('main button, main input, main select, main summary')]"
        ".filter((one) => one.checkVisibility()).map((one) => [one, one.getBoundingClientRect()])"
        ".filter(([, box]) => box.height < 43.5 || box.width < 43.5).map(([one]) => one.outerHTML.slice(0, 90))"
    )
    assert small == []
    card = page.locator("[data-card]").first
    until_placed(lambda box: box["y"] < 400, card)
    # The buttons of a card have one row; the others come with a further one.
    shown = [one for one in card.locator(".actions button").all() if one.is_visible()]
    assert len(shown) == 3
    until_placed(lambda *boxes: len({box["y"] for box in boxes}) == 1, *shown)
    card.get_by_role("button", name="More for").click()
    expect(card.get_by_role("button", name="Copy the path")).to_be_visible()
    phone.close()
