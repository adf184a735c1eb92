"""The page in a real browser: folders, copies, comparing, the model's balance, and the map as a place to work in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, Route, expect

from helpers.browser import NEEDS_CHROMIUM, asked, first, serving, violations, visit
from soundloom.library import Library
from soundloom.synth import render

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

LABELS = "labels => labels.map((one) => [one.textContent, [one.x.baseVal[0].value, one.y.baseVal[0].value]])"
"""Each name on the map, and where it stands."""

MISPLACED = """() => [...document.querySelectorAll('[data-card]')].filter((card) => {
    const image = card.querySelector('img');
    return image.naturalWidth > 0 && !image.currentSrc.includes(card.dataset.card);
}).length"""
"""How many cards show the picture of another sound."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a page over forty-eight sounds and a copy of two in other folders is served, and an empty library."""
    folder = tmp_path_factory.mktemp("tasks")
    for place, name in (("field/north", "bell"), ("field/south", "rain")):
        sound = render(name, 0)
        (folder / "sounds" / place).mkdir(parents=True)
        soundfile.write(folder / "sounds" / place / f"{name}-again.wav", sound.samples, sound.sample_rate)
    with serving(folder, [Library.create(folder / "empty.loom")]) as address:
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


def test_folders_are_a_tree_that_counts_what_the_question_admits(page: Page) -> None:
    visit(page)
    folders = page.get_by_role("region", name="Folders")
    expect(folders.get_by_role("button", name="field 2")).to_be_visible()
    folders.get_by_role("button", name="Folders in field").click()
    assert violations(page) == []
    folders.get_by_role("button", name="north 1").click()
    page.wait_for_function("() => location.search.includes('folder=field%2Fnorth')")
    expect(page.locator("[data-card]")).to_have_count(1)
    # Its siblings stay, to be gone to; a click on the chosen one leaves it.
    folders.get_by_role("button", name="south 1").click()
    expect(page.locator("[data-card] .name")).to_have_text("rain-again.wav")
    folders.get_by_role("button", name="south 1").click()
    page.wait_for_function("() => !location.search.includes('folder')")
    page.get_by_role("combobox", name="Find").fill("rain")
    page.get_by_role("combobox", name="Find").press("Enter")
    expect(folders.get_by_role("button", name="field 1")).to_be_visible()
    expect(folders.get_by_role("button", name="bell")).to_have_count(0)
    # What the model takes for the word is found as well, and not counted.
    assert page.locator("[data-card]").count() > 4
    expect(page.get_by_text("Counted below: files that are called “rain”")).to_be_visible()


def test_a_hit_is_compared_with_the_query(page: Page) -> None:
    like = first(page, "bell")
    visit(page, f"/?like={like}")
    player = page.get_by_role("contentinfo")
    page.keyboard.press("g")
    page.keyboard.press("End")  # the first hit may be a copy
    page.keyboard.press("Space")
    switch = player.get_by_role("button", name="Play the query instead")
    with page.expect_request(lambda request: f"/segments/{like}/audio" in request.url):
        switch.click()
    expect(player).to_contain_text("The query")
    expect(switch).to_have_attribute("aria-pressed", "true")
    assert violations(page) == []
    page.keyboard.press("q")
    expect(player).not_to_contain_text("The query")
    # The louder of the two is turned down to the other.
    matched = player.get_by_role("button", name="Play both equally loud")
    said = set()
    for _ in range(20):
        page.keyboard.press("q")
        page.wait_for_timeout(200)
        said.add(matched.inner_text())
        if len(said) == 2:
            break
    assert "Match levels" in said
    assert any(re.fullmatch(r"\N{MINUS SIGN}\d+\.\d dB", text) for text in said)
    matched.click()
    expect(matched).to_have_text("Match levels")


def test_the_map_is_labelled_searched_and_kept_in_the_address(page: Page) -> None:
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    page.goto("/?view=map")
    if not asked(page, "/map/about")["computed"]:
        page.get_by_role("button", name="Compute the map").click()
        assert refused == []  # a map that is not there is not asked for
    chart = page.get_by_role("application")
    expect(chart).to_be_visible(timeout=100_000)
    expect(chart.locator("text").first).to_be_visible()
    page.get_by_role("combobox", name="Find").fill("siren")
    page.get_by_role("combobox", name="Find").press("Enter")
    expect(page.get_by_text("lit on the map")).to_be_visible()
    chart.focus()
    page.keyboard.press("+")
    page.wait_for_function("() => /at=[-\\d.]+,[-\\d.]+,[\\d.]+/.test(location.search)")
    shown = chart.locator("text").evaluate_all(LABELS)
    assert shown
    page.reload()
    expect(chart).to_be_visible()
    page.wait_for_function("() => document.querySelector('[role=application] text')")
    again = chart.locator("text").evaluate_all(LABELS)
    assert [name for name, _ in again] == [name for name, _ in shown]
    assert np.allclose([place for _, place in again], [place for _, place in shown], atol=2)
    chart.focus()
    page.keyboard.press("0")
    page.wait_for_function("() => !location.search.includes('at=')")


def test_what_is_chosen_on_the_map_becomes_results_that_can_be_exported(page: Page) -> None:
    page.goto("/?view=map")
    if not asked(page, "/map/about")["computed"]:
        page.get_by_role("button", name="Compute the map").click()
    page.get_by_role("button", name="field/north").click(timeout=100_000)
    page.get_by_role("button", name="As results").click()
    expect(page.get_by_role("heading", name="Chosen on the map")).to_be_visible()
    expect(page.locator("[data-card] .name")).to_have_text("bell-again.wav")
    with page.expect_download() as download:
        page.get_by_label("Export the shown sounds").select_option("csv")
    assert "bell-again.wav" in Path(download.value.path()).read_text("utf-8")
    page.get_by_role("button", name="Back to the search").click()
    expect(page.get_by_role("heading", name="All sounds")).to_be_visible()


def test_duplicates_are_found_played_and_shown_as_results(page: Page) -> None:
    page.goto("/?view=health")
    page.get_by_role("button", name="Find duplicates").click()
    groups = page.get_by_role("group", name="Groups of duplicates")
    expect(groups.get_by_text("bell-again.wav")).to_be_visible(timeout=100_000)
    group = groups.locator("ul").filter(has_text="bell-again.wav")
    expect(group.get_by_role("listitem")).to_have_count(2)
    expect(group.get_by_text("best")).to_have_count(1)
    assert violations(page) == []
    copies = groups.get_by_role("listitem").count() - groups.locator("ul").count()
    page.get_by_role("button", name="All but the best as results").click()
    expect(page.get_by_role("heading", name="Duplicates beside the best")).to_be_visible()
    expect(page.locator("[data-card]")).to_have_count(copies)


def test_the_page_switches_between_the_libraries_of_a_server(page: Page) -> None:
    visit(page)
    chosen = page.get_by_role("combobox", name="Library")
    expect(chosen.locator("option")).to_have_text(["page", "empty"])
    chosen.select_option("empty")
    page.wait_for_url("**/libraries/empty/")
    # The advice names the library that is empty, and not the first one.
    expect(page.get_by_text("soundloom index sounds/ -l empty.loom")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="Health").click()
    page.wait_for_url("**/libraries/empty/?view=health")
    page.get_by_role("combobox", name="Library").select_option("page")
    page.wait_for_function("() => location.pathname === '/'")
    expect(page.locator("[data-card]").first).to_be_visible()


def test_a_folder_is_added_in_the_page(page: Page, tmp_path: Path) -> None:
    sound = render("siren", 1)
    soundfile.write(tmp_path / "added-siren.wav", sound.samples, sound.sample_rate)
    page.goto("/?view=health")
    page.get_by_label("Folder to add").fill("nowhere")
    page.get_by_role("button", name="Add folder").click()
    expect(page.get_by_text("must be absolute paths").first).to_be_visible()
    page.get_by_label("Folder to add").fill(str(tmp_path))
    page.get_by_role("button", name="Add folder").click()
    expect(page.get_by_text("1 new").first).to_be_visible(timeout=60_000)
    assert asked(page, "/find", text="added-siren")["files"]
