"""An archivist's tasks: know what a collection holds, describe it, and give parts of it to others."""

from __future__ import annotations

import re

import soundfile
from playwright.sync_api import expect

from benchmarks.page_tasks.desk import Desk
from soundloom.synth import render


def browse_folders(desk: Desk) -> None:
    """Browse the folders: how many files each has, into one, and over to its neighbour."""
    desk.visit()
    desk.unfold("More ways to find")
    folders = desk.page.get_by_role("region", name="Folders").locator(".folder")
    for place in (0, 1):
        name, files = folders.nth(place).inner_text().split("\n")
        folders.nth(place).click()
        desk.page.wait_for_function("() => location.search.includes('folder=')")
        desk.settle()
        shown = {hit["path"] for hit in desk.hits(folder=name, k="1000")}
        assert len(shown) == int(files.replace(",", ""))
        assert {str(card.get_attribute("data-card")) for card in desk.cards.all()} <= {
            hit["id"] for hit in desk.hits(folder=name, k="1000")
        }
        desk.unfold("More ways to find")


def narrow_by_length_and_date(desk: Desk) -> None:
    """List the recordings of one month that last a minute or more."""
    desk.visit()
    desk.unfold("More ways to find")
    desk.page.get_by_label("At least, in seconds").fill("60")
    desk.page.get_by_label("At least, in seconds").press("Enter")
    desk.page.get_by_label("After", exact=True).fill("2024-05-01")
    desk.page.get_by_label("Before", exact=True).fill("2024-06-01")
    desk.page.get_by_label("Before", exact=True).press("Enter")
    desk.page.wait_for_function(
        "() => ['min_duration', 'after', 'before'].every((one) => location.search.includes(one))"
    )
    desk.settle()
    found = desk.hits(min_duration="60", after="2024-05-01", before="2024-06-01", k="1000")
    assert any(hit["path"] == desk.recording["path"] for hit in found)
    expect(desk.results.locator(".said")).to_contain_text(str(len(found)))


def count_by_fields(desk: Desk) -> None:
    """See how the files are spread over codecs and hours, and list those of one codec."""
    desk.visit()
    desk.unfold("More ways to find")
    expect(desk.page.get_by_role("region", name="Lengths").get_by_role("button").first).to_be_visible()
    codecs = desk.page.get_by_role("region", name="Codecs").get_by_role("button")
    name, files = codecs.nth(1).inner_text().split("\n")
    codecs.nth(1).click()
    desk.page.wait_for_function("() => location.search.includes('field=codec')")
    desk.settle()
    expect(desk.results.locator(".said")).to_contain_text(f"{files} file")
    expect(desk.page.get_by_role("button", name=f"Remove {name}")).to_be_visible()


def list_as_table(desk: Desk) -> None:
    """List what was found as a table with columns of one's choice, the longest first."""
    desk.visit(f"/?tag={desk.words[0]}")
    desk.results.get_by_role("button", name="Table").click()
    table = desk.page.get_by_role("region", name="Table of sounds")
    desk.page.get_by_text("Columns", exact=True).click()
    desk.page.get_by_label("Path", exact=True).check()
    desk.page.get_by_text("Columns", exact=True).click()
    expect(table.get_by_role("columnheader", name="Path")).to_be_visible()
    for _ in range(2):
        table.get_by_role("columnheader", name="Length").get_by_role("button").click()
    expect(table.get_by_role("columnheader", name="Length")).to_have_attribute("aria-sort", "descending")
    desk.settle()
    identities = [str(row.get_attribute("data-card")) for row in table.locator("tbody tr").all()]
    lengths = [desk.ask(f"/segments/{identity}")["duration"] for identity in identities[:5]]
    assert lengths == sorted(lengths, reverse=True)
    desk.sees("sorted")
    table.locator("tbody tr").first.get_by_role("button", name=re.compile("^Play")).click()
    desk.results.get_by_role("button", name="Table").click()


def tag_many_and_undo(desk: Desk) -> None:
    """Tag all that was found, and take it back after the page was loaded anew."""
    tag = f"box 12 {desk.look.name}"
    desk.visit_folder()
    desk.results.get_by_role("button", name=re.compile("^Select all")).first.click()
    desk.results.get_by_role("button", name="Tag", exact=True).click()
    desk.page.get_by_role("dialog").get_by_role("combobox").fill(tag)
    desk.page.get_by_role("dialog").get_by_role("button", name="Tag", exact=True).click()
    desk.told(re.compile("^Tagged "))
    assert desk.hits(has_tag=tag)
    desk.sees("tagged")
    desk.page.reload()
    desk.settle()
    if desk.phone:
        desk.page.get_by_role("button", name="Undo tagging").click()
    else:
        desk.page.keyboard.press("z")
    desk.told(re.compile("^Undone"))
    assert desk.hits(has_tag=tag) == []


def correct_a_tag(desk: Desk) -> None:
    """Find the sounds with a tag, and take a wrong tag off one of them."""
    tag = f"misfiled {desk.look.name}"
    chosen = [hit["id"] for hit in desk.hits(tag=desk.words[1], k="3")]
    desk.send("/tags/apply", tag=tag, add=chosen)
    desk.visit()
    box = desk.page.get_by_role("combobox", name="Find")
    box.fill("misfiled")
    desk.page.get_by_role("option", name=re.compile(f"^{tag} tag")).click()
    desk.page.wait_for_function("() => location.search.includes('has_tag=')")
    desk.settle()
    desk.press_on(desk.cards.first, "Tag")
    taken = desk.cards.first.get_attribute("data-card")
    desk.page.get_by_role("button", name=f"Remove the tag {tag}").click()
    desk.told(re.compile("^Untagged"))
    desk.sees("in the dialog")
    desk.page.get_by_role("button", name="Cancel").click()
    expect(desk.page.get_by_role("dialog")).to_have_count(0)
    assert taken not in {hit["id"] for hit in desk.hits(has_tag=tag)}


def add_a_folder(desk: Desk) -> None:
    """Add a folder of new sounds, and find one of them."""
    folder = desk.folder / "accession"
    folder.mkdir()
    name = f"accession {desk.look.name}"
    sound = render("siren", 7)
    soundfile.write(folder / f"{name}.wav", sound.samples, sound.sample_rate)
    desk.visit()
    desk.go("Health")
    desk.page.get_by_label("Folder to add").fill(str(folder))
    desk.page.get_by_role("button", name="Add folder").click()
    desk.told(re.compile("1 new"))
    desk.sees("added")
    desk.go("Search")
    desk.settle()
    desk.find(name)
    expect(desk.cards.filter(has_text=name).first).to_be_visible()


def switch_libraries(desk: Desk) -> None:
    """Go over to another library of the server, and back."""
    desk.visit()
    chosen = desk.page.get_by_role("combobox", name="Library")
    expect(chosen.locator("option").nth(1)).to_be_attached()
    here, there = (one.inner_text() for one in chosen.locator("option").all()[:2])
    chosen.select_option(there)
    desk.page.wait_for_url("**/libraries/**")
    desk.settle()
    desk.sees("the other")
    desk.page.get_by_role("combobox", name="Library").select_option(here)
    desk.page.wait_for_function("() => location.pathname === '/'")
    desk.settle()


def see_what_is_wrong(desk: Desk) -> None:
    """See which files could not be read, and of which something was noticed."""
    desk.visit()
    desk.go("Health")
    failed = desk.ask("/failures")["failures"]
    listed = desk.page.get_by_role("group", name="Files that failed").get_by_role("row")
    if failed:
        expect(listed).to_have_count(len(failed) + 1)
    else:
        desk.told("Every file could be read.")
    expect(desk.page.get_by_role("group", name="Files with notices").get_by_role("row").nth(1)).to_be_visible()


def clear_out_duplicates(desk: Desk) -> None:
    """Find the copies in the collection, play one, and export the list of all but the best."""
    desk.visit()
    desk.go("Health")
    desk.page.get_by_role("button", name="Find duplicates").click()
    groups = desk.page.get_by_role("group", name="Groups of duplicates")
    expect(groups.get_by_role("listitem").first).to_be_visible(timeout=180_000)
    groups.get_by_role("button", name=re.compile("^Play")).first.click()
    groups.scroll_into_view_if_needed()
    desk.sees("groups")
    desk.page.get_by_role("button", name="All but the best as results").click()
    expect(desk.page.get_by_role("heading", name="Duplicates beside the best")).to_be_visible()
    listed = desk.choose_download("Export the shown sounds", "csv").read_text("utf-8")
    assert len(listed.splitlines()) == desk.cards.count() + 1


def export_in_every_format(desk: Desk) -> None:
    """Export what was found in every format that there is."""
    desk.visit(f"/?tag={desk.words[0]}&max_duration=20")
    choice = desk.page.get_by_label("Export the shown sounds")
    expect(choice.locator("option").nth(1)).to_be_attached()
    formats = [str(one.get_attribute("value")) for one in choice.locator("option").all()[1:]]
    assert len(formats) >= 8
    for one in formats:
        desk.page.get_by_role("heading", level=1).click()  # a browser gives ten files to nobody at all
        desk.choose_download("Export the shown sounds", one)
        expect(choice).to_be_enabled()


def browse_the_map(desk: Desk) -> None:
    """See the whole collection on a map, choose a group in its legend, and export it."""
    desk.page.goto("/?view=map")
    open_map(desk)
    desk.page.locator(".legend button").nth(1).click()
    chosen = desk.page.get_by_role("region", name="Selection")
    expect(chosen.locator("[data-card]").first).to_be_visible()
    desk.sees("chosen")
    chosen.get_by_role("button", name="As results").click()
    expect(desk.page.get_by_role("heading", name="Chosen on the map")).to_be_visible()
    desk.choose_download("Export the shown sounds", "csv")


def tag_on_the_map(desk: Desk) -> None:
    """Search on the map, then draw a line around sounds that lie together, and tag them all."""
    tag = f"corner {desk.look.name}"
    desk.page.goto("/?view=map")
    open_map(desk)
    box = desk.page.get_by_role("combobox", name="Find")
    box.fill(desk.words[0])
    box.press("Enter")
    desk.told(re.compile(r"lit on the map"))
    desk.sees("lit")
    desk.page.get_by_role("button", name="Lasso", exact=True).click()
    # Where no panel lies over the map.
    top, left = (0.48, 0.03) if desk.phone else (0.03, 0.3)
    corners = [(0.97, top), (0.97, 0.88), (left, 0.88), (left, top), (0.97, top)]
    desk.drag(desk.page.get_by_role("application"), corners)
    chosen = desk.page.get_by_role("region", name="Selection")
    chosen.get_by_role("button", name="Tag all").click()
    field = desk.page.get_by_role("dialog").get_by_role("combobox")
    field.fill(tag)
    field.press("Enter")
    desk.told(re.compile("^Tagged "))
    assert desk.hits(has_tag=tag)
    desk.page.get_by_role("button", name="Undo", exact=True).click()
    desk.told(re.compile("^Undone"))


def triage(desk: Desk) -> None:
    """Go through new sounds one by one: each is played, some become favourites, some are tagged or picked."""
    tag = f"usable {desk.look.name}"
    desk.visit(f"/?tag={desk.words[2]}")
    if desk.phone:
        desk.otherwise = "without keys: by the buttons of each card"
        desk.press_on(desk.cards.nth(0), "Play")
        desk.press_on(desk.cards.nth(1), "Select")
        desk.press_on(desk.cards.nth(2), "Tag")
    else:
        for key in ("g", "a", "ArrowRight", "x", "ArrowRight", "t"):
            desk.page.keyboard.press(key)
        # The focus is in the field of the dialog.
    expect(desk.page.get_by_role("dialog")).to_be_visible()
    desk.page.get_by_role("dialog").get_by_role("combobox").fill(tag)
    desk.page.get_by_role("dialog").get_by_role("combobox").press("Enter")
    desk.told(re.compile("^Tagged "))
    expect(desk.cards.nth(1)).to_have_attribute("aria-label", re.compile("selected"))
    expect(desk.cards.nth(2)).to_contain_text(tag)
    if not desk.phone:
        desk.page.keyboard.press("a")


def open_map(desk: Desk) -> None:
    """Have the map there, computed if it is not."""
    at_work = any(job["state"] == "running" for job in desk.ask("/jobs")["jobs"])
    if not desk.ask("/map/about")["computed"] and not at_work:
        desk.page.get_by_role("button", name="Compute the map").click()
    expect(desk.page.get_by_role("application")).to_be_visible(timeout=180_000)
    expect(desk.page.get_by_role("application").locator("text").first).to_be_visible()
    desk.unfold("Find, colours")


TASKS = [
    browse_folders,
    narrow_by_length_and_date,
    count_by_fields,
    list_as_table,
    tag_many_and_undo,
    correct_a_tag,
    add_a_folder,
    switch_libraries,
    see_what_is_wrong,
    clear_out_duplicates,
    export_in_every_format,
    browse_the_map,
    tag_on_the_map,
    triage,
]
