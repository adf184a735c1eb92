"""The page in a real browser: regions are marked in the viewer; a detector is trained, run, and told what is right."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from helpers.browser import NEEDS_CHROMIUM, asked, first, serving, until, violations, visit

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("detect")) as address:
        yield address


def view(page: Page, identity: str) -> None:
    """Open a sound in the viewer, and wait until its file is known."""
    page.locator(f"[data-card='{identity}']").focus()
    page.keyboard.press("v")
    expect(page.get_by_role("dialog").get_by_text(re.compile(r"kHz · (mono|\d channels)"))).to_be_visible()


def test_a_region_is_marked_in_time_and_frequency_and_kept(page: Page) -> None:
    visit(page, "/?folder=bell")
    bell = first(page, "bell")
    view(page, bell)
    viewer = page.get_by_role("dialog")
    box = viewer.get_by_role("img").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 120, steps=3)
    page.mouse.up()
    page.keyboard.press("m")
    page.keyboard.type("strike")
    page.keyboard.press("Enter")
    marked = viewer.get_by_role("region", name="Marked regions")
    expect(marked.get_by_role("button", name="strike").first).to_be_visible()
    (kept,) = asked(page, f"/segments/{bell}/annotations")["annotations"]
    assert kept["label"] == "strike"
    # The keys are the viewer's again, and the next label takes the place of this one.
    page.keyboard.press("n")
    expect(marked.get_by_label("Label")).to_have_value("strike")
    page.keyboard.press("m")
    page.keyboard.type("ring")
    expect(marked.get_by_label("Label")).to_have_value("ring")
    assert 0 < kept["start"] < kept["end"] < asked(page, f"/segments/{bell}")["duration"]
    assert 0 < kept["low"] < kept["high"]
    # It is there for whoever opens the file next, and can be taken away.
    page.reload()
    view(page, bell)
    expect(marked.get_by_role("button", name="Remove the mark")).to_be_visible()
    page.keyboard.press("n")
    expect(viewer.get_by_text("kHz to")).to_be_visible()
    marked.get_by_role("button", name="Remove the mark").click()
    expect(marked.get_by_role("button", name="Remove the mark")).to_have_count(0)
    assert asked(page, f"/segments/{bell}/annotations")["total"] == 0


def test_a_detector_is_trained_from_tags_run_and_told_what_is_right(page: Page) -> None:
    visit(page)
    sirens = [hit["id"] for hit in asked(page, "/search", folder="siren")["hits"]]
    assert page.request.post("/api/v1/tags/apply", data={"tag": "siren", "add": sirens}).ok
    visit(page, "/?view=detect")
    page.get_by_label("From").select_option("tags")
    page.get_by_role("checkbox", name="siren").check()
    page.get_by_role("button", name="Train").click()
    expect(page.get_by_role("heading", name="siren", exact=True)).to_be_visible(timeout=240_000)
    expect(page.get_by_text("Precision", exact=True)).to_be_visible()
    visit(page, "/?view=detect")
    expect(page.get_by_role("heading", name="siren", exact=True)).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Detect", exact=True).click()
    events = page.get_by_role("group", name="Detections").locator("tbody tr")
    expect(events.first).to_be_visible(timeout=240_000)
    assert violations(page) == []
    # Three sounds teach little: the figures say so themselves.
    expect(page.get_by_text("Too few marks to trust these figures")).to_be_visible()
    # Whoever closed the tab meanwhile finds what was found, and by which detector.
    visit(page, "/?view=detect")
    expect(page.get_by_role("heading", name=re.compile(r"\d+ detections? by siren"))).to_be_visible()
    events.first.get_by_role("button", name="siren").click()
    detections = page.get_by_role("dialog").get_by_role("region", name="Detections")
    detections.get_by_role("button", name="is right").first.click()
    until(page, "() => document.querySelectorAll('dialog .mark.kept').length > 0")
    assert asked(page, "/annotations/labels")["labels"][0]["name"] == "siren"


def test_how_the_last_detection_ended_is_said_and_none_begins_while_other_work_goes_on(page: Page) -> None:
    ended = {"id": "j_ended", "kind": "detect", "state": "failed", "done": 1, "total": 2, "message": "cancelled: kept"}
    going = {"id": "j_going", "kind": "index", "state": "running", "done": 1, "total": 4, "message": "embedded a.wav"}
    jobs = [ended]
    page.route("**/api/v1/jobs", lambda route: route.fulfill(json={"jobs": jobs}))
    page.route("**/api/v1/jobs/j_going", lambda route: route.fulfill(json=going))
    visit(page, "/?view=detect&folder=bell")
    expect(page.get_by_role("region", name="The last detection did not finish")).to_contain_text("cancelled: kept")
    detect = page.get_by_role("button", name="Detect", exact=True)
    expect(detect).to_be_enabled()
    expect(page.get_by_label("Where").locator("option")).to_have_text(
        ["in all files", "in all files of the last search"]
    )
    # Somebody begins other work elsewhere.
    jobs.insert(0, going)
    expect(detect).to_be_disabled()
    expect(page.get_by_role("status", name="The server is busy")).to_contain_text("embedded a.wav")
    expect(detect).to_have_attribute("title", re.compile("Indexing goes on"))


def test_files_that_a_detection_left_out_are_named_with_the_reason(page: Page) -> None:
    done = {"id": "j_done", "kind": "detect", "state": "done", "done": 2, "total": 2, "message": "0 events in 1 file"}
    found = {
        "detector": "siren", "events": [], "files": 1, "seconds": 2.0,
        "points": [
            {"label": label, "threshold": 0.5, "reached": True, "recall": {"value": 0.91, "low": low, "high": 1},
             "precision": {"value": 0.97, "low": low, "high": 1}}
            for label, low in (("crow", 0.9), ("owl", 0.1))
        ],
        "failed": [{"path": "/drive/empty.wav", "reason": "the file is empty"}],
    }  # fmt: skip
    page.route("**/api/v1/jobs", lambda route: route.fulfill(json={"jobs": [done]}))
    page.route("**/api/v1/jobs/j_done/detections", lambda route: route.fulfill(json=found))
    visit(page, "/?view=detect")
    page.get_by_text("1 file could not be read").click()
    expect(page.get_by_text("/drive/empty.wav: the file is empty")).to_be_visible()
    expect(page.get_by_text(re.compile("crow from 50.?% on: 97.?% right, 91.?% found"))).to_be_visible()
    expect(
        page.get_by_text(re.compile("owl from 50.?% on: of too few marks to say how many are right"))
    ).to_be_visible()
    assert violations(page) == []
