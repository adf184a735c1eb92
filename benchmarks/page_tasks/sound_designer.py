"""A sound designer's tasks: find the sound that a scene needs, hear it against others, and carry it off."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import soundfile
from playwright.sync_api import expect

from benchmarks.page_tasks.desk import Desk


def find_by_name(desk: Desk) -> None:
    """Find a sound by a part of its name, and play it."""
    name = desk.sound["name"]
    desk.visit()
    desk.find(name.rsplit(".", 1)[0])
    card = desk.cards.filter(has_text=name).first
    desk.press_on(card, "Play")
    expect(desk.player).to_contain_text(name)


def find_by_words(desk: Desk) -> None:
    """Find what sounds like one word, and not like another."""
    wanted, unwanted, _ = desk.words
    desk.visit()
    desk.find(f"{wanted}, -{unwanted}")
    found = desk.hits(**{"tag": wanted, "not": unwanted, "k": "50"})
    expect(desk.page.get_by_role("heading", name="Nearest first")).to_be_visible()
    expect(desk.cards.first).to_have_attribute("data-card", found[0]["id"])
    expect(desk.page.get_by_role("button", name=f"not {unwanted}")).to_be_visible()


def find_by_own_file(desk: Desk) -> None:
    """Find what sounds like a file of one's own that is not in the library."""
    path = desk.folder / "of my own.wav"
    times = np.arange(24_000) / 16_000
    soundfile.write(path, np.sin(2 * np.pi * 660 * times) * np.exp(-3 * times) * 0.5, 16_000)
    desk.visit()
    desk.unfold("More ways to find")
    with desk.page.expect_file_chooser() as choosing:
        desk.page.get_by_role("button", name="File", exact=True).click()
    choosing.value.set_files(path)
    expect(desk.page.get_by_role("heading", name="Nearest first")).to_be_visible()
    expect(desk.page.get_by_role("img", name="Waveform of of my own.wav")).to_be_visible()
    expect(desk.results.get_by_role("heading")).to_be_in_viewport()


def find_by_recording(desk: Desk) -> None:
    """Record a sound with the microphone, and find what is like it."""
    desk.visit()
    desk.unfold("More ways to find")
    desk.page.get_by_role("button", name="Record", exact=True).click()
    stop = desk.page.get_by_role("button", name=re.compile("^Recording"))
    expect(stop).to_be_visible()
    desk.page.wait_for_timeout(1500)
    stop.click()
    expect(desk.page.get_by_role("heading", name="Nearest first")).to_be_in_viewport()


def steer_by_parts(desk: Desk) -> None:
    """Have more like a sound, by its pitch alone and then by everything but its pitch."""
    desk.visit(f"/?like={desk.sound['id']}")
    desk.unfold("Steer")
    slider = desk.page.get_by_role("slider", name="pitch")
    desk.page.get_by_role("button", name="Only pitch").click()
    desk.page.wait_for_function("() => location.search.includes('weights=')")
    desk.settle()
    desk.page.get_by_role("button", name="Only pitch").click()
    slider.press("Home")
    desk.page.wait_for_function("() => location.search.includes('pitch:0')")
    desk.settle()
    found = desk.hits(like=desk.sound["id"], weights="pitch:0", k="50")
    expect(desk.cards.nth(1)).to_have_attribute("data-card", found[1]["id"])


def rank_by_examples(desk: Desk) -> None:
    """Say yes to two sounds and no to two others, and have the library ranked by that."""
    word = desk.words[0]
    desk.visit(f"/?tag={word}")
    desk.go("Tag")
    cards = desk.page.get_by_role("list", name="Sounds to mark").locator("[data-card]")
    # Marked sounds stay where they are until the first answer, which needs a yes and a no.
    for place in (0, 1):
        cards.nth(place).get_by_role("button", name="Yes", exact=True).click()
    identities = [str(cards.nth(place).get_attribute("data-card")) for place in (-1, -2)]
    for identity in identities:
        desk.card(identity).get_by_role("button", name="No", exact=True).click()
    expect(desk.page.get_by_role("heading", name="Ranked")).to_be_visible()
    expect(desk.page.get_by_text("Learning")).to_have_count(0)
    # How sure it is, is said in one place.
    expect(desk.page.get_by_text("right", exact=True)).to_be_visible()


def search_by_a_part(desk: Desk) -> None:
    """Search by a part of a sound: the attack, say."""
    desk.visit(f"/?like={desk.sound['id']}")
    wave = desk.page.get_by_role("img", name=re.compile("^Waveform"))
    desk.page.wait_for_function("() => document.querySelector('.wave > div')?.shadowRoot?.querySelector('canvas')")
    desk.drag(wave, [(0.1, 0.5), (0.3, 0.5), (0.6, 0.5)])
    desk.page.wait_for_function(r"() => /start=[\d.]+&end=[\d.]+/.test(location.search)")
    desk.settle()
    expect(desk.page.get_by_role("button", name="Whole sound")).to_be_visible()


def play_closely(desk: Desk) -> None:
    """Look closely at a sound: zoom, and play it again and again at half the speed, at its pitch, made louder."""
    desk.visit_folder()
    desk.view(desk.sound["id"])
    viewer = desk.viewer
    picture = viewer.get_by_role("img", name=re.compile("^Spectrogram of"))
    expect(viewer.get_by_text("the wheel zooms")).to_be_visible(visible=not desk.phone)
    whole = str(picture.get_attribute("aria-label"))
    viewer.get_by_role("button", name="Zoom in").click()
    expect(picture).not_to_have_attribute("aria-label", whole)
    viewer.get_by_role("button", name="All", exact=True).click()
    desk.drag(picture, [(0.2, 0.3), (0.5, 0.5), (0.7, 0.6)])
    viewer.get_by_role("button", name="Loop").click()
    viewer.get_by_label("Speed").select_option("0.5")
    viewer.get_by_label("Gain").select_option("20")
    expect(viewer.get_by_role("button", name="Keep pitch")).to_have_attribute("aria-pressed", "true")
    viewer.get_by_role("button", name="Play").click()
    shown = viewer.locator(".time")
    expect(shown).not_to_have_text(shown.inner_text())
    desk.sees("playing")
    viewer.get_by_role("button", name="Pause").click()


def compare_with_the_query(desk: Desk) -> None:
    """Play a hit and the query by turns, equally loud."""
    desk.visit(f"/?like={desk.sound['id']}")
    desk.press_on(desk.cards.nth(3), "Play")
    desk.player.get_by_role("button", name="Play the query instead").click()
    expect(desk.player).to_contain_text("The query")
    matched = desk.player.get_by_role("button", name="Play both equally loud")
    before = matched.get_attribute("aria-pressed")
    matched.click()
    expect(matched).not_to_have_attribute("aria-pressed", str(before))
    matched.click()


def drag_out(desk: Desk) -> None:
    """Drag a hit, and then a part of it, into another program: a real file each."""
    desk.visit_folder()
    if desk.phone:
        desk.otherwise = "a finger drags nothing out of a page: downloaded"
        desk.view(desk.sound["id"])
        link = desk.viewer.get_by_role("link", name="Download file")
        assert link.evaluate("(one) => one.getBoundingClientRect().height") >= 43.5
        with desk.download() as got:
            link.click()
        assert got[0].read_bytes()[:4]
        return
    name, content = desk.carried(desk.card(desk.sound["id"]))
    assert (name, len(content) > 0) == (desk.sound["name"], True)
    desk.view(desk.sound["id"])
    desk.drag(desk.viewer.get_by_role("img", name=re.compile("^Spectrogram of")), [(0.2, 0.3), (0.5, 0.5), (0.7, 0.6)])
    name, content = desk.carried(desk.viewer.get_by_role("link", name="Download selection"))
    assert name.endswith((" s.wav", " ms.wav")), name
    samples, rate = soundfile.read(io.BytesIO(content))
    assert 0 < len(samples) / rate < desk.sound["duration"]


def take_a_part_and_the_path(desk: Desk) -> None:
    """Download a part of a sound, and copy the path of its file."""
    desk.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desk.visit_folder()
    desk.press_on(desk.card(desk.sound["id"]), "Copy the path of")
    desk.told(re.compile("^Copied "))
    assert desk.page.evaluate("navigator.clipboard.readText()") == desk.sound["path"]
    desk.view(desk.sound["id"])
    desk.drag(desk.viewer.get_by_role("img", name=re.compile("^Spectrogram of")), [(0.1, 0.2), (0.3, 0.4), (0.5, 0.7)])
    with desk.download() as got:
        desk.viewer.get_by_role("link", name="Download selection").click()
    assert soundfile.info(got[0]).duration < desk.sound["duration"]


def keep_favourites(desk: Desk) -> None:
    """Make two sounds favourites, list them, and take one off again."""
    desk.visit(f"/?tag={desk.words[0]}")
    for place in (0, 1):
        desk.press_on(desk.cards.nth(place), "Favourite")
        expect(desk.cards.nth(place).get_by_role("button", name=re.compile("^Favourite"))).to_have_attribute(
            "aria-pressed", "true"
        )
    desk.unfold("More ways to find")
    desk.page.get_by_role("button", name="Favourites").click()
    desk.settle()
    expect(desk.results.get_by_role("heading", name="Favourites")).to_be_visible()
    assert desk.cards.count() >= 2
    desk.sees("listed")
    for _ in range(desk.cards.count()):
        lit = desk.cards.get_by_role("button", name=re.compile("^Favourite"), pressed=True)
        if not lit.count():
            break
        with desk.page.expect_response("**/tags/apply"):
            lit.first.click()
        desk.settle()
    assert desk.hits(has_tag="favourite") == []


def collect(desk: Desk) -> None:
    """Put three sounds that were found into a collection of its own, and take it along as sounds and as a list."""
    tag = f"scene three, {desk.look.name}".replace(",", "")
    desk.visit(f"/?tag={desk.words[1]}")
    for place in range(3):
        desk.press_on(desk.cards.nth(place), "Select")
    desk.results.get_by_role("button", name="Tag", exact=True).click()
    field = desk.page.get_by_role("dialog").get_by_role("combobox")
    field.fill(tag)
    field.press("Enter")
    desk.told(re.compile("^Tagged "))
    desk.visit()
    desk.unfold("More ways to find")
    desk.page.get_by_role("combobox", name="Tag", exact=True).fill(tag)
    desk.page.get_by_role("combobox", name="Tag", exact=True).press("Enter")
    desk.settle()
    assert desk.cards.count() >= 3
    with zipfile.ZipFile(desk.choose_download("Export the shown sounds", "sounds")) as packed:
        assert len(packed.namelist()) >= 3
    names = desk.choose_download("Export the shown sounds", "csv").read_text("utf-8")
    assert len(names.splitlines()) == desk.cards.count() + 1


def save_a_search(desk: Desk) -> None:
    """Save a search under a name, come back to it another day, and remove it."""
    word = desk.words[2]
    name = f"more {word}"
    desk.visit(f"/?tag={word}&max_duration=20")
    desk.unfold("More ways to find")
    saved = desk.page.get_by_role("region", name="Saved")
    saved.get_by_label("Name for this search").fill(name)
    saved.get_by_role("button", name="Save", exact=True).click()
    expect(saved.get_by_role("button", name=name, exact=True)).to_be_visible()
    desk.visit()
    desk.unfold("More ways to find")
    saved.get_by_role("button", name=name, exact=True).click()
    desk.page.wait_for_function("() => location.search.includes('max_duration=20')")
    desk.settle()
    desk.sees("opened")
    desk.unfold("More ways to find")
    saved.get_by_role("button", name=f"Remove the search {name}").click()
    expect(saved.get_by_role("button", name=name, exact=True)).to_have_count(0)


TASKS = [
    find_by_name,
    find_by_words,
    find_by_own_file,
    find_by_recording,
    steer_by_parts,
    rank_by_examples,
    search_by_a_part,
    play_closely,
    compare_with_the_query,
    drag_out,
    take_a_part_and_the_path,
    keep_favourites,
    collect,
    save_a_search,
]
