"""A bioacoustician's tasks: see calls in hours of sound, mark them, and have a detector find the others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, expect

from benchmarks.page_tasks.desk import Desk

LABEL = "call"
LONG = 900_000
"""Milliseconds that a training or a detection may take on a machine with other work."""
EVERY = 5.0
"""Seconds from one region that is marked beforehand to the next."""


def spectrogram(desk: Desk) -> Locator:
    return desk.viewer.get_by_role("img", name=re.compile("^Spectrogram of"))


def overview_of_a_recording(desk: Desk) -> None:
    """See a whole long recording at once, and go down to a few seconds of it."""
    desk.open_recording()
    desk.viewer.get_by_role("button", name="All", exact=True).click()
    expect(spectrogram(desk)).to_have_attribute("aria-label", re.compile(", 0:00 to"))
    desk.page.wait_for_timeout(300)
    desk.sees("all of it")
    whole = str(spectrogram(desk).get_attribute("aria-label"))
    for _ in range(6):
        desk.viewer.get_by_role("button", name="Zoom in").click()
    expect(spectrogram(desk)).not_to_have_attribute("aria-label", whole)
    desk.page.wait_for_function("() => Number(document.querySelector('[data-tiles]')?.dataset.tiles) > 1")


def search_by_time_and_frequency(desk: Desk) -> None:
    """Put a box around a call in time and frequency, and search by it."""
    desk.open_recording()
    desk.drag(spectrogram(desk), [(0.3, 0.2), (0.5, 0.4), (0.6, 0.6)])
    expect(desk.viewer.get_by_text(re.compile("Hz to .*Hz"))).to_be_visible()
    desk.sees("boxed")
    desk.viewer.get_by_role("button", name="Search by the selection").click()
    desk.page.wait_for_function(r"() => /start=[\d.]+&end=[\d.]+/.test(location.search)")
    desk.settle()
    expect(desk.page.get_by_role("heading", name="Nearest first")).to_be_visible()


def slow_and_narrow(desk: Desk) -> None:
    """Play a call at a tenth of the speed, its pitch lowered as well, with the high half of the range out of sight."""
    desk.open_recording()
    viewer = desk.viewer
    top = viewer.get_by_label("Up to")
    values = [str(one.get_attribute("value")) for one in top.locator("option").all()]
    top.select_option(values[1])
    viewer.get_by_label("Scale").select_option("mel")
    viewer.get_by_label("Speed").select_option("0.1")
    viewer.get_by_role("button", name="Keep pitch").click()
    expect(viewer.get_by_role("button", name="Keep pitch")).to_have_attribute("aria-pressed", "false")
    viewer.get_by_role("button", name="Play").click()
    expect(viewer.get_by_role("button", name="Pause")).to_be_visible()
    desk.page.wait_for_timeout(300)


def walk_along_the_timeline(desk: Desk) -> None:
    """Step through the hits and the tags of a recording along its timeline."""
    part = desk.recording
    tag = f"dawn {desk.look.name}"
    desk.send("/tags/apply", tag=tag, add=[part["id"]])
    desk.open_recording()
    tags = desk.viewer.get_by_role("region", name="Tags in this file").get_by_role("button")
    expect(tags.filter(has_text=tag).first).to_be_visible()
    hits = desk.viewer.get_by_role("region", name="Hits in this file").get_by_role("button")
    seen = str(spectrogram(desk).get_attribute("aria-label"))
    if hits.count() > 1:
        hits.last.click()
        expect(spectrogram(desk)).not_to_have_attribute("aria-label", seen)
    if not desk.phone:
        for key in ("0", "n", "n", "b"):
            desk.page.keyboard.press(key)
    desk.sees("timeline")
    tags.filter(has_text=tag).first.click()
    desk.send("/tags/apply", tag=tag, remove=[part["id"]])


def mark_calls(desk: Desk) -> None:
    """Mark a call with a label in time and frequency, and a stretch that holds nothing."""
    desk.open_recording()
    before = desk.ask(f"/segments/{desk.recording['id']}/annotations")["total"]
    marked = desk.viewer.get_by_role("region", name="Marked regions")
    expect(marked.get_by_label("Label")).to_be_in_viewport()
    desk.drag(spectrogram(desk), [(0.2, 0.2), (0.3, 0.4), (0.35, 0.6)])
    marked.get_by_label("Label").fill("")
    marked.get_by_role("button", name="Mark as nothing").click()
    desk.told(re.compile("^Marked as without"))
    desk.drag(spectrogram(desk), [(0.5, 0.2), (0.6, 0.4), (0.65, 0.6)])
    marked.get_by_label("Label").fill(LABEL)
    marked.get_by_role("button", name="Mark", exact=True).click()
    desk.told(f"Marked as “{LABEL}”")
    desk.sees("marked")
    kept = desk.ask(f"/segments/{desk.recording['id']}/annotations")
    assert kept["total"] == before + 2
    assert any(one["label"] == LABEL and one.get("low") for one in kept["annotations"])
    for _ in range(2):
        marked.get_by_role("button", name="Remove the mark").first.click()
        expect(marked.get_by_role("button", name="Remove the mark")).to_have_count(before := kept["total"] - 1)
        kept["total"] = before


def train_from_marks(desk: Desk) -> None:
    """Train a detector from what was marked, and see how good it is."""
    marked(desk)
    desk.visit("/?view=detect")
    desk.page.get_by_role("checkbox", name=LABEL).check()
    desk.page.get_by_label("Name", exact=True).fill("from-marks")
    desk.page.get_by_role("button", name=re.compile("^Train")).click()
    panel = detector(desk, "from-marks")
    expect(panel.get_by_text("Average precision")).to_be_visible(timeout=LONG)


def train_from_tags(desk: Desk) -> None:
    """Train a detector from sounds that have a tag."""
    word = desk.words[0]
    desk.send("/tags/apply", tag=word, add=[hit["id"] for hit in desk.hits(tag=word, k="6")])
    desk.visit("/?view=detect")
    desk.page.get_by_role("combobox", name="From").select_option("tags")
    desk.page.get_by_role("checkbox", name=re.compile(f"^{word} ")).check()
    desk.page.get_by_label("Name", exact=True).fill("from-tags")
    desk.page.get_by_role("button", name=re.compile("^Train")).click()
    expect(detector(desk, "from-tags").get_by_text("Precision", exact=True)).to_be_visible(timeout=LONG)
    detector(desk, "from-tags").get_by_role("button", name="Delete").click()
    expect(detector(desk, "from-tags")).to_have_count(0)


def detect_in_a_recording(desk: Desk) -> None:
    """Run a detector over the recording that is open, and say of what it found whether it is right."""
    trained(desk)
    desk.open_recording()
    found = desk.viewer.get_by_role("region", name="Detections")
    found.get_by_label("Threshold").select_option(label="90 % of all calls found")
    found.get_by_role("button", name="Detect in this file").click()
    expect(found.get_by_text(re.compile("from-marks found "))).to_be_visible(timeout=LONG)
    desk.sees("found")
    if found.get_by_role("button", name="is right").count() > 1:
        found.get_by_role("button", name="is right").first.click()
        desk.told(f"Marked as “{LABEL}”")
        found.get_by_role("button", name="is wrong").first.click()
        desk.told(re.compile("^Marked as without"))


def detect_everywhere(desk: Desk) -> None:
    """Run a detector over all files, and open one of its detections."""
    trained(desk)
    desk.visit("/?view=detect")
    desk.page.get_by_label("Threshold").select_option(label="90 % of all calls found")
    detect(desk)
    desk.page.get_by_role("heading", name=re.compile("detection")).scroll_into_view_if_needed()
    desk.sees("found")
    rows = desk.page.get_by_role("group", name="Detections").locator("tbody tr")
    rows.first.get_by_role("button").click()
    expect(desk.viewer.get_by_role("region", name="Detections").locator(".mark").first).to_be_visible()


def detect_in_what_was_found(desk: Desk) -> None:
    """Run a detector over the files of a search, and export its detections for Raven and Audacity."""
    trained(desk)
    desk.visit(f"/?like={desk.recording['id']}&min_duration=60")
    desk.go("Detect")
    desk.page.get_by_label("Where").select_option(label=re_option(desk, "Where", "last search"))
    desk.page.get_by_label("Threshold").select_option(label="90 % of all calls found")
    detect(desk)
    for form in exchange(desk, "Export the detections"):
        assert desk.choose_download("Export the detections", form).read_bytes()


def train_again(desk: Desk) -> None:
    """Train a detector again after more was marked, and see that it has had another round."""
    trained(desk)
    desk.send(
        f"/segments/{desk.recording['id']}/annotations",
        annotations=[{"start": 51.0, "end": 52.0, "label": LABEL}, {"start": 53.0, "end": 54.0, "label": ""}],
    )
    rounds = next(one["rounds"] for one in desk.ask("/detectors")["detectors"] if one["name"] == "from-marks")
    desk.visit("/?view=detect")
    desk.page.get_by_role("checkbox", name=LABEL).check()
    desk.page.get_by_label("Name", exact=True).fill("from-marks")
    desk.page.get_by_role("button", name="Train again").click()
    expect(detector(desk, "from-marks")).to_contain_text(f"{rounds + 1} round", timeout=LONG)


def take_the_marks_along(desk: Desk) -> None:
    """Export what was marked and tagged for Raven, Audacity and a table."""
    marked(desk)
    desk.visit("/?view=detect")
    for form in exchange(desk, "Export the marked regions"):
        assert LABEL.encode() in desk.choose_download("Export the marked regions", form).read_bytes()
    desk.go("Tag")
    for name in ("Tags as CSV", "Audacity labels"):
        with desk.download() as got:
            desk.page.get_by_role("link", name=name).click()
        assert Path(got[0]).stat().st_size > 0


def detector(desk: Desk, name: str) -> Locator:
    return desk.page.locator("li.panel").filter(has=desk.page.get_by_role("heading", name=name, exact=True))


def detect(desk: Desk) -> None:
    """Run the detector of the marked calls, until what it finds is there; what an earlier run found is there before."""
    with desk.page.expect_response("**/detect"):
        detector(desk, "from-marks").get_by_role("button", name="Detect", exact=True).click()
    desk.sees("at work")
    desk.page.wait_for_timeout(300)
    expect(desk.page.get_by_role("progressbar", name="Detecting")).to_have_count(0, timeout=LONG)
    expect(desk.page.get_by_role("heading", name=re.compile("detection"))).to_be_visible()


def re_option(desk: Desk, label: str, text: str) -> str:
    """The whole label of the choice that has the text."""
    return desk.page.get_by_label(label).locator("option").filter(has_text=text).inner_text()


def exchange(desk: Desk, label: str) -> list[str]:
    """The formats of other programs for regions, among those that are offered."""
    choice = desk.page.get_by_label(label)
    expect(choice.locator("option").nth(1)).to_be_attached()
    offered = set(choice.locator("option").evaluate_all("options => options.map((one) => one.value)"))
    wanted = [form for form in ("raven", "audacity", "csv") if form in offered]
    assert len(wanted) >= 2, offered
    return wanted


def marked(desk: Desk) -> None:
    """See to it that the recording has ten calls and ten stretches without one."""
    held: dict[str, Any] = desk.ask(f"/segments/{desk.recording['id']}/annotations")
    if held["total"] < 20:
        regions = [
            {"start": EVERY * place + 1, "end": EVERY * place + 2.5, "label": "" if place % 2 else LABEL}
            for place in range(10)
        ]
        regions += [
            {"start": EVERY * place + 3, "end": EVERY * place + 4.5, "label": LABEL if place % 2 else ""}
            for place in range(10)
        ]
        desk.send(f"/segments/{desk.recording['id']}/annotations", annotations=regions)


def trained(desk: Desk) -> None:
    """See to it that there is a detector of the marked calls."""
    if any(one["name"] == "from-marks" for one in desk.ask("/detectors")["detectors"]):
        return
    marked(desk)
    job = desk.send("/detectors", name="from-marks", labels=[LABEL], source="annotations")["job"]
    while desk.ask(f"/jobs/{job}")["state"] in ("running", "waiting"):
        desk.page.wait_for_timeout(200)


TASKS = [
    overview_of_a_recording,
    search_by_time_and_frequency,
    slow_and_narrow,
    walk_along_the_timeline,
    mark_calls,
    train_from_marks,
    train_from_tags,
    detect_in_a_recording,
    detect_everywhere,
    detect_in_what_was_found,
    train_again,
    take_the_marks_along,
]
