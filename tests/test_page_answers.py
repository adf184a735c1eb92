"""The page in a real browser: questions that are not answered yet, errors, segments of long files, and the way back."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, Route, expect

from helpers.browser import NEEDS_CHROMIUM, SHOWN, asked, cards, drop, first, serving, until, violations, visit
from soundloom.synth import render

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]
LONG = "recorder-07-site-marsh-north-channel-left.wav"
SCROLLED = "() => document.querySelector('main').scrollTop"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a page over forty-eight short sounds and one of a minute is served."""
    folder = tmp_path_factory.mktemp("answers")
    pieces = [render(family, 0) for family in ("bell", "rain", "siren")]
    rate = pieces[0].sample_rate
    (folder / "sounds").mkdir()
    soundfile.write(
        folder / "sounds" / LONG, np.concatenate([np.resize(one.samples, 20 * rate) for one in pieces]), rate
    )
    with serving(folder) as address:
        yield address


def segment(page: Page, start: float) -> dict[str, Any]:
    """The segment of the long file that begins there."""
    hits = asked(page, "/search", k="500")["hits"]
    return next(hit for hit in hits if hit["name"] == LONG and hit["start"] == start)


def hold(page: Page, path: str) -> list[Route]:
    """Keep the answers of a path back; the list gets the requests."""
    held: list[Route] = []
    page.route(path, lambda route: held.append(route))
    return held


def test_words_are_split_at_commas_and_a_minus_excludes(page: Page) -> None:
    visit(page)
    words = page.get_by_role("combobox", name="Find")
    words.fill("bell, -rain")
    words.press("Enter")
    until(page, "() => location.search.includes('tag=bell') && location.search.includes('not=rain')")
    wanted = [hit["id"] for hit in asked(page, "/search", tag="bell", **{"not": "rain"}, k="50")["hits"]]
    until(page, SHOWN, wanted)
    expect(page.get_by_role("listbox")).to_be_hidden()
    page.wait_for_timeout(500)  # a completion that was on its way would open it again
    expect(page.get_by_role("listbox")).to_be_hidden()


def test_a_segment_of_a_long_file_is_shown_and_searched_as_that_segment(page: Page) -> None:
    part = segment(page, 20.0)
    visit(page, f"/?like={part['id']}")
    question = page.get_by_role("region", name="Sound to search by")
    expect(question.locator("strong")).to_contain_text(re.compile("0:20.0:30"))
    expect(question.get_by_label("From", exact=True)).to_have_value("20")
    expect(question.get_by_label("to", exact=True)).to_have_value("30")
    question.get_by_role("button", name="Whole sound").click()
    until(page, "() => /start=0&end=60/.test(location.search)")
    whole = [hit["id"] for hit in asked(page, "/search", like=part["id"], start="0", end="60", k="50")["hits"]]
    until(page, SHOWN, whole)
    question.get_by_role("button", name="The segment").click()
    until(page, "() => !location.search.includes('start')")
    until(page, SHOWN, [hit["id"] for hit in asked(page, "/search", like=part["id"], k="50")["hits"]])
    # The player, too, names the segment that it plays.
    visit(page)
    page.locator(f'[data-card="{part["id"]}"]').focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("contentinfo")).to_contain_text(re.compile(f"{LONG} 0:20.0:30"))
    page.keyboard.press("Escape")


def test_the_name_of_an_excerpt_has_the_room_of_its_card(page: Page) -> None:
    visit(page)
    card = page.locator(f'[data-card="{segment(page, 20.0)["id"]}"]')
    shown = card.evaluate("card => card.querySelector('.name').clientWidth / card.clientWidth")
    assert shown > 0.8
    expect(card.locator(".length")).to_have_text(re.compile("0:20.0:30 of 1:00 min"))


def test_a_question_that_is_not_answered_yet_says_so_and_can_be_cancelled(page: Page) -> None:
    visit(page)
    before = cards(page)
    held = hold(page, "**/api/v1/search?*")
    page.locator("[data-card] .body").first.click()
    results = page.get_by_role("region", name="Results")
    expect(results).to_have_attribute("aria-busy", "true")
    expect(results.get_by_role("heading", name="Searching …")).to_be_visible()
    results.get_by_role("button", name="Cancel").click()
    expect(results.get_by_role("heading", name="Cancelled")).to_be_visible()
    expect(results).to_have_attribute("aria-busy", "false")
    assert cards(page) == before
    assert held
    page.unroute("**/api/v1/search?*")
    results.get_by_role("button", name="Search again").click()
    expect(results.get_by_role("heading", name="Nearest first")).to_be_visible()


def test_tagging_by_example_says_that_it_learns(page: Page) -> None:
    held = hold(page, "**/api/v1/examples")
    visit(page, f"/?view=tag&name=x&yes={first(page, 'bell')}&no={first(page, 'drum')}")
    expect(page.get_by_text("Learning from 2 examples")).to_be_visible()
    expect(page.get_by_text("Needs one yes and one no")).to_have_count(0)
    until(page, "() => document.querySelector('.results').getAttribute('aria-busy') === 'true'")
    held[0].continue_()
    expect(page.get_by_role("heading", name="Ranked")).to_be_visible()
    until(page, "() => document.querySelector('.results').getAttribute('aria-busy') === 'false'")


def test_a_refused_upload_is_forgotten_with_the_next_question_and_its_dismissal_keeps_the_question(page: Page) -> None:
    visit(page)
    drop(page, "broken.wav", b"RIFF nothing at all")
    alert = page.get_by_role("region", name="Sound to search by").get_by_role("alert")
    expect(alert).to_be_visible()
    page.locator("[data-card] .body").first.click()
    expect(page.get_by_role("img", name=re.compile("Waveform"))).to_be_visible()
    expect(alert).to_have_count(0)
    drop(page, "broken.wav", b"RIFF nothing at all")
    expect(alert).to_be_visible()
    asked_for = page.url
    page.get_by_role("button", name="Dismiss").click()
    expect(alert).to_have_count(0)
    assert page.url == asked_for


def test_an_upload_that_is_gone_is_an_error_and_no_empty_player(page: Page) -> None:
    page.goto("/?upload=u_gone")
    question = page.get_by_role("region", name="Sound to search by")
    expect(question.get_by_role("alert")).to_contain_text("no longer kept")
    expect(page.get_by_role("img", name=re.compile("Waveform"))).to_have_count(0)
    question.get_by_role("button", name="Search without it").click()
    expect(page.get_by_role("heading", name="All sounds")).to_be_visible()


def test_a_tag_is_taken_off_and_undone_after_a_reload(page: Page) -> None:
    one = first(page, "bell")
    assert page.request.post("/api/v1/tags/apply", data={"tag": "wrong", "add": [one]}).ok
    visit(page, "/?folder=bell")
    page.locator(f'[data-card="{one}"]').focus()
    page.keyboard.press("t")
    page.get_by_role("button", name="Remove the tag wrong").click()
    expect(page.get_by_text("Untagged 1 segment “wrong”").first).to_be_visible()
    page.keyboard.press("Escape")
    assert "wrong" not in asked(page, f"/segments/{one}")["tags"]
    page.reload()
    expect(page.locator("[data-ready=true]")).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_text(re.compile("^Undone")).first).to_be_visible()
    assert "wrong" in asked(page, f"/segments/{one}")["tags"]


def test_the_place_in_the_list_outlives_a_reload_and_the_way_back(page: Page) -> None:
    page.set_viewport_size({"width": 600, "height": 500})
    visit(page)
    page.evaluate("() => document.querySelector('main').scrollTo(0, 1500)")
    until(page, "() => history.state?.scrolled > 1000")
    left = page.evaluate(SCROLLED)
    page.reload()
    until(page, f"left => Math.abs(({SCROLLED})() - left) < 60", left)
    page.locator("[data-card] .body").nth(12).dispatch_event("click")  # a click would scroll to it
    expect(page.get_by_role("heading", name="Nearest first")).to_be_visible()
    until(page, f"() => ({SCROLLED})() < 60")
    page.go_back()
    expect(page.get_by_role("heading", name="All sounds")).to_be_visible()
    until(page, f"left => Math.abs(({SCROLLED})() - left) < 60", left)


def test_the_page_goes_on_when_the_server_is_back(page: Page) -> None:
    visit(page)
    page.route("**/api/v1/**", lambda route: route.abort())
    page.locator("[data-card] .body").first.click()
    expect(page.get_by_text("The server does not answer. This page goes on")).to_be_visible()
    page.unroute("**/api/v1/**")
    expect(page.get_by_role("heading", name="Nearest first")).to_be_visible()
    expect(page.get_by_text("This page goes on")).to_have_count(0)


def test_the_end_of_what_is_shown_is_said(page: Page) -> None:
    def more(route: Route) -> None:
        answer = route.fetch().json()
        route.fulfill(json={**answer, "total": 9999, "hits": answer["hits"] * 40})

    page.route("**/api/v1/search?*", more)
    # The cards of one sound have one key: each copy is another sound to the page.
    page.add_init_script("""
        const read = Response.prototype.json;
        Response.prototype.json = async function () {
            const answer = await read.call(this);
            answer.hits?.forEach((hit, index) => { if (index >= 50) hit.id = index.toString(16).padStart(16, '0'); });
            return answer;
        };""")
    page.goto("/?k=2000")
    expect(page.get_by_text(re.compile(r"^These are the first [12],\d+ of 9,999 sounds"))).to_be_attached(
        timeout=90_000
    )


def test_a_changed_library_is_counted_anew(page: Page) -> None:
    visit(page)
    version = asked(page, "/library")["version"]
    assert page.request.post("/api/v1/tags/apply", data={"tag": "later", "add": [first(page, "bell")]}).ok
    assert asked(page, "/library")["version"] != version
    with page.expect_response("**/api/v1/library"):
        page.get_by_role("combobox", name="Folder").fill("bell")
        page.get_by_role("combobox", name="Folder").press("Enter")


def test_the_first_view_is_small_and_compressed(page: Page) -> None:
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")  # as one who comes for the first time
    page.goto("/", wait_until="networkidle")
    until(
        page,
        "() => [...document.querySelectorAll('[data-card] img')].filter((image) => image.naturalWidth).length >= 12",
    )
    sent = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
        .map(({ name, transferSize }) => [name, transferSize])"""
    first = dict(page.evaluate(sent))
    assert 50_000 < sum(first.values()) < 200_000
    pictures = [name for name in first if "thumbnail" in name]
    shown = len(cards(page))
    # Pictures far below are asked for when they come near, and none is left out.
    assert 12 <= len(pictures) < shown
    for card in page.locator("[data-card]").all()[::8]:
        card.scroll_into_view_if_needed()
    page.locator("[data-card]").last.scroll_into_view_if_needed()
    until(page, "() => [...document.querySelectorAll('[data-card] img')].every((image) => image.naturalWidth === 240)")


def test_the_field_finds_names_and_completes_them_with_folders_tags_and_words(page: Page) -> None:
    visit(page)
    find = page.get_by_role("combobox", name="Find")
    find.fill("marsh")
    expect(page.get_by_role("option", name=re.compile("^recorder-07.*name 1$"))).to_be_visible()
    find.press("Enter")
    until(page, "() => location.search.includes('text=marsh')")
    expect(page.get_by_role("heading", name="Found")).to_be_visible()
    card = page.get_by_role("list", name="Sounds", exact=True).locator("[data-card]")
    expect(card).to_have_count(1)
    # The file is several segments: all of it is searched by, and played.
    card.locator(".body").click()
    until(page, "() => /start=0&end=60/.test(location.search) && !location.search.includes('text')")
    find.fill("bel")
    page.get_by_role("option", name="bell folder 3", exact=True).click()
    until(page, "() => location.search.includes('folder=bell')")
    page.get_by_role("button", name="Remove bell").click()
    until(page, "() => !location.search.includes('folder')")


def test_facets_count_and_filter(page: Page) -> None:
    visit(page)
    codecs = page.get_by_role("region", name="Codecs")
    counted = {one["value"]: one["files"] for one in asked(page, "/facets", field="codec")["facets"]["codec"]}
    expect(codecs.get_by_role("listitem")).to_have_count(len(counted))
    codecs.get_by_role("button", name=re.compile("^FLAC")).click()
    until(page, "() => location.search.includes('field=codec:FLAC')")
    flac = sum(files for codec, files in counted.items() if codec.startswith("FLAC"))
    expect(page.locator(".said")).to_contain_text(f"{flac} file")
    lengths = page.get_by_role("region", name="Lengths")
    if lengths.count():
        lengths.get_by_role("button").first.click()
        until(page, "() => /(min|max)_duration/.test(location.search)")


def test_searches_and_favourites_are_kept_in_the_library(page: Page) -> None:
    visit(page, "/?text=bell&folder=bell")
    saved = page.get_by_role("region", name="Saved")
    saved.get_by_label("Name for this search").fill("all bells")
    saved.get_by_role("button", name="Save").click()
    expect(saved.get_by_role("button", name="all bells", exact=True)).to_be_visible()
    visit(page)
    saved.get_by_role("button", name="all bells", exact=True).click()
    until(page, "() => location.search === '?text=bell&folder=bell'")
    # The cards of the search before stand there until the answer is.
    until(page, "() => document.querySelector('.results').getAttribute('aria-busy') === 'false'")
    expect(page.locator("[data-card]").first).to_be_visible()
    page.locator("[data-card]").first.focus()
    page.keyboard.press("f")
    expect(page.locator(".toast").filter(has_text="Tagged 1 segment “favourite”")).to_be_visible()
    # What said that it was done is gone once a key has undone it: its way back would lead nowhere.
    page.keyboard.press("z")
    expect(page.locator(".toast").filter(has_text="Undone: 1 segment as before")).to_be_visible()
    expect(page.locator(".toast").filter(has_text="Tagged 1 segment")).to_have_count(0)
    until(page, "() => document.querySelector('.results').getAttribute('aria-busy') === 'false'")
    page.locator("[data-card]").first.focus()
    page.keyboard.press("f")
    expect(page.locator(".toast").filter(has_text="Tagged 1 segment “favourite”")).to_be_visible()
    saved.get_by_role("button", name="Favourites").click()
    expect(page.locator(".results .said")).to_contain_text("1 segment")
    # A star that is taken off takes the sound off the list.
    page.locator("[data-card]").first.focus()
    page.keyboard.press("f")
    expect(page.get_by_text("No favourites yet")).to_be_visible()
    saved.get_by_role("button", name="Remove the search all bells").click()
    expect(saved.get_by_role("button", name="all bells", exact=True)).to_have_count(0)
    assert asked(page, "/searches") == {"searches": []}


TRANSFERRED = """(element) => {
    const dataTransfer = new DataTransfer();
    element.dispatchEvent(new DragEvent('dragstart', { dataTransfer, bubbles: true }));
    return dataTransfer.getData('DownloadURL');
}"""


def fetched(page: Page, carried: str) -> tuple[str, str, bytes]:
    """Media type and name of what is dragged, and the file that a drop fetches."""
    kind, name, address = carried.split(":", 2)
    answer = page.request.get(address)
    assert answer.ok
    return kind, name, answer.body()


def test_the_viewer_zooms_selects_and_searches_by_the_selection(page: Page) -> None:
    part = segment(page, 20.0)
    visit(page)
    page.locator(f'[data-card="{part["id"]}"]').focus()
    page.keyboard.press("v")
    viewer = page.get_by_role("dialog", name=LONG)
    picture = viewer.get_by_role("img", name=re.compile("^Spectrogram of"))
    until(page, "() => Number(document.querySelector('[data-tiles]')?.dataset.tiles) > 0")
    expect(picture).to_have_attribute("aria-label", re.compile("0:10 to 0:40$"))
    viewer.get_by_role("button", name="All", exact=True).click()
    expect(picture).to_have_attribute("aria-label", re.compile("0:00 to 1:00$"))
    box = picture.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + 80)
    page.mouse.wheel(0, -400)
    expect(picture).not_to_have_attribute("aria-label", re.compile("0:00 to 1:00$"))
    viewer.get_by_role("button", name="All", exact=True).click()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + 140, steps=4)
    page.mouse.up()
    expect(viewer.get_by_text(re.compile(r"0:15.0:30 \(15 s\), .* to .*kHz"))).to_be_visible()
    kind, name, content = fetched(page, viewer.get_by_role("link", name="Download selection").evaluate(TRANSFERRED))
    assert (kind, name) == ("audio/wav", f"{LONG.removesuffix('.wav')} 15-30 s.wav")
    samples, rate = soundfile.read(io.BytesIO(content))
    assert len(samples) / rate == pytest.approx(15, abs=0.2)
    viewer.get_by_role("button", name="Search by the selection").click()
    until(page, "() => /start=1[45][.\\d]*&end=(30|29)/.test(location.search)")
    expect(viewer).to_have_count(0)


def test_the_viewer_plays_the_selection_again_and_again(page: Page) -> None:
    visit(page, f"/?folder=.&like={segment(page, 0.0)['id']}")
    page.get_by_role("button", name="View the sound").click()
    viewer = page.get_by_role("dialog", name=LONG)
    viewer.get_by_role("region", name="Hits in this file").get_by_role("button").first.click()
    viewer.get_by_label("Speed").select_option("4")
    viewer.get_by_role("button", name="Loop").click()
    page.keyboard.press("+")
    viewer.get_by_role("button", name="Play").click()
    shown = viewer.locator(".time")
    at = shown.inner_text()
    expect(shown).not_to_have_text(at)
    viewer.get_by_role("button", name="Pause").click()
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)


def test_a_card_is_dragged_out_as_a_file(page: Page) -> None:
    part = segment(page, 20.0)
    visit(page)
    kind, name, content = fetched(page, page.locator(f'[data-card="{part["id"]}"]').evaluate(TRANSFERRED))
    assert (kind, name) == ("audio/wav", f"{LONG.removesuffix('.wav')} 20-30 s.wav")
    assert len(soundfile.read(io.BytesIO(content))[0]) > 0
    bell = first(page, "bell")
    whole = fetched(page, page.locator(f'[data-card="{bell}"]').evaluate(TRANSFERRED))
    path = Path(asked(page, f"/segments/{bell}")["path"])
    assert whole == ("application/octet-stream", path.name, path.read_bytes())


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_viewer_and_table_have_no_accessibility_violation(page: Page, theme: Literal["dark", "light"]) -> None:
    page.emulate_media(color_scheme=theme)
    visit(page, f"/?like={segment(page, 0.0)['id']}")
    page.get_by_role("button", name="Table").click()
    page.get_by_text("Columns", exact=True).click()
    assert violations(page) == []
    page.get_by_role("button", name="Table").click()
    page.get_by_role("button", name="View the sound").click()
    until(page, "() => Number(document.querySelector('[data-tiles]')?.dataset.tiles) > 0")
    assert violations(page) == []
