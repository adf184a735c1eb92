"""The page in a real browser, against a real server: search, steer, map, tag, and what goes wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from helpers.browser import NEEDS_CHROMIUM, PATIENCE, SHOWN, asked, cards, drop, first, names, until, violations, visit
from soundloom.synth import render

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]


def wav(family: str, index: int, folder: Path) -> Path:
    import soundfile

    sound = render(family, index)
    path = folder / f"{family}-mine.wav"
    soundfile.write(path, sound.samples, sound.sample_rate)
    return path


def test_a_dropped_sound_finds_its_like(page: Page, tmp_path: Path) -> None:
    visit(page)
    drop(page, "mine.wav", wav("siren", 0, tmp_path).read_bytes())
    expect(page.get_by_role("heading", name="Nearest first")).to_be_visible()
    assert names(page)[0] == "siren-00.wav"
    assert re.search(r"\?upload=u_", page.url)
    expect(page.get_by_role("img", name="Waveform of mine.wav")).to_be_visible()
    page.reload()
    expect(page.get_by_role("img", name="Waveform of mine.wav")).to_be_visible()
    expect(page.get_by_role("list", name="Sounds", exact=True).locator(".name").first).to_have_text("siren-00.wav")


def test_a_broken_upload_says_what_to_do_and_harms_nothing(page: Page) -> None:
    visit(page)
    before = names(page)
    drop(page, "broken.wav", b"RIFF nothing at all")
    alert = page.get_by_role("alert")
    expect(alert).to_be_visible()
    assert len(alert.inner_text()) > 20
    assert names(page) == before
    page.get_by_role("button", name="Dismiss").click()
    expect(alert).to_have_count(0)
    expect(page.get_by_text("Drop a sound anywhere")).to_be_visible()


def test_a_region_dragged_on_the_waveform_is_searched_by(page: Page) -> None:
    visit(page, f"/?like={first(page, 'applause')}")
    wave = page.get_by_role("img", name=re.compile("Waveform"))
    until(page, "() => document.querySelector('.wave > div')?.shadowRoot.querySelector('canvas')")
    box = wave.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 30, steps=4)
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 30, steps=4)
    page.mouse.up()
    until(page, "() => /start=[\\d.]+&end=[\\d.]+/.test(location.search)")
    start, end = (float(page.get_by_label(label, exact=True).input_value()) for label in ("From", "to"))
    length = asked(page, f"/segments/{first(page, 'applause')}")["duration"]
    assert start == pytest.approx(0.2 * length, abs=0.05 * length)
    assert end == pytest.approx(0.7 * length, abs=0.05 * length)
    page.get_by_role("button", name="Whole sound").click()
    until(page, "() => !location.search.includes('start')")


def test_filters_live_in_the_address_and_the_back_button_undoes_them(page: Page) -> None:
    visit(page)
    page.get_by_role("combobox", name="Folder").fill("rain")
    page.get_by_role("combobox", name="Folder").press("Enter")
    expect(page.locator(".said")).to_contain_text("3 sounds")
    assert all(name.startswith("rain") for name in names(page))
    page.get_by_label("At least, in seconds").fill("100")
    page.get_by_label("At least, in seconds").press("Enter")
    expect(page.get_by_text("No sound fits the folder rain and at least 1:40 min")).to_be_visible()
    page.go_back()
    expect(page.locator(".said")).to_contain_text("3 sounds")
    page.go_back()
    expect(page.locator(".said")).to_contain_text("48 sounds")
    visit(page, "/?folder=rain")
    assert len(names(page)) == 3


def test_the_slider_steers_while_it_moves(page: Page) -> None:
    like = first(page, "bell")
    visit(page, f"/?like={like}")
    even = cards(page)
    page.keyboard.press("s")
    slider = page.get_by_role("slider", name="pitch")
    expect(slider).to_be_focused()
    slider.press("Home")
    wanted = [hit["id"] for hit in asked(page, "/search", like=like, weights="pitch:0", k="50")["hits"]]
    assert wanted != even
    until(page, SHOWN, wanted)
    until(page, "() => location.search.includes('weights=pitch:0')")
    slider.press("o")
    expect(page.get_by_role("slider", name="general")).to_have_value("0")
    page.get_by_role("button", name="Reset").click()
    until(page, "wanted => document.querySelector('[data-card]').dataset.card === wanted", even[0])


def test_a_hit_tells_why_it_was_found(page: Page) -> None:
    like = first(page, "bell")
    visit(page, f"/?like={like}")
    hit = asked(page, "/search", like=like, k="50", explain="true")["hits"][0]
    page.keyboard.press("g")
    page.keyboard.press("w")
    told = page.get_by_role("dialog", name=f"Why {hit['name']}")
    expect(told.get_by_role("listitem")).to_have_count(len(hit["percentiles"]))
    best = max(hit["percentiles"], key=hit["percentiles"].__getitem__)
    expect(told.get_by_role("listitem").first).to_contain_text(best)
    page.keyboard.press("Escape")
    expect(told).to_have_count(0)
    visit(page)
    page.keyboard.press("g")
    page.keyboard.press("w")  # in a list nothing was found
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_words_are_completed_searched_by_and_excluded(page: Page) -> None:
    visit(page)
    words = page.get_by_role("combobox", name="Find")
    words.fill("bell")
    page.get_by_role("option", name="Bell sounds like", exact=True).click()
    until(page, "() => location.search.includes('tag=Bell')")
    found = [hit["id"] for hit in asked(page, "/search", tag="Bell", k="50")["hits"]]
    until(page, SHOWN, found)
    words.fill("-water")
    words.press("Enter")
    until(page, "() => location.search.includes('not=water')")
    drier = [hit["id"] for hit in asked(page, "/search", **{"tag": "Bell", "not": "water", "k": "50"})["hits"]]
    assert drier != found
    until(page, SHOWN, drier)
    page.reload()  # the address is the search
    until(page, SHOWN, drier)


def test_the_microphone_is_searched_by(page: Page) -> None:
    visit(page)
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("button", name="Recording")).to_contain_text("1.", timeout=PATIENCE)
    page.get_by_role("button", name="Recording").click()
    until(page, "() => location.search.includes('upload=')")
    expect(page.locator("[data-card]").first).to_be_visible()


def test_sounds_are_walked_played_and_followed_by_keys(page: Page) -> None:
    visit(page)
    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")
    focused = page.locator("[data-card]:focus")
    assert focused.get_attribute("data-card") == cards(page)[1]
    page.keyboard.press("Space")
    expect(page.get_by_role("contentinfo").get_by_role("button", name="Stop")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("contentinfo").get_by_role("button", name="Play again")).to_be_visible()
    followed = str(focused.get_attribute("data-card"))
    page.keyboard.press("Enter")
    until(page, "id => location.search.includes(`like=${id}`)", followed)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("5")
    expect(page.get_by_role("heading", name="Health")).to_be_visible()


def test_examples_rank_the_rest_and_tags_are_accepted_and_undone(page: Page) -> None:
    visit(page, f"/?view=tag&like={first(page, 'cricket')}")
    page.get_by_role("combobox", name="Tag", exact=True).fill("insect")
    page.get_by_role("combobox", name="Tag", exact=True).press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("y")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Ranked")).to_be_visible()
    expect(page.get_by_text("NaN")).to_have_count(0)  # two examples say nothing of how sure it is
    page.go_back()
    page.keyboard.press("g")
    for key in "yyy":
        page.keyboard.press(key)
    page.keyboard.press("End")
    for _ in range(3):
        page.keyboard.press("n")
        page.keyboard.press("ArrowUp")
    expect(page.get_by_role("heading", name="Ranked")).to_be_visible()
    expect(page.get_by_role("complementary", name="Tag").get_by_text("right on examples")).to_be_visible()
    expect(page.get_by_text("NaN")).to_have_count(0)
    until(page, "() => location.search.includes('yes=') && location.search.includes('no=')")
    page.get_by_role("button", name=re.compile("^Tag [0-9]+ sounds? “insect”")).click()
    toast = page.get_by_text(re.compile("^Tagged"))
    expect(toast.first).to_be_visible()
    count = {tag["name"]: tag["count"] for tag in asked(page, "/tags")["tags"]}
    assert count["insect"] >= 3
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(re.compile("^Undone")).first).to_be_visible()
    assert "insect" not in {tag["name"] for tag in asked(page, "/tags")["tags"] if tag["count"]}


def test_a_library_that_is_not_indexed_to_the_end_says_so(page: Page) -> None:
    said = "the library is not indexed to the end: it was interrupted at 2026-05-01 17:05 UTC, 4 files left"
    page.route("**/api/v1/library", lambda to: to.fulfill(json={**to.fetch().json(), "unfinished": said}))
    for place in ("/", "/?view=health"):
        page.goto(place)
        expect(page.get_by_role("status").filter(has_text=said)).to_be_visible()


def test_health_indexes_again(page: Page) -> None:
    page.goto("/?view=health")
    page.get_by_role("button", name="Index again").click()
    expect(page.get_by_text("The library is up to date").first).to_be_visible(timeout=PATIENCE)


@pytest.mark.parametrize(("theme", "width"), [("dark", 1280), ("light", 390)])
def test_no_view_has_an_accessibility_violation(page: Page, theme: str, width: int) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    bell, drum = first(page, "bell"), first(page, "drum")
    places = ["/", f"/?like={bell}&tag=x", "/?view=map", f"/?view=tag&name=bell&yes={bell}&no={drum}", "/?view=health"]
    for place in [*places, "/?folder=nowhere"]:
        page.goto(place)
        page.wait_for_load_state("networkidle")
        assert violations(page) == [], place
