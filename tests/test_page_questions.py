"""The page in a real browser: questions without answers, what is typed anew, and work that goes on elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from helpers.browser import NEEDS_CHROMIUM, asked, first, serving, until, until_placed, violations, visit
from soundloom.library import Library

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]

RUNNING = {"kind": "map", "state": "running", "done": 1, "total": 10, "message": "arranging"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a page over forty-eight sounds and an empty library is served."""
    folder = tmp_path_factory.mktemp("questions")
    with serving(folder, [Library.create(folder / "empty.loom")]) as address:
        yield address


@pytest.fixture
def refused(page: Page) -> list[str]:
    """Addresses of requests that the server refused: each is an error in the browser's console."""
    found: list[str] = []
    page.on("response", lambda answer: found.append(answer.url) if answer.status >= 400 else None)
    return found


def find(page: Page, text: str) -> None:
    field = page.get_by_role("combobox", name="Find")
    field.fill(text)
    field.press("Enter")


def test_favourites_without_one_say_how_one_is_made(page: Page, refused: list[str]) -> None:
    visit(page)
    page.get_by_role("button", name="Favourites").click()
    results = page.get_by_role("region", name="Results")
    expect(results.get_by_text("No favourites yet")).to_be_visible()
    expect(results.get_by_role("heading", name="Favourites")).to_be_visible()
    expect(page.get_by_text("No search is saved yet")).to_be_visible()
    assert (refused, violations(page)) == ([], [])
    results.get_by_role("button", name="All sounds").click()
    expect(page.locator("[data-card]")).not_to_have_count(0)


def test_a_text_that_finds_nothing_is_an_answer_with_ways_on(page: Page, refused: list[str]) -> None:
    visit(page, "/?folder=bell")
    find(page, "zzzqqq")
    results = page.get_by_role("region", name="Results")
    expect(results.get_by_text("among the files that the filters admit has 'zzzqqq'")).to_be_visible()
    expect(results.get_by_role("button", name="Try again")).to_have_count(0)
    assert (refused, violations(page)) == ([], [])
    results.get_by_role("button", name="Without the text “zzzqqq”").click()
    expect(results.get_by_role("heading", name="In bell")).to_be_visible()


def test_a_text_beside_a_sound_is_named_where_it_admits_nothing(page: Page) -> None:
    visit(page, f"/?like={first(page, 'bell')}&folder=bell&text=siren")
    results = page.get_by_role("region", name="Results")
    expect(results.get_by_text("No sound fits the text “siren” and the folder bell")).to_be_visible()
    results.get_by_role("button", name="Without the folder bell").click()
    expect(page.locator("[data-card] .name").first).to_contain_text("siren")


def test_what_is_typed_takes_the_place_of_what_was_typed(page: Page) -> None:
    visit(page)
    find(page, "bell")
    until(page, "() => location.search.includes('text=bell')")
    find(page, "siren, -rain")
    until(page, "() => location.search === '?tag=siren&not=rain'")
    find(page, "drum")
    until(page, "() => location.search === '?text=drum'")
    find(page, "bell -rain")
    until(page, "() => location.search === '?text=bell&not=rain'")
    expect(page.locator("[data-card] .name").first).to_contain_text("bell")
    find(page, '"-dash"')
    until(page, "() => location.search === '?text=-dash'")
    page.get_by_role("button", name="Start over").first.click()  # the results have one too if they are none
    until(page, "() => location.search === ''")


def test_counts_of_the_question_before_are_known_as_such(page: Page) -> None:
    visit(page)
    page.wait_for_load_state("networkidle")
    held: list[Route] = []
    holding = True
    page.route("**/api/v1/facets*", lambda route: held.append(route) if holding else route.continue_())
    with page.expect_request("**/api/v1/facets*"):
        find(page, "bell")
    expect(page.locator(".results")).to_have_attribute("aria-busy", "false")
    expect(page.locator(".narrowing")).to_have_attribute("aria-busy", "true")
    holding = False
    for route in held:
        route.continue_()
    expect(page.locator(".narrowing")).to_have_attribute("aria-busy", "false")


def test_results_begin_below_the_question_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, "/?folder=bell&max_duration=1000")
    page.locator("[data-card]").first.focus()
    page.keyboard.press("f")
    # However few: the rest of the window stays free below them.
    question, found = page.locator(".view > aside"), page.locator(".results")
    until_placed(lambda above, below: abs(below["y"] - (above["y"] + above["height"])) < 2, question, found)
    # The toast is one line of words beside its buttons, and not a heading of results.
    toast = page.locator(".toast")
    words, away, undo = toast.locator("span"), *(toast.get_by_role("button", name=name) for name in ("Dismiss", "Undo"))
    until_placed(lambda one, other: other["y"] < one["y"] + one["height"], words, away)
    until_placed(lambda box: box["height"] < 46, undo)  # its word in one piece
    page.keyboard.press("z")


def test_counts_wait_until_the_results_are_painted(page: Page) -> None:
    visit(page)
    page.wait_for_load_state("networkidle")
    page.evaluate(
        """() => {
            window.order = [];
            const { fetch } = window;
            window.fetch = async (address, ...rest) => {
                const name = /find|facets/.exec(String(address))?.[0];
                if (name) window.order.push(`${name} asked`);
                const answer = await fetch(address, ...rest);
                if (name) window.order.push(`${name} answered`);
                return answer;
            };
            const painted = (list) => list.getEntriesByName('search').forEach(() => window.order.push('painted'));
            new PerformanceObserver(painted)
                .observe({ entryTypes: ['measure'] });
        }"""
    )
    find(page, "bell")
    until(page, "() => window.order.includes('facets answered') && window.order.includes('painted')")
    order = page.evaluate("window.order")
    assert order[:2] == ["find asked", "find answered"]
    # One request counts fields and folders.
    assert order.count("facets asked") == 1


def test_all_results_can_be_selected_and_not_only_those_shown(page: Page) -> None:
    page.route(
        re.compile(r"/api/v1/search\?k=50$"),
        lambda route: route.continue_(url=route.request.url.replace("k=50", "k=10")),
    )
    visit(page)
    total = asked(page, "/search")["total"]
    results = page.get_by_role("region", name="Results")
    results.get_by_role("button", name="Select the 10 shown").click()
    expect(results.get_by_text("10 sounds selected")).to_be_visible()
    results.get_by_role("button", name="Clear").click()
    results.get_by_role("button", name=f"Select all {total}").click()
    expect(results.get_by_text(f"{total} sounds selected")).to_be_visible()


def test_a_tag_that_cannot_be_stays_in_the_dialog_and_a_comma_makes_two(page: Page) -> None:
    visit(page)
    page.locator("[data-card]").first.focus()
    page.keyboard.press("t")
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_role("combobox")
    field.fill("a" * 300)
    field.press("Enter")
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    field.fill("brassy, far away")
    field.press("Enter")
    expect(dialog).to_have_count(0)
    named = {tag["name"] for tag in asked(page, "/tags")["tags"]}
    assert {"brassy", "far away"} <= named


def test_work_that_goes_on_is_shown_in_every_view_and_after_a_reload(page: Page, refused: list[str]) -> None:
    state = {"running": True}
    page.route(
        "**/api/v1/jobs",
        lambda route: route.fulfill(json={"jobs": [{"id": "j_elsewhere", **RUNNING}] if state["running"] else []}),
    )
    page.route(
        "**/api/v1/jobs/j_elsewhere",
        lambda route: route.fulfill(json=RUNNING if state["running"] else {**RUNNING, "state": "done"}),
    )
    page.goto("/?view=health")
    busy = page.get_by_role("status", name="The server is busy")
    expect(busy).to_contain_text("Computing the map")
    expect(busy.get_by_role("button", name="Cancel")).to_be_visible()
    for name in ("Index again", "Find duplicates"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    assert violations(page) == []
    page.get_by_role("link", name="Map").click()
    expect(page.get_by_role("progressbar", name="Arranging")).to_be_visible()
    expect(page.get_by_role("button", name="Compute the map")).to_have_count(0)
    state["running"] = False
    expect(page.get_by_role("button", name="Compute the map")).to_be_visible()
    assert refused == []


def test_the_page_is_no_longer_than_its_window(page: Page) -> None:
    for place in ("/", "/?view=health", "/?view=detect", "/?view=tag"):
        page.goto(place)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.scrollingElement.scrollHeight <= innerHeight"), place


def test_a_part_of_the_page_that_is_late_says_so(page: Page) -> None:
    page.route("**/assets/HealthView*.js", lambda route: (page.wait_for_timeout(1500), route.continue_()))
    visit(page)
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("status").filter(has_text="Loading")).to_be_visible()
    expect(page.get_by_role("heading", name="Health")).to_be_visible()


def test_everything_about_the_query_has_room_in_its_rail(page: Page) -> None:
    visit(page, f"/?like={first(page, 'bell')}")
    query = page.get_by_role("region", name="Sound to search by")
    expect(query.get_by_role("button", name="File")).to_be_visible()
    assert query.evaluate("section => section.scrollHeight <= section.clientHeight")


def test_a_phone_has_every_view_beside_a_choice_of_libraries(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page)
    expect(page.get_by_role("combobox", name="Library")).to_be_visible()
    for link in page.get_by_role("navigation", name="Views").get_by_role("link").all():
        until_placed(lambda box: 0 <= box["x"] <= box["x"] + box["width"] <= 390, link)
    until(page, "() => document.documentElement.scrollWidth <= 390")


def test_a_table_leaves_out_what_no_sound_has(page: Page) -> None:
    visit(page)
    page.get_by_role("button", name="Table").click()
    heads = page.get_by_role("columnheader")
    expect(heads.filter(has_text="Name")).to_be_visible()
    expect(heads.filter(has_text="Similarity")).to_have_count(0)
    page.get_by_role("row").nth(1).get_by_role("button").last.click()
    expect(heads.filter(has_text="Similarity")).to_be_visible()
    page.get_by_role("button", name="Table").click()  # which the browser remembers


def test_keys_of_sounds_lead_to_them(page: Page) -> None:
    visit(page)
    expect(page.locator("[data-card]").first).to_be_visible()
    page.keyboard.press("x")
    expect(page.get_by_text("No sound has the focus: G goes to the sounds")).to_be_visible()
    page.keyboard.press("a")
    expect(page.locator("[data-card]").first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-card]").nth(1)).to_be_focused()
    page.keyboard.press("a")


def test_results_of_words_show_what_orders_them(page: Page) -> None:
    visit(page, "/?text=bell&tag=rain")
    card = page.locator("[data-card]").first
    expect(card).to_have_attribute("aria-label", re.compile(r"\d\s?% sure, similarity -?\d"))
